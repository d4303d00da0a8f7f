"""The table of README's "Which property?", of what `make repro STUDY=icons-curation` left.

    python -m benchmarks.curation_findings --write

A line a property: the difference of accuracy, averaged over the test sets, from random rows as many
and from rows as many of the same classes, with its interval over images and runs; bold where it is
beyond noise. The whole table, test set by test set, is the study's `report/properties.md`.
"""

import csv
from pathlib import Path

from benchmarks.findings import command, markdown, placed
from clipcause.report.decimals import fixed, signed
from clipcause.report.tables.comparisons import SURE
from clipcause.report.tables.properties import ALIKE, AVERAGE, RANDOM

RESULTS = Path("studies/icons-curation")
DOCUMENT = Path("README.md")
HEADS = ["rows are chosen by", "kept", "beside random rows", "beside rows of the same classes"]
DASH = "–"


def tables(results: Path = RESULTS) -> dict[str, str]:
    """The table by the name of its mark; in the order of the effect beside random rows."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for row in averages(results):
        found.setdefault(row["split"], {})[row["alike"]] = row
    lines = [
        [
            beside[RANDOM]["property"],
            f"{fixed(100 * float(beside[RANDOM]['kept']), 1)} %",
            effect(beside[RANDOM]),
            effect(beside[ALIKE]),
        ]
        for beside in found.values()
        if beside.keys() == {RANDOM, ALIKE}
    ]
    return {"curation": markdown(HEADS, lines)}


def averages(results: Path) -> list[dict[str, str]]:
    """The effects of a study, averaged over its test sets."""
    with (results / "report/plots/properties.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["on"] == AVERAGE]


def effect(row: dict[str, str]) -> str:
    """A difference in points with its interval, bold where it is beyond noise."""
    value, low, high = (signed(float(row[name]) / 100) for name in ("difference", "low", "high"))
    text = f"{value} [{low}, {high}]"
    return f"**{text}**" if row["kind"] == SURE else text


def filled(text: str, results: Path = RESULTS) -> str:
    """The document with the table between its marks."""
    return placed(text, tables(results), DOCUMENT)


if __name__ == "__main__":
    command(__doc__, RESULTS, DOCUMENT, tables)
