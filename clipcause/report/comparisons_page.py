"""The page's section on how sure differences are."""

from collections.abc import Sequence
from html import escape

from clipcause.report import charts, colours, comparison_chart
from clipcause.report.content import Content
from clipcause.report.markup import (
    chip,
    data_table,
    details,
    key,
    panels,
    paragraph,
    stroke,
    table_row,
)
from clipcause.report.tables.comparisons import Compared, family, rows
from clipcause.report.verdicts import cells, method, sentences

MOST_OPEN = 12  # rows of a table that is not folded away


def part(content: Content) -> str:
    """The section: words, table, forest plot; empty where nothing has a random split."""
    found = family(content.lines)
    if not found:
        return ""
    head = (
        "training data", "test set", "difference<br><small>points</small>", "95 % interval", "p",
        "p after Holm", "smallest detectable<br><small>points</small>", "beyond noise",
    )  # fmt: skip
    shown = [
        table_row(
            chip(colours.colours(content.study).get(one.name, colours.GREY)) + escape(one.name),
            (escape(one.test), *map(escape, cells(one))),
        )
        for one in found
    ]
    table = data_table(
        "Top-1 accuracy minus that of the random split of the same size, by training data and "
        "test set.",
        head,
        shown,
    )
    if len(found) > MOST_OPEN:
        table = details(f"Table of {len(found)} comparisons", table)
    return (
        "".join(paragraph(text) for text in sentences(found, "the random split of its size"))
        + key([
            (chip(colours.GREY), "beyond noise"),
            (chip(colours.GREY, hollow=True), "not beyond noise"),
            (stroke(colours.GREY), "95 % interval"),
            (stroke("#8a8a8a55"), "less than the smallest detectable difference"),
        ])
        + panels(_drawn(content, found))
        + table
        + paragraph(method(found), "soft")
    )  # fmt: skip


def _drawn(content: Content, found: Sequence[Compared]) -> list[tuple[str, str]]:
    """A panel per test set."""
    every = rows(content.study, found)
    order = list(dict.fromkeys(one.name for one in found))
    extent = comparison_chart.extent(every)
    return [
        (
            test,
            charts.inline(
                comparison_chart.panel(order, extent),
                [row for row in every if row["test"] == test],
                f"Difference of accuracy from the random split on {test}, with 95 % intervals; "
                "the table has the numbers.",
            ),
        )
        for test in dict.fromkeys(one.test for one in found)
    ]
