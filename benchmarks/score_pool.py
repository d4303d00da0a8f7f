"""``score_pool`` against other ways to the nearest query and the margin, interleaved in one run.

    python -m benchmarks.score_pool                      # 200,000 x 4,000 x 512
    python -m benchmarks.score_pool --rows 20000 --rounds 3
    OMP_NUM_THREADS=1 python -m benchmarks.score_pool    # CPU seconds, where others use the cores

Every method sees the same vectors in the memory layout that it likes best (float32 for faiss and
torch: the conversion is not on their clock, the one from float16 is on ours). Only the ratios mean
something on a machine that is shared: rounds are interleaved and medians are taken.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import torch

from benchmarks.machine import extensions
from clipcause.runtime import processor
from clipcause.runtime.parallel import cores
from clipcause.search import nearest, score_pool
from clipcause.search.engine import choose

TABLE = Path(__file__).with_suffix(".md")
BLOCK = 4096
CLASSES = 1000


def world(rows: int, dim: int, seed: int) -> np.ndarray:
    """Float16 embeddings as an image encoder makes them.

    A large common mean, long-tailed classes, decaying spectrum: nearest similarities of .80 to .85.
    """
    same = np.random.default_rng(7)
    scale = np.linspace(1, 0.2, dim, dtype=np.float32)
    class_CD = same.standard_normal((CLASSES, dim), np.float32) * scale
    mean_D = same.standard_normal(dim, np.float32)
    own = np.random.default_rng(seed)
    out_ND = np.empty((rows, dim), np.float16)
    for a in range(0, rows, BLOCK):
        n = min(BLOCK, rows - a)
        label = np.minimum((own.pareto(1.0, n) * 5).astype(int), CLASSES - 1)
        x = mean_D + class_CD[label] + 0.6 * own.standard_normal((n, dim), np.float32)
        out_ND[a : a + n] = x / np.linalg.norm(x, axis=1, keepdims=True)
    return out_ND


def matmul_and_max(pool_ND: torch.Tensor, query_QD: torch.Tensor) -> torch.Tensor:
    """Plain float32 torch: products in blocks, then the maximum."""
    return torch.cat(
        [
            (pool_ND[a : a + BLOCK] @ query_QD.T).max(1).indices
            for a in range(0, len(pool_ND), BLOCK)
        ]
    )


def candidate_lists(pool_ND: torch.Tensor, query_QD: torch.Tensor, keep: int) -> torch.Tensor:
    """Per query the ``keep`` most similar pool rows (and hence every row above its threshold,
    unless the list is cut), as the study's authors made them."""
    value_QK = torch.full((len(query_QD), 0), 0.0)
    index_QK = torch.zeros((len(query_QD), 0), dtype=torch.int64)
    step = 4 * BLOCK
    for a in range(0, len(pool_ND), step):
        sim_QN = query_QD @ pool_ND[a : a + step].T
        value, index = sim_QN.topk(min(keep, sim_QN.shape[1]), dim=1)
        value_QK, index_QK = torch.cat([value_QK, value], 1), torch.cat([index_QK, index + a], 1)
        value_QK, best = value_QK.topk(min(keep, value_QK.shape[1]), dim=1)
        index_QK = index_QK.gather(1, best)
    return index_QK


def methods(
    pool_ND: np.ndarray, query_QD: np.ndarray, threshold_Q: np.ndarray, keep: int
) -> dict[str, Callable[[], object]]:
    """Name to a call that does the whole work."""
    pool32, query32 = pool_ND.astype(np.float32), query_QD.astype(np.float32)
    plain, hull = faiss.IndexFlatIP(pool_ND.shape[1]), faiss.IndexFlatIP(pool_ND.shape[1] + 1)
    plain.add(query32)
    hull.add(np.hstack([query32, -threshold_Q[:, None].astype(np.float32)]))
    pool_and_one = np.hstack([pool32, np.ones((len(pool32), 1), np.float32)])
    pool_torch, query_torch = torch.from_numpy(pool32), torch.from_numpy(query32)
    engine = choose()

    def both() -> None:
        plain.search(pool32, 1)
        hull.search(pool_and_one, 1)

    ours = {f"score_pool, {engine}": lambda: score_pool(pool_ND, query_QD, threshold_Q)}
    if engine != "float32":
        ours["score_pool, float32"] = lambda: score_pool(
            pool_ND, query_QD, threshold_Q, engine="float32"
        )
    return {
        **ours,
        "faiss IndexFlatIP, k = 1 (max_sim only)": lambda: plain.search(pool32, 1),
        "faiss IndexFlatIP twice, d and d + 1 (the same answer)": both,
        "torch float32 matmul + max (max_sim only)": lambda: matmul_and_max(
            pool_torch, query_torch
        ),
        f"torch float32 top-{keep} candidate lists": lambda: candidate_lists(
            pool_torch, query_torch, keep
        ),
    }


