"""The `similarity` stage on a pool far larger than memory should hold: time, memory, shares.

    python -m benchmarks.similarity --write benchmarks/similarity.md      # 5,000,000 x 10,000 x 512
    python -m benchmarks.similarity --rows 400000 --queries 2000
    python -m benchmarks.similarity --folder /tmp/x --keep                # generate once, run often

Embeddings are generated part by part into a folder (5 GB, removed afterwards), clustered, with
planted near-duplicates of test images and of each other. Then the stage itself runs as a process,
`python -m stages.similarity`, at a quarter, half and all of the pool, each time with an empty shard
cache and with its files out of the page cache. Start-up, thresholds and writing are on the clock.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml

from benchmarks.machine import describe
from clipcause import config as parameters
from clipcause.config import layout
from clipcause.search.engine import choose

ROOT = Path(__file__).parents[1]
PARTS = 4
BLOCK = 8192
CLASSES = 1000
SIDE = 4096


@dataclass(frozen=True)
class Run:
    """One run of the stage."""

    rows: int
    seconds: float
    private: int
    rate: float
    """FLOP/s of the matrix product, measured before and after."""
    disk: float
    """Bytes/s of a plain read."""


class World:
    """Embeddings as an image encoder makes them: a large common mean, long-tailed classes."""

    def __init__(self, dim: int, queries: int) -> None:
        same = np.random.default_rng(7)
        scale = np.linspace(1, 0.2, dim, dtype=np.float32)
        self.class_CD = same.standard_normal((CLASSES, dim), np.float32) * scale
        self.mean_D = same.standard_normal(dim, np.float32)
        self.query_QD = np.concatenate([self.block(n, [1, a]) for a, n in _cut(queries)])

    def block(self, rows: int, seed: list[int]) -> np.ndarray:
        """Unit vectors in float16."""
        own = np.random.default_rng(seed)
        label = np.minimum((own.pareto(1.0, rows) * 5).astype(int), CLASSES - 1)
        noise = own.standard_normal((rows, len(self.mean_D)), np.float32)
        return _unit(self.mean_D + self.class_CD[label] + np.float32(0.6) * noise)

    def pool(self, rows: int, seed: list[int]) -> np.ndarray:
        """A block in which 2 % are near-duplicates, of test images or of rows of the block.

        Their similarity is .9 to 1; one in eight is a copy.
        """
        out_ND, own = self.block(rows, seed), np.random.default_rng([*seed, 1])
        planted = own.choice(rows, rows // 50, replace=False)
        of_ND = np.concatenate([self.query_QD, out_ND])
        x_PD = of_ND[own.integers(0, len(of_ND), len(planted))].astype(np.float32)
        noise = own.standard_normal(x_PD.shape, np.float32) / np.float32(np.sqrt(x_PD.shape[1]))
        strength = own.uniform(0, 0.45, (len(planted), 1)).astype(np.float32)
        strength[own.random(len(planted)) < 1 / 8] = 0
        out_ND[planted] = _unit(x_PD + strength * noise)
        return out_ND


def _unit(x_ND: np.ndarray) -> np.ndarray:
    return (x_ND / np.linalg.norm(x_ND, axis=1, keepdims=True)).astype(np.float16)


def _cut(rows: int) -> list[tuple[int, int]]:
    return [(a, min(BLOCK, rows - a)) for a in range(0, rows, BLOCK)]


def generate(folder: Path, rows: int, queries: int, dim: int, reference: int) -> None:
    """A study's folder with three stores; those of the pool in ``PARTS`` parts."""
    world = World(dim, queries)
    _store(
        folder, "reference", [np.concatenate([world.block(n, [2, a]) for a, n in _cut(reference)])]
    )
    _store(folder, layout.test("bench"), [world.query_QD])
    each = rows // PARTS
    target = folder / layout.embeddings("bench", "every") / "img_emb"
    target.mkdir(parents=True)
    for number in range(PARTS):
        shape = (each, dim)
        part = np.lib.format.open_memmap(
            target / f"img_emb_{number:04d}.npy", "w+", np.float16, shape
        )
        for a, n in _cut(each):
            part[a : a + n] = world.pool(n, [3, number, a])
        part.flush()
        del part
    content = {
        "versions": parameters.read(ROOT / parameters.FILE)["versions"],
        "encoder": {"name": "bench", "run": "bench"},
        "reference": "reference",
        "tests": {"bench": {}},
        "similarity": {"block_rows": 65536},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(content))


def _store(folder: Path, name: str, parts: list[np.ndarray]) -> None:
    target = folder / layout.embeddings("bench", name) / "img_emb"
    target.mkdir(parents=True)
    for number, part in enumerate(parts):
        np.save(target / f"img_emb_{number:04d}.npy", part)


