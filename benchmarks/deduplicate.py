"""De-duplication by clusters of a pool with planted duplicates: time, memory, share of the limit.

    python -m benchmarks.deduplicate                    # 1,000,000 x 512, 1 GB of temporary files
    python -m benchmarks.deduplicate --rows 100000 --clusters 50

The three steps of `deduplicate` one after the other, in a process of their own: k-means centres of
a sample, the nearest centre of every row, all pairs within each cluster. The limit of a step is the
time that its matrix products need at the rate of a product of two square matrices, measured in the
same process: in float32 for k-means (faiss), in the search's own number format for the others.
Memory is private and sampled: the store is read block by block, no page of it is mapped.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from benchmarks.machine import describe, show
from benchmarks.similarity import SIDE, World, product_rate
from clipcause.config.deduplicate import Deduplicate
from clipcause.data import deduplicate
from clipcause.embed import store
from clipcause.search.centres import POINTS_PER_CLUSTER
from clipcause.search.engine import choose

TABLE = Path(__file__).with_suffix(".md")
PARTS = 10
BLOCK = 8192
BLOCK_ROWS = 65536
ORIGINALS = 8192  # rows at the head of the pool of which copies follow
Out = TypeVar("Out")


class Step(NamedTuple):
    """Seconds, the FLOP of the step's products, FLOP/s of a square product, private bytes."""

    label: str
    seconds: float
    flop: float
    rate: float
    private: int


class Memory:
    """The most private memory that this process holds, sampled from a thread."""

    def __init__(self) -> None:
        self.peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._done.wait(0.05):
            lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
            held = [int(line.split()[1]) for line in lines if line.startswith("Private_")]
            self.peak = max(self.peak, sum(held) * 1024)

    def stop(self) -> int:
        """End the sampling; the peak in bytes."""
        self._done.set()
        self._thread.join()
        return self.peak


def make(folder: Path, rows: int, dim: int) -> int:
    """A store in parts; 2 % of its rows are planted. The number of planted rows."""
    each = -(-rows // PARTS)
    sizes = [min(each, rows - number * each) for number in range(PARTS)]
    blocks = [min(BLOCK, size - a) for size in sizes for a in range(0, size, BLOCK)]
    planted = sum(block // 50 for block in blocks[1:])
    if (folder / "img_emb").exists():
        return planted
    world = World(dim, ORIGINALS)
    (folder / "img_emb").mkdir(parents=True)
    for number, count in enumerate(sizes):
        path = folder / "img_emb" / f"img_emb_{number:04d}.npy"
        part = np.lib.format.open_memmap(path, "w+", np.float16, (count, dim))
        for a in range(0, count, BLOCK):
            n = min(BLOCK, count - a)
            if number == a == 0:
                part[:n] = world.query_QD[:n]
                continue
            part[a : a + n] = world.pool(n, [3, number, a])
        part.flush()
    return planted


def timed(label: str, work: Callable[[], Out], flop: Callable[[Out], float], rate: float) -> Out:
    """Run one step and print what it took, as a line of JSON."""
    memory, start = Memory(), time.perf_counter()
    found = work()
    seconds = time.perf_counter() - start
    print(json.dumps([label, seconds, flop(found), rate, memory.stop()]), flush=True)
    return found


def single_rate() -> float:
    """FLOP/s of a square product in float32."""
    left, right = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        torch.mm(left, right)
        seconds.append(time.perf_counter() - start)
    return 2 * SIDE**3 / min(seconds)


def measure(folder: Path, clusters: int) -> None:
    """The three steps on the store in ``folder``, in this process."""
    pool = store.read(folder)
    settings = Deduplicate(
        method="kmeans", threshold=0.876, clusters=clusters, seed=0, iterations=20
    )
    rows, dim = len(pool), pool.dim
    sample = min(rows, POINTS_PER_CLUSTER * clusters)
    once = 2.0 * clusters * dim
    centre_KD = timed(
        f"k-means centres of {sample:,} rows",
        lambda: deduplicate.centres(pool, settings),
        lambda _: once * sample * settings.iterations,
        single_rate(),
    )
    cluster_N = timed(
        "nearest centre of every row",
        lambda: deduplicate.assign(pool, centre_KD, BLOCK_ROWS),
        lambda _: once * rows,
        product_rate(),
    )
    size_K = np.bincount(cluster_N).astype(np.float64)
    found = timed(
        f"pairs within clusters (largest {size_K.max():,.0f} rows)",
        lambda: deduplicate.Duplicates(
            *deduplicate.first_above(pool.take, cluster_N, settings.threshold)
        ),
        lambda _: float((size_K * (size_K - 1)).sum() * dim),  # each pair once
        product_rate(),
    )
    print(json.dumps(len(found.removed)))


def table(arguments: argparse.Namespace, steps: list[Step], planted: int, removed: int) -> str:
    """The Markdown page."""
    lines = [
        f"| {one.label} | {one.seconds:.1f} | {one.flop / 1e12:.2f} | "
        f"{one.flop / one.seconds / 1e9:.0f} | {one.rate / 1e9:.0f} | "
        f"{one.flop / one.rate / one.seconds:.0%} | {one.private / 2**30:.2f} |"
        for one in steps
    ]
    total = sum(one.seconds for one in steps)
    limit = sum(one.flop / one.rate for one in steps)
    lines.append(f"| **all** | **{total:.1f}** | | | | {limit / total:.0%} | |")
    options = f"--rows {arguments.rows} --dim {arguments.dim} --clusters {arguments.clusters}"
    return (
        f"# De-duplication of {arguments.rows:,} rows by clusters\n\n"
        f"`python -m benchmarks.deduplicate {options}` on "
        f"{describe('torch', 'numpy', 'faiss-cpu')}; products in {choose()}. {planted:,} rows are "
        f"planted near-duplicates (similarity .9 to 1), {removed:,} rows are "
        f"removed at 0.876. {arguments.note}\n\n"
        "| step | seconds | TFLOP | GFLOP/s | square product, GFLOP/s | share of the limit | "
        "private GiB |\n|---|---:|---:|---:|---:|---:|---:|\n" + "\n".join(lines) + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--clusters", type=int, default=500)
    parser.add_argument("--folder", type=Path, help="make the store here, or take that which is")
    parser.add_argument("--write", type=Path, help=f"write the table, as in {TABLE.name}")
    parser.add_argument("--note", default="", help="of what else the machine did, for the table")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure(arguments.one, arguments.clusters)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        planted = make(folder, arguments.rows, arguments.dim)
        options = ["--one", str(folder), "--clusters", str(arguments.clusters)]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.deduplicate", *options],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    *steps, removed = (json.loads(line) for line in done.stdout.splitlines())
    text = table(arguments, [Step(*one) for one in steps], planted, removed)
    show(text, arguments.write)


if __name__ == "__main__":
    main()
