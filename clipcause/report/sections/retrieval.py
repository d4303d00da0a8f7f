"""Test sets of captions: R@k by condition, beside the random split's."""

from typing import Any

from clipcause.evaluate.retrieval import DEPTHS
from clipcause.report.colours import colours
from clipcause.report.content import Content
from clipcause.report.outline import Outline
from clipcause.report.sections.conditions import accuracy, kind
from clipcause.report.sections.elements import Cell, Mark, Row, Small, grouped
from clipcause.report.tables.retrieval import DIRECTIONS, Asked, Line


def view(content: Content) -> dict[str, Any] | None:
    """Every such test set; None in a study without any."""
    found = [
        _of_test(content, test, asked) for test, asked in content.retrieval.items() if asked.lines
    ]
    return {"sets": found, "looks": len(DEPTHS) * len(DIRECTIONS)} if found else None


def _of_test(content: Content, test: str, asked: Asked) -> dict[str, Any]:
    study = content.study
    # R@1 of images by their similarity to the training data: splits have a line each; of those on
    # random splits the key above speaks
    binned = [row for row in content.rows("retrieval_bins") if row["test"] == test]
    dash = {name: "5 3" * (one.split in study.controls) for name, one in study.conditions.items()}
    colour, names = colours(study), dict.fromkeys(row["split"] for row in binned)
    return {
        "name": test,
        "images": f"{asked.images:,}",
        "captions": f"{asked.captions:,}",
        "chance": f"{100 / asked.captions:.1g}",
        "head": [
            Cell(f"{name}\n", (Small(direction),))
            for direction in DIRECTIONS.values()
            for name in (*(f"R@{depth}" for depth in DEPTHS), "median rank")
        ],
        "rows": [_row(study, line) for line in asked.lines],
        "panels": grouped(content, "retrieval", "test")[test],
        "marks": [(Mark(colour[name], "line", dash[name]), name) for name in names],
        "binned": grouped(content, "retrieval_bins", "test").get(test, []),
    }


def _row(study: Outline, line: Line) -> Row:
    cells = []
    for direction in DIRECTIONS:
        for one in (line.recalls[direction, depth] for depth in DEPTHS):
            gap = one.against.difference if one.against else None
            cells.append(accuracy(one.share.value, gap))
        cells.append(Cell(f"{line.median[direction]:g}"))
    return Row(line.condition.name, cells, kind(study, line.condition.split))
