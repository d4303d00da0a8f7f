"""How much is kept: the table of docs/curation.md, of what the two studies left.

    python -m benchmarks.shares_findings --write

A line a method: the difference of accuracy, averaged over the test sets, at 75, 50 and 25 % of the
base kept; 50 % is `icons-curation`, with five runs, the others `icons-curation-shares`, with three.
"""

from pathlib import Path

from benchmarks.curation_findings import DASH, averages, effect
from benchmarks.findings import command, markdown, placed
from clipcause.report.tables.properties import ALIKE, RANDOM

RESULTS = Path("studies/icons-curation-shares")
HALF = Path("studies/icons-curation")
DOCUMENT = Path("docs/curation.md")
SHARES = (75, 50, 25)
BESIDE = {RANDOM: "random", ALIKE: "same classes"}
HEADS = ["rows are chosen by", *(f"{s} %, {b}" for b in BESIDE.values() for s in SHARES)]


def tables(results: Path = RESULTS, half: Path = HALF) -> dict[str, str]:
    """The table by the name of its mark; in the order of the effect of a quarter beside random
    rows."""
    found: dict[str, dict[tuple[str, int], str]] = {}
    for row in [*averages(results), *averages(half)]:
        share = round(100 * float(row["kept"]))
        found.setdefault(row["property"], {})[row["alike"], share] = effect(row)
    lines = [
        [method, *(of.get((alike, share), DASH) for alike in BESIDE for share in SHARES)]
        for method, of in found.items()
        if all((alike, share) in of for alike in BESIDE for share in SHARES)
    ]
    return {"shares": markdown(HEADS, lines)}


def filled(text: str, results: Path = RESULTS) -> str:
    """The document with the table between its marks."""
    return placed(text, tables(results), DOCUMENT)


if __name__ == "__main__":
    command(__doc__, RESULTS, DOCUMENT, tables)
