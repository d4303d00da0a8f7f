"""Icons drawn a second: our parallel map against a plain loop over the same function.

    python -m benchmarks.rasterise --write benchmarks/rasterise.md

Both draw the same icons of the default pool to 64-pixel PNG (SVG to RGBA by resvg, on white, PNG by
Pillow), in turns in one run. The start of the worker processes is part of the time.
"""

import argparse
import time
from pathlib import Path
from statistics import median

from benchmarks.machine import describe, show
from clipcause.data.sources.icons import draw
from clipcause.icons import catalogue
from clipcause.runtime.parallel import cores, ordered_map

POOL = catalogue.FOLDER / "pool.parquet"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="write the table here as well")
    arguments = parser.parse_args()
    svgs = catalogue.read(POOL)["svg"].slice(0, arguments.icons).to_pylist()
    work = [(svg, 64) for svg in svgs]
    rates: dict[str, list[float]] = {"ours": [], "loop": []}
    for _ in range(arguments.rounds):
        results = {}
        for name in rates:
            start = time.perf_counter()
            results[name] = list(ordered_map(draw, work) if name == "ours" else map(draw, work))
            rates[name].append(len(work) / (time.perf_counter() - start))
        assert results["ours"] == results["loop"], "the same bytes, however many processes"
    ratio = median(a / b for a, b in zip(rates["ours"], rates["loop"], strict=True))
    text = (
        "# Drawing icons\n\n"
        f"`python -m benchmarks.rasterise` on {describe('resvg-py', 'pillow')}. Medians of "
        f"{arguments.rounds} rounds of {len(work):,} icons of the default pool, in turns.\n\n"
        "| how | icons a second |\n|---|---:|\n"
        f"| `clipcause.runtime.parallel.ordered_map`, {cores()} processes "
        f"| {median(rates['ours']):,.0f} |\n"
        f"| plain loop, one process | {median(rates['loop']):,.0f} |\n"
        f"| ratio | {ratio:.2f} |\n"
    )
    show(text, arguments.write)


if __name__ == "__main__":
    main()
