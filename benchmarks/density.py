"""Counting rows about thresholds, exactly, against ways that are simpler, interleaved in one run.

    python -m benchmarks.density                      # 20,000 x 2,000 x 512
    OMP_NUM_THREADS=1 python -m benchmarks.density --rounds 5

Every method gives, per test image, how many pool rows lie above its threshold and above the lower
edge of each band. The plain ones see the vectors as float32 or float64, converted off their clock;
the conversion from float16 is on ours. Only the ratios mean something on a machine that is shared:
rounds are interleaved and medians are taken.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.score_pool import machine, world
from clipcause.search import nearest
from clipcause.search.counts import count_above
from clipcause.search.engine import choose

TABLE = Path(__file__).with_suffix(".md")
BLOCK = 4096
BANDS = (0.01, 0.02, 0.05)


def plain(pool_ND: torch.Tensor, query_QD: torch.Tensor, edge_QE: torch.Tensor) -> torch.Tensor:
    """Products in blocks, then a comparison for every edge: not exact in float32."""
    count_EQ = torch.zeros(edge_QE.T.shape, dtype=torch.int64)
    for a in range(0, len(pool_ND), BLOCK):
        sim_QN = query_QD @ pool_ND[a : a + BLOCK].T
        for e in range(edge_QE.shape[1]):
            count_EQ[e] += (sim_QN > edge_QE[:, e, None]).sum(1)
    return count_EQ.T


def methods(
    pool_ND: np.ndarray, query_QD: np.ndarray, edge_QE: np.ndarray
) -> dict[str, Callable[[], np.ndarray]]:
    """Name to a call that does the whole work."""
    engine = choose()

    def ours(engine: str) -> Callable[[], np.ndarray]:
        return lambda: count_above(pool_ND, query_QD, edge_QE, engine=engine)[0]

    found = {f"count_above, {engine}": ours(engine)}
    if engine != "float32":
        found["count_above, float32"] = ours("float32")
    for name, kind in (("float32", torch.float32), ("float64, the definition", torch.float64)):
        given = [torch.from_numpy(x).to(kind) for x in (pool_ND, query_QD, edge_QE)]
        found[f"torch {name}: products and comparisons"] = lambda given=given: plain(*given).numpy()
    return found


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--reference", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help=f"write the table here (the kept one: {TABLE})")
    args = parser.parse_args()
    torch.set_float32_matmul_precision("highest")
    pool_ND, query_QD = world(args.rows, args.dim, 1), world(args.queries, args.dim, 2)
    # copies of the reference's first images, so that there are ties with thresholds
    reference_ND = world(args.reference, args.dim, 3)
    threshold_Q, row_Q = nearest(query_QD, reference_ND)
    copied = np.unique(row_Q)[: args.rows // 10]
    pool_ND[: len(copied)] = reference_ND[copied]
    edge_QE = np.stack([threshold_Q, *(threshold_Q - band for band in BANDS)], 1)
    calls = methods(pool_ND, query_QD, edge_QE)
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    answers = {}
    for turn in range(args.rounds):
        for name, call in calls.items():
            wall = time.perf_counter()
            answers[name] = call()
            seconds[name].append(time.perf_counter() - wall)
            print(f"round {turn + 1}: {seconds[name][-1]:7.2f} s  {name}", file=sys.stderr)
    table = report(args, seconds, answers)
    print(table)
    if args.write:
        args.write.write_text(table)


def report(
    args: argparse.Namespace, seconds: dict[str, list[float]], answers: dict[str, np.ndarray]
) -> str:
    """The table in Markdown."""
    true_QE = list(answers.values())[-1]
    ours = np.array(next(iter(seconds.values())))
    near = true_QE[:, -1].sum() / (args.rows * args.queries)
    lines = [
        f"# Rows about thresholds, {args.rows:,} x {args.queries:,} x {args.dim}",
        "",
        f"`python -m benchmarks.density`: {machine()}. "
        f"Medians of {args.rounds} interleaved rounds; a small size, for the machine was shared.",
        "",
        "| method | seconds | times the first row | test images with a wrong count |",
        "|---|---:|---:|---:|",
    ]
    for name, taken in seconds.items():
        wrong = int((answers[name] != true_QE).any(1).sum())
        times = np.median(np.array(taken) / ours)
        lines.append(f"| {name} | {np.median(taken):.2f} | {times:.2f} | {wrong:,} |")
    lines += [
        "",
        f"{100 * near:.2f} % of all pairs lie above the lowest edge, threshold - {BANDS[-1]:g}: "
        "the rarer they are, the more of them the bfloat16 products leave out. A count is wrong "
        "where it is not that of float64, mostly at copies of the image that sets a threshold.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
