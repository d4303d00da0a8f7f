"""Rows a second of every kind of signal, on unit vectors that are made up.

    python -m benchmarks.signals                      # 200,000 rows of 512 dimensions
    python -m benchmarks.signals --rows 20000 --write benchmarks/signals.md

Each kind's function on arrays, with the vectors in memory: what a study adds is reading them.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.machine import describe, show
from clipcause.search import centres
from clipcause.search.earlier import greatest
from clipcause.signals import norms
from clipcause.signals.contrast import negclip_loss
from clipcause.signals.kinds.clip_score import AT_ONCE, pair_similarity
from clipcause.signals.kinds.clusters import hit

TABLE = Path(__file__).with_suffix(".md")
BLOCK_ROWS = 65536
SCALE = 100.0


class Line(NamedTuple):
    """A kind, what of it was measured, and its seconds."""

    kind: str
    what: str
    seconds: float


def vectors(rows: int, dim: int, seed: int) -> np.ndarray:
    """Unit vectors around a shared direction, as an encoder's are."""
    chance = np.random.default_rng(seed)
    x = chance.standard_normal((rows, dim), np.float32) + np.float32(0.7)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(arguments: argparse.Namespace) -> list[Line]:
    """Every kind once. Centres are drawn and not learnt: k-means is `benchmarks.deduplicate`'s."""
    rows, dim = arguments.rows, arguments.dim
    image, text = vectors(rows, dim, 0), vectors(rows, dim, 1)
    target, centre = vectors(arguments.target, dim, 2), vectors(arguments.clusters, dim, 3)

    def blocks() -> list[tuple[int, np.ndarray]]:
        return [(a, image[a : a + BLOCK_ROWS]) for a in range(0, rows, BLOCK_ROWS)]

    def score() -> None:
        for a in range(0, rows, AT_ONCE):
            own = image[a : a + AT_ONCE]
            pair_similarity(own, text[a : a + AT_ONCE].astype(np.float64), np.arange(len(own)))

    def contrast() -> None:
        takes = image.__getitem__, text.__getitem__
        negclip_loss(*takes, rows, SCALE, arguments.batch_size, 1, 0)

    def copies(order: str) -> None:
        at = centres.place(image.__getitem__, cluster, centre, order, 0)  # ty: ignore
        greatest(image.__getitem__, cluster, at)

    of = f"target of {arguments.target:,}"
    within = f"{arguments.clusters:,} clusters"
    lines = [
        Line("clip-score", "one caption a row", timed(score)),
        Line(
            "norm-sim", f"p = infinity, {of}", timed(lambda: norms.infinity(blocks, target, rows))
        ),
        Line("norm-sim", f"p = 2, {of}", timed(lambda: norms.two(blocks(), target, rows))),
        Line("negclip-loss", f"one pass, batches of {arguments.batch_size:,}", timed(contrast)),
    ]
    start = time.perf_counter()
    cluster = centres.assign(blocks(), centre, rows)
    lines.append(Line("clusters", f"{within}, assignment", time.perf_counter() - start))
    hit(cluster, len(centre))
    lines.append(Line("near-copies", f"{within}, pool", timed(lambda: copies("pool"))))
    lines.append(Line("near-copies", f"{within}, farthest", timed(lambda: copies("farthest"))))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--target", type=int, default=5000)
    parser.add_argument("--clusters", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--note", default="", help="of what else the machine did, for the table")
    parser.add_argument("--write", type=Path, help=f"write the table, as in {TABLE.name}")
    arguments = parser.parse_args()
    lines = "".join(
        f"| `{one.kind}` | {one.what} | {one.seconds:.1f} | {arguments.rows / one.seconds:,.0f} |\n"
        for one in measure(arguments)
    )
    text = (
        f"# Signals of {arguments.rows:,} rows of {arguments.dim} dimensions\n\n"
        f"`python -m benchmarks.signals --rows {arguments.rows} --dim {arguments.dim} --target "
        f"{arguments.target} --clusters {arguments.clusters} --batch-size {arguments.batch_size}` "
        f"on {describe('torch', 'numpy')}, {torch.get_num_threads()} threads. {arguments.note}\n\n"
        "| kind | what | seconds | rows a second |\n| --- | --- | ---: | ---: |\n" + lines
    )
    show(text, arguments.write)


if __name__ == "__main__":
    main()
