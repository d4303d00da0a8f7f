"""How far splits of one base removed the same images."""

from clipcause.report.conditions import is_classwise
from clipcause.report.figures.encodings import EQUAL, GAIN, matrix, squares
from clipcause.report.figures.figure import Chart, Drawn, Figure, Found, Rows, distinct, only

MOST = 24  # splits of one matrix
MANY = 14  # whose names stand steeper


def chart(of: Drawn) -> Chart:
    """Jaccard index of what two splits removed, as numbers on squares."""
    names = distinct(of.own, "first")
    cell = matrix("second", "first", names, -35 if len(names) < MANY else -55)
    return squares(cell, "jaccard", len(names), domain=[0, 1], range=[EQUAL, GAIN])


def splits(found: Found) -> dict[str, list[str]]:
    """By base the splits of its matrix: where not all fit, those that no rule chose by class."""
    rows, rules, chosen = found.rows("overlap"), found.study.rules, {}
    for base in distinct(rows, "base"):
        names = distinct(only(rows, base=base), "first")
        plain = [name for name in names if not is_classwise(rules[name])]
        few = (plain if len(plain) > 1 else names)[:MOST]
        chosen[base] = names if len(names) <= MOST else few
    return chosen


def rows(found: Found) -> Rows:
    """The pairs of these."""
    known = {base: set(names) for base, names in splits(found).items()}
    return [
        row for row in found.rows("overlap") if {row["first"], row["second"]} <= known[row["base"]]
    ]


FIGURE = Figure(
    "overlap", "Overlap of what splits removed", ("second", "first"), chart, rows=rows,
    by=("base",), alike=False, file="alone", each=True, column="rev", row="base",
    label="Jaccard index of what splits of {base} removed; the table below has the numbers.",
    heading="How far splits of “{base}” removed the same images",
    caption="Jaccard index of the removed images.",
)  # fmt: skip
