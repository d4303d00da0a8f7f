"""How far the orders of classes by frequency agree."""

from clipcause.report.figures.encodings import matrix, squares
from clipcause.report.figures.figure import Chart, Drawn, Figure, distinct
from clipcause.report.figures.overlap import MANY

COLOURS = ["#d9622b", "#ececec", "#3b82d0"]


def chart(of: Drawn) -> Chart:
    """Spearman's coefficients of every pair, as numbers on squares; darker is higher."""
    names = distinct(of.rows, "first")
    cell = matrix("second", "first", names, -35 if len(names) < MANY else -55)
    return squares(cell, "spearman", len(names), domain=[-1, 0, 1], range=COLOURS)


FIGURE = Figure(
    "sources", "Agreement of class frequencies", ("second", "first"), chart,
    by=(), file="beside", column="rev",
    caption="Spearman's rank correlation of the counts, joined by class id.",
)  # fmt: skip
