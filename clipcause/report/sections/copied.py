"""Duplicates of test images: the share of every test set that has one in its training data."""

from collections.abc import Mapping
from typing import Any

from clipcause.report.content import Content
from clipcause.report.decimals import fixed
from clipcause.report.sections.conditions import kind, split_name
from clipcause.report.sections.elements import Cell, Row, Small, ranged
from clipcause.report.tables.copies import POOL, REFERENCE


def view(content: Content) -> dict[str, Any]:
    """A row each for the reference, the pool and every split."""
    study = content.study
    of = {(row["data"], row["test"]): row for row in content.rows("copies")}
    lines = [(name, Cell(name)) for name in (REFERENCE, POOL)]
    lines += [(name, split_name(study, name)) for name in study.rules]
    return {
        "sets": [Cell(test, (Small(f"of {len(one):,}"),)) for test, one in study.suite.items()],
        "rows": [
            Row(head, [_cell(of[name, test]) for test in study.suite], kind(study, name))
            for name, head in lines
        ],
    }


def _cell(row: Mapping[str, Any]) -> Cell:
    share, low, high = (fixed(100 * row[name], 1) for name in ("share", "low", "high"))
    return ranged(share, low, high, f"{row['images']:,}")
