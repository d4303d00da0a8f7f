"""The page's section on duplicates of test images."""

from collections.abc import Mapping
from html import escape
from typing import Any

from clipcause.report import colours
from clipcause.report.content import Content
from clipcause.report.decimals import fixed
from clipcause.report.markup import chip, data_table, paragraph, table_row
from clipcause.report.tables.copies import POOL, REFERENCE, rows

TITLE = "Duplicates of test images"


def part(content: Content) -> str:
    """The section."""
    study, threshold = content.study, content.parameters.copy_threshold
    of = {(row["data"], row["test"]): row for row in rows(study, threshold)}
    colour, lines = colours.colours(study), []
    for name in (REFERENCE, POOL, *study.rules):
        dot = "" if name in (REFERENCE, POOL) else chip(colour[name], hollow=name in study.twins)
        cells = [_cell(of[name, test]) for test in study.suite]
        kind = "random" if name in study.twins else ""
        lines.append(table_row(dot + escape(name), cells, kind))
    return (
        paragraph(
            "A test image counts as having a duplicate where its nearest image there has a "
            f"similarity of at least {threshold:g} (report.copy_threshold). That is a statement "
            f"about the encoder “{study.encoder}”, not about pixels: look at the pairs below "
            "“Pictures” before you call them copies. Splits are counted without the reference, "
            "which most runs saw as well."
        )
        + data_table(
            "Share of every test set with a duplicate, in %, its 95 % Wilson interval, and the "
            "number of test images. The published study states, for its own threshold and "
            "encoder, 3.1 % of ImageNet-Sketch in LAION-400M and 0.04 % in ImageNet-Train; "
            "of ImageNet-V2 0.14 % and 2.67 %.",
            ["data", *(f"{test}<small>of {len(study.suite[test]):,}</small>"
                       for test in study.suite)],
            lines,
        )
    )  # fmt: skip


def _cell(row: Mapping[str, Any]) -> str:
    low, high = 100 * row["low"], 100 * row["high"]
    ends = f"[{fixed(low, 1)}, {fixed(high, 1)}]"
    return f"{fixed(100 * row['share'], 1)}<small>{ends}<br>{row['images']:,}</small>"
