"""How sure the differences from random splits are: table, forest plot, sentences."""

from typing import Any

from clipcause.report.colours import GREY, colours
from clipcause.report.content import Content
from clipcause.report.sections.elements import Cell, Mark, Row, Small, panels
from clipcause.report.verdicts import cells, method, sentences

POINTS = (Small("points"),)


def view(content: Content) -> dict[str, Any] | None:
    """None where nothing has a random split."""
    found = content.compared
    if not found:
        return None
    colour = colours(content.study)
    return {
        "sentences": sentences(found, "the random split of its size"),
        "panels": panels(content, "comparisons"),
        "head": [
            *("training data", "test set", Cell("difference\n", POINTS), "95 % interval", "p"),
            *("p after Holm", Cell("smallest detectable\n", POINTS), "beyond noise"),
        ],
        "rows": [
            Row(Cell(one.name, mark=Mark(colour.get(one.name, GREY))), [one.test, *cells(one)])
            for one in found
        ],
        "method": method(found),
    }
