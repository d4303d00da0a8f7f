"""The page's section on the two matrices."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from clipcause.report import charts, colours, similarity_page
from clipcause.report.content import Content
from clipcause.report.decimals import signed
from clipcause.report.markup import chip, data_table, details, paragraph, table_row
from clipcause.report.matrix_charts import accuracy_panel, overlap_panel
from clipcause.report.matrix_figures import drawn_splits, pairs_of, rows_of
from clipcause.report.study import Study
from clipcause.report.tables import tabular
from clipcause.report.tables.accuracy import Line
from clipcause.report.tables.matrix import accuracy_rows, overlap_rows
from clipcause.report.tables.tabular import Rows

TITLE = "Every split on every test set"


def part(content: Content) -> str:
    """The section."""
    return _accuracies(content) + _overlaps(content.study)


def _accuracies(content: Content) -> str:
    study = content.study
    shown, tests = charts.lines_of(study), list(study.tests)
    rows = accuracy_rows(study, content.lines)
    svg = charts.inline(
        accuracy_panel(shown, tests),
        rows_of(rows, shown),
        "Top-1 accuracy of every split on every test set, coloured by its difference from the "
        "random split of its size; the table below has the numbers.",
    )
    text = (
        "Is what a split loses specific to the test set that it was pruned for? Each cell: top-1 "
        "accuracy in %, and below it the points above (+) or below (−) the random split of "
        "the same size. Blue is above, orange below, white has no such split; a star: the 95 % "
        "paired-bootstrap interval over test images leaves out zero, for this cell alone, without "
        "a correction for the number of cells."
    )
    html = paragraph(text) + f'<div class="matrix">{svg}</div>\n'
    if (left_out := len(study.conditions) - len(shown)) > 0:
        html += paragraph(f"{left_out} further conditions are in the table only.", "soft")
    return html + details("Table", _accuracy_table(study, content.lines, rows))


def _accuracy_table(study: Study, lines: Sequence[Line], rows: Rows) -> str:
    of = {(row["split"], row["test"]): row for row in rows}
    made = []
    for line in lines:
        one = line.condition
        cells = [_cell(of[one.name, test]) for test in study.tests]
        kind = "random" if one.split in study.twins else ""
        made.append(table_row(similarity_page.named(study, one, link=True), cells, kind))
    return data_table(
        "Points above (+) or below (−) the random split of the same size, their 95 % "
        "interval, and the accuracy in %; of a condition without such a split the accuracy alone.",
        ["training data", *study.tests],
        made,
    )


def _cell(row: Mapping[str, Any]) -> str:
    accuracy = f"{row['said']} %"
    if row["difference"] is None:
        return f"–<small>{accuracy}</small>"
    low, high = signed(row["low"] / 100), signed(row["high"] / 100)
    return f"{signed(row['difference'] / 100)}<small>[{low}, {high}]<br>{accuracy}</small>"


def _overlaps(study: Study) -> str:
    rows, drawn = overlap_rows(study), drawn_splits(study)
    if not drawn:
        return ""
    html = "<h3>What splits removed in common</h3>\n" + paragraph(
        "The Jaccard index of two splits: images that both removed, over images that either did; "
        "1 is the same images, 0 none in common. Only splits of the same base are compared, and "
        "what larger splits have in common is larger by chance alone: the table has beside each "
        "number what two random choices of these sizes would have. Random splits drawn with one "
        "seed have more in common than that: the smaller one is a part of the larger one."
    )
    for base, names in drawn.items():
        pairs = pairs_of(rows, base, names)
        label = f"Jaccard index of what splits of {base} removed; the table below has the numbers."
        svg = charts.inline(overlap_panel(names), pairs, label)
        of = {(row["first"], row["second"]): row for row in pairs}
        colour = colours.colours(study)
        lines = [
            table_row(
                chip(colour[first], hollow=first in study.twins) + escape(first),
                [
                    f"{of[first, first]['removed_first']:,}",
                    *(_pair(of[first, second]) for second in names),
                ],
                tabular.RANDOM if first in study.twins else "",
            )
            for first in names
        ]
        every = {row["first"] for row in rows if row["base"] == base}
        caption = (
            f"Splits of “{base}” ({len(study.splits[base]):,} images): how many images each "
            "removed, and the Jaccard index of pairs with what chance would give."
        )
        if len(names) < len(every):
            caption += f" {len(every) - len(names)} further splits are in plots/overlap.csv only."
        head = ["split", "removed", *map(escape, names)]
        html += (
            f'<div class="matrix">{svg}</div>\n'
            + details(f"Table of splits of {base}", data_table(caption, head, lines))
        )  # fmt: skip
    return html


def _pair(row: Mapping[str, Any]) -> str:
    if row["first"] == row["second"]:
        return "1"
    return f"{row['jaccard']:.2f}<small>chance {row['chance']:.2f}</small>"
