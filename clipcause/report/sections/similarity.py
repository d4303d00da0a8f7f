"""How near the test images are to the training data, and accuracy by that."""

from typing import Any

from clipcause.report import published
from clipcause.report.content import Content
from clipcause.report.decimals import listed
from clipcause.report.figures import lines
from clipcause.report.figures.similarity import splits
from clipcause.report.sections.conditions import line, rows
from clipcause.report.sections.elements import NONE, Cell, Small, grouped, panels
from clipcause.report.tables.similarity import Order


def similarity(content: Content) -> dict[str, Any]:
    """Histograms of nearest similarity, a panel per split and test set."""
    _, more = splits(content.study)
    return {
        "further": further(more, "split"),
        "sets": grouped(content, "similarity", "test"),
    }


def bins(content: Content) -> dict[str, Any]:
    """Accuracy in bins of similarity, and its rank correlation."""
    study, shown = content.study, lines.shown(content.study)
    theirs = published.load().spearman
    known = [f"{theirs[test]} on {test}" for test in study.tests if test in theirs]
    return {
        "marks": [(line(study, name), name) for name in shown],
        "panels": panels(content, "binned"),
        "further": further(len(study.conditions) - len(shown), "condition"),
        "rows": rows(study, lambda name, test: _rank(content.orders[name, test])),
        "published": listed(known),
    }


def _rank(found: Order) -> Cell:
    value, counted = found.spearman, f"{found.bins} bins"
    if found.left_out:
        counted += f", {found.left_out} left out"
    return Cell(NONE if value is None else f"{value:.2f}", (Small(counted),))


def further(count: int, what: str) -> str:
    """How many are not drawn; empty where all are."""
    if count <= 0:
        return ""
    are = "s are" if count > 1 else " is"
    return f"{count} further {what}{are} not drawn here; the tables of the plots have all."
