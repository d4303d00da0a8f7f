"""Accuracies: of every condition on every test set, and beside those of the published study."""

from typing import Any

from clipcause.report import published
from clipcause.report.content import Content
from clipcause.report.decimals import percent, points
from clipcause.report.figures import lines
from clipcause.report.markdown import note
from clipcause.report.sections.conditions import accuracy, row
from clipcause.report.sections.elements import NONE, Cell, Row, Small, panels

WIDE = 30  # letters of a condition's name that want a plot a column of its own


def view(content: Content) -> dict[str, Any]:
    """The table of all conditions, and its plot."""
    study, rows = content.study, []
    for line in content.lines:
        of = (Small("of the reference"),) if line.condition.is_supervised else ()
        cells = [
            Cell(f"{line.rows:,}", of),
            NONE if line.removed is None else percent(line.removed),
        ]
        found = [line.cells[test] for test in study.tests]
        cells += [accuracy(one.top1.value, one.difference) for one in found]
        rows.append(row(study, line.condition, cells, link=True))
    return {
        "head": [
            *("training data", "pool images", Cell("removed", link="#share-removed")),
            *(
                Cell(f"{test}\n", (Small(f"{len(of):,} images"),))
                for test, of in study.tests.items()
            ),
        ],
        "rows": rows,
        "note": note(study, content.lines),
        "panels": panels(content, "accuracy"),
        "is_wide": max(map(len, lines.own(study))) > WIDE,
    }


def published_view(content: Content) -> dict[str, Any] | None:
    """The published accuracies, and ours where a condition corresponds; None without a test set
    that both have."""
    study, theirs = content.study, published.load()
    by_name = {line.condition.name: line for line in content.lines}
    named = {test for one in theirs.rows for test in one.accuracy}
    tests = [test for test in study.tests if test in named]
    rows = []
    for one in theirs.rows:
        ours = published.counterpart(study, one.ours)
        line = by_name[ours.name] if ours else None
        gone = NONE if line is None or line.removed is None else percent(line.removed)
        cells = [one.removed or NONE, line.condition.name if line else NONE, gone]
        for test in tests:
            cells.append(one.accuracy.get(test, NONE))
            cells.append(points(line.cells[test].top1.value) if line else NONE)
        rows.append(Row(one.name, cells))
    both = [Cell(f"{test}\n", (Small(whose),)) for test in tests for whose in ("paper", "ours")]
    return {"theirs": theirs, "both": both, "rows": rows} if tests else None