def run(folder: Path, parts: int) -> Run:
    """The stage on the first ``parts`` parts of the pool."""
    every = sorted((folder / layout.embeddings("bench", "every") / "img_emb").iterdir())[:parts]
    pool = folder / layout.embeddings("bench", "pool")
    for path in (pool, folder / "shards", folder / "similarity"):
        shutil.rmtree(path, ignore_errors=True)
    (pool / "img_emb").mkdir(parents=True)
    for path in every:
        (pool / "img_emb" / path.name).symlink_to(path.resolve())
    disk = min(_read(path) for path in every)
    for path in every:
        _forget(path)
    rate = product_rate()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CLIPCAUSE_SHARDS": str(folder / "shards"),
    }
    started = time.perf_counter()
    stage = subprocess.Popen(
        [sys.executable, "-m", "stages.similarity", "bench"], cwd=folder, env=environment
    )
    peak = _watch(stage)
    seconds = time.perf_counter() - started
    if stage.returncode:
        raise SystemExit(f"the stage failed with status {stage.returncode}")
    rows = sum(np.load(path, mmap_mode="r").shape[0] for path in every)
    return Run(rows, seconds, peak, float(np.mean([rate, product_rate()])), disk)


def _watch(stage: subprocess.Popen[bytes]) -> int:
    """The most private memory that the process held, sampled, until it ends."""
    peak, done = 0, threading.Event()

    def sample() -> None:
        nonlocal peak
        path = Path(f"/proc/{stage.pid}/smaps_rollup")
        while not done.wait(0.5):  # looking costs the kernel a walk over all pages
            try:
                lines = path.read_text().splitlines()
            except OSError:
                continue
            held = [int(line.split()[1]) for line in lines if line.startswith("Private_")]
            peak = max(peak, sum(held) * 1024)

    watcher = threading.Thread(target=sample)
    watcher.start()
    stage.wait()
    done.set()
    watcher.join()
    return peak


def product_rate() -> float:
    """FLOP/s of the product of two square matrices, in the engine's number format."""
    kind = torch.bfloat16 if choose() == "bfloat16" else torch.float32
    left, right = (torch.randn(SIDE, SIDE).to(kind) for _ in range(2))
    out, taken = torch.empty_like(left), []
    for _ in range(6):
        started = time.perf_counter()
        torch.mm(left, right, out=out)
        taken.append(time.perf_counter() - started)
    return 2 * SIDE**3 / float(np.median(taken[1:]))


def _forget(path: Path) -> None:
    """Drop a file from the page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def _read(path: Path) -> float:
    """Bytes/s of reading a file that is not in the page cache."""
    _forget(path)
    buffer, size = bytearray(1 << 24), path.stat().st_size
    started = time.perf_counter()
    with path.open("rb", buffering=0) as stream:
        while stream.readinto(buffer):
            pass
    return size / (time.perf_counter() - started)


def report(args: argparse.Namespace, runs: list[Run]) -> str:
    """The table in Markdown."""
    header = ["pool rows", "seconds", "rows/s", "GFLOP/s", "4096³, GFLOP/s", "share"]
    header += ["private, MiB", "GB read", "disk, GB/s", "share"]
    lines = [
        f"# The similarity stage: {args.queries:,} test images, {args.dim} dimensions",
        "",
        f"{describe('torch', 'numpy')}; {torch.get_num_threads()} threads; commit {_commit()}. "
        f"Parts of {args.rows // PARTS:,} rows; {args.reference:,} reference images.",
        "",
        f"| {' | '.join(header)} |",
        f"|{'---:|' * len(header)}",
    ]
    for one in runs:
        flop = 2 * one.rows * args.queries * args.dim / one.seconds
        size = one.rows * args.dim * 2
        lines.append(
            f"| {one.rows:,} | {one.seconds:.1f} | {one.rows / one.seconds:,.0f} "
            f"| {flop / 1e9:.0f} | {one.rate / 1e9:.0f} | {flop / one.rate:.2f} "
            f"| {one.private / 2**20:.0f} | {size / 1e9:.2f} | {one.disk / 1e9:.2f} "
            f"| {size / one.seconds / one.disk:.2f} |"
        )
    more, longer = runs[-1].rows / runs[0].rows, runs[-1].seconds / runs[0].seconds
    lines += [
        "",
        f"`python -m benchmarks.similarity{_options(args)}`. One product of all pairs is counted, "
        "which answers for the pool's rows and for the test images alike; the square product is of "
        f"{choose()}, before and after each run on the same threads. {more:g} times the rows take "
        f"{longer:.2f} times the seconds, which are the process's from start to end: imports, "
        "thresholds and writing included. Private memory is the process's own, sampled "
        "(smaps_rollup); files are out of the page cache before each run.",
    ]
    return "\n".join(lines) + "\n"


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()


def _options(args: argparse.Namespace) -> str:
    given = {name: getattr(args, name) for name in ("rows", "queries", "dim", "reference")}
    return "".join(f" --{name} {value}" for name, value in given.items())


def main() -> None:
    """Generate, run, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--reference", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, help="where the embeddings are made")
    parser.add_argument("--keep", action="store_true", help="leave them there, and take them")
    parser.add_argument("--parts", type=int, nargs="+", default=[1, 2, 4], help=f"of {PARTS}")
    parser.add_argument("--write", type=Path, help="write the table here")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="similarity-"))
    try:
        if not (folder / "params.yaml").exists():
            generate(folder, args.rows, args.queries, args.dim, args.reference)
        table = report(args, [run(folder, parts) for parts in args.parts])
    finally:
        if not args.keep:
            shutil.rmtree(folder)
    print(table)
    if args.write:
        args.write.write_text(table)


if __name__ == "__main__":
    main()
