"""How sure the differences from controls are: tables, forest plot, sentences."""

from typing import Any

from clipcause.report.colours import GREY, colours
from clipcause.report.content import Content
from clipcause.report.decimals import fixed, points
from clipcause.report.sections.elements import Cell, Mark, Row, Small, panels
from clipcause.report.tables.comparisons import AIM
from clipcause.report.verdicts import cells, method, p_value, sentences

POINTS = (Small("points"),)


def view(content: Content) -> dict[str, Any] | None:
    """None where nothing has a random split."""
    found = content.compared
    if not found:
        return None
    colour = colours(content.study)
    return {
        "sentences": sentences(found, "controls of the same size"),
        "effects": panels(content, "effects"),
        "panels": panels(content, "comparisons"),
        "head": [
            *("training data", "control", "runs", "test set", Cell("difference\n", POINTS)),
            *("95 % interval", "p"),
            *("p after Holm", Cell("smallest detectable\n", POINTS), "beyond noise"),
        ],
        "rows": [
            Row(
                Cell(one.name, mark=Mark(colour.get(one.name, GREY))),
                [one.other, " + ".join(map(str, one.found.runs)), one.test, *cells(one)],
            )
            for one in found
        ],
        "power_head": [
            *("test set", "model", Cell("sd of runs\n", POINTS), Cell("error\n", POINTS)),
            *("share of runs", Cell("least\n", POINTS), Cell("least after Holm\n", POINTS)),
            *(f"runs for {points(AIM)} points", "p of equal noise"),
        ],
        "power": [
            Row(
                Cell(row["test"]),
                [
                    row["model"],
                    *(fixed(row[name], 1) for name in ("noise", "error")),
                    f"{100 * row['of_runs']:.0f} %",
                    *(fixed(row[name], 1) for name in ("least", "least_holm")),
                    "–" if row["needed"] is None else str(row["needed"]),
                    "–" if row["bartlett"] is None else p_value(row["bartlett"]),
                ],
            )
            for row in content.rows("power")
        ],
        "method": method(found),
    }