def check(pool_ND: np.ndarray, query_QD: np.ndarray, threshold_Q: np.ndarray) -> None:
    """Equal bytes from both engines, and agreement with faiss as far as float32 reaches."""
    answers = [
        score_pool(pool_ND, query_QD, threshold_Q, engine=engine)
        for engine in ("bfloat16", "float32")
    ]
    for one, other in zip(*answers, strict=True):
        assert one.tobytes() == other.tobytes(), "the engines differ"
    index = faiss.IndexFlatIP(pool_ND.shape[1])
    index.add(query_QD.astype(np.float32))
    sim, _ = index.search(pool_ND.astype(np.float32), 1)
    assert np.abs(sim[:, 0] - answers[0][0]).max() < 1e-5, "faiss finds other maxima"


def private_bytes() -> int:
    """The most memory of its own that this process has held, mapped files not counted."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) * 1024


def memory(rows: int, queries: int, dim: int) -> float:
    """MiB that scoring a memory-mapped pool takes beyond its outputs, in a fresh process."""
    call = [sys.executable, "-m", "benchmarks.score_pool", "--memory", str(rows)]
    sizes = ["--queries", str(queries), "--dim", str(dim)]
    out = subprocess.run([*call, *sizes], check=True, capture_output=True, text=True).stdout
    return float(out)


def measure_memory(rows: int, queries: int, dim: int) -> float:
    """What ``memory`` runs: the peak is sampled while ``score_pool`` works."""
    query_QD = world(queries, dim, 2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pool.npy")
        mapped = np.lib.format.open_memmap(path, "w+", np.float16, (rows, dim))
        for a in range(0, rows, 4 * BLOCK):
            mapped[a : a + 4 * BLOCK] = world(min(4 * BLOCK, rows - a), dim, a)
        mapped.flush()
        del mapped
        pool_ND = np.load(path, mmap_mode="r")
        threshold_Q = np.full(queries, 0.8)
        score_pool(pool_ND[:2048], query_QD, threshold_Q)
        before, peak, done = private_bytes(), 0, threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.005):
                peak = max(peak, private_bytes())

        watcher = threading.Thread(target=watch)
        watcher.start()
        answer = score_pool(pool_ND, query_QD, threshold_Q)
        done.set()
        watcher.join()
    return (peak - before - sum(part.nbytes for part in answer)) / 2**20


def machine() -> str:
    """CPU, cores, instruction set, versions, commit: what a figure hangs on."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return (
        f"{processor.name()}, {cores()} cores, {torch.get_num_threads()} threads, "
        f"{' '.join(extensions())}; "
        f"torch {torch.__version__}, faiss {faiss.__version__}, NumPy {np.__version__}; "
        f"commit {commit}; load average at the end {os.getloadavg()[0]:.1f}"
    )


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=4_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--reference", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=int, default=100, help="length of the candidate lists")
    parser.add_argument("--memory", type=int, help="only measure memory at this many rows")
    parser.add_argument("--write", type=Path, help=f"write the table here (the kept one: {TABLE})")
    args = parser.parse_args()
    if args.memory:
        print(measure_memory(args.memory, args.queries, args.dim))
        return
    torch.backends.cuda.matmul.allow_tf32 = False
    faiss.omp_set_num_threads(torch.get_num_threads())
    pool_ND, query_QD = world(args.rows, args.dim, 1), world(args.queries, args.dim, 2)
    threshold_Q, _ = nearest(query_QD, world(args.reference, args.dim, 3))
    few = slice(0, 20_000)
    check(pool_ND[few], query_QD, threshold_Q)
    calls = methods(pool_ND, query_QD, threshold_Q, args.keep)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for turn in range(args.rounds):
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            taken = time.perf_counter() - wall, time.process_time() - cpu
            seconds[name].append(taken)
            print(
                f"round {turn + 1}: {taken[0]:7.2f} s, CPU {taken[1]:7.2f}  {name}", file=sys.stderr
            )
    table = report(args, seconds)
    print(table)
    if args.write:
        args.write.write_text(table)


def report(args: argparse.Namespace, seconds: dict[str, list[tuple[float, float]]]) -> str:
    """The table in Markdown."""
    flop = 2 * args.rows * args.queries * args.dim
    ours = np.array(next(iter(seconds.values())))
    lines = [
        f"# score_pool on {args.rows:,} x {args.queries:,} x {args.dim}",
        "",
        machine() + f". Medians of {args.rounds} interleaved rounds.",
        "",
        "| method | seconds | GFLOP/s | times the first row | CPU seconds | times the first row |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, taken in seconds.items():
        (wall, cpu), (times, cpu_times) = np.median(taken, 0), np.median(np.array(taken) / ours, 0)
        lines.append(
            f"| {name} | {wall:.2f} | {flop / wall / 1e9:.0f} | {times:.2f} "
            f"| {cpu:.2f} | {cpu_times:.2f} |"
        )
    lines += [
        "",
        "Ratios are medians of the rounds' own ratios. With one thread the CPU's seconds do not",
        "count what other processes take; with more, OpenMP's waiting counts as work.",
        "",
        "Private memory of `score_pool` over a memory-mapped pool, beyond inputs and outputs:",
        "",
        "| pool rows | MiB |",
        "|---:|---:|",
    ]
    for rows in (args.rows // 2, args.rows * 2):
        lines.append(f"| {rows:,} | {memory(rows, args.queries, args.dim):.0f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
