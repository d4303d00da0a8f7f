"""Splits of one rule by several yardsticks: how alike is what they removed, and what that did."""

from html import escape

from clipcause.config.other_scores import MAIN, NONE
from clipcause.report import charts, series, words, yardstick_chart
from clipcause.report.agreement import Agreement, Family, Member
from clipcause.report.content import Content
from clipcause.report.markup import chip, data_table, difference, panels, paragraph, table_row
from clipcause.report.series import Rows
from clipcause.report.study import Study
from clipcause.report.table import Line, percent, points

TITLE = "Other yardsticks"
DASH = "–"
COLUMNS = (
    "rule", "pair", "first", "second", "removed_first", "removed_second", "both", "jaccard",
    "chance", "same_size", "colour",
)  # fmt: skip


def rows(content: Content) -> Rows:
    """A line per pair of splits of a family, for CSV and plot."""
    colour = series.colours(content.study)
    return [
        {
            "rule": found.family.rule,
            "pair": f"{_measure(one.first)} and {_measure(one.second)}",
            "first": one.first.name,
            "second": one.second.name,
            "removed_first": len(one.first.removed),
            "removed_second": len(one.second.removed),
            "both": one.both,
            "jaccard": round(one.jaccard, 6),
            "chance": round(one.chance, 6),
            "same_size": None if one.same_size is None else round(one.same_size, 6),
            "colour": colour[one.second.name],
        }
        for found in content.agreements
        for one in found.overlaps
    ]


def tables(content: Content) -> dict[str, tuple[tuple[str, ...], Rows]]:
    """The data of the plot, by name, with its columns."""
    return {"yardsticks": (COLUMNS, rows(content))}


def figures(content: Content) -> dict[str, charts.Spec]:
    """The figure by name; none where no rule has several yardsticks."""
    every = rows(content)
    if not every:
        return {}
    drawn = yardstick_chart.panel(list(dict.fromkeys(row["pair"] for row in every)))
    titles = list(dict.fromkeys(row["rule"] for row in every))
    data = [{**row, "test": row["rule"]} for row in every]  # a panel per rule
    return {"yardsticks": charts.figure(
        drawn, data, titles, "How alike is what different yardsticks remove",
        "Filled: Jaccard index of the removed rows. Hollow: of random choices of the same sizes.",
    )}  # fmt: skip


def part(content: Content) -> str:
    """The section; empty where no rule has splits of several yardsticks."""
    study = content.study
    if not content.agreements:
        return ""
    html = paragraph(
        "Is what pruning removed a matter of the images, or of the encoder and the reference that "
        "measured them? These splits differ in nothing but their yardstick. A low index says that "
        "another choice of yardstick would have been another experiment; how many rows a yardstick "
        "removes depends on how near the reference comes by it, so sizes differ too. Near, far and "
        "core rules do not look at the reference: another one alone changes nothing for them."
    )
    for found in content.agreements:
        family = found.family
        html += f"<h3>{escape(family.rule[0].upper() + family.rule[1:])}</h3>\n"
        html += _removed(study, family) + _pairs(content, found) + _results(content, family)
    return html + paragraph(
        "Histograms, gaps and bins of similarity elsewhere on this page are measured by the "
        "study's own encoder and reference, whatever yardstick a split names.",
        "soft",
    )


def _removed(study: Study, family: Family) -> str:
    lines = []
    for one in family.members:
        count = len(one.removed)
        share = percent(count / family.base) if family.base else DASH
        cells = [
            f'<span class="text">{escape(one.encoder)}</span>',
            f'<span class="text">{escape(one.reference)}</span>',
            f"{count:,}",
            share,
        ]
        lines.append(table_row(f"{_named(study, one)}<small>{_measure(one)}</small>", cells))
    head = [
        "split<br><small>yardstick</small>",
        '<span class="text">encoder</span>',
        '<span class="text">reference</span>',
        "removed rows",
        "share of the base",
    ]
    return data_table(f"What each yardstick removed of {family.base:,} rows.", head, lines)


def _pairs(content: Content, found: Agreement) -> str:
    lines = []
    for one in found.overlaps:
        least = min(len(one.first.removed), len(one.second.removed))
        cells = [
            f"{one.both:,}",
            percent(one.both / least) if least else DASH,
            f"{one.jaccard:.3f}",
            f"{one.chance:.3f}",
            DASH if one.same_size is None else percent(one.same_size),
        ]
        pair = f"{_measure(one.first)} and {_measure(one.second)}"
        lines.append(table_row(escape(pair), cells))
    head = [
        "yardsticks",
        "removed by both",
        "of the smaller one",
        "Jaccard",
        "by chance",
        "at one size",
    ]
    every = [row for row in rows(content) if row["rule"] == found.family.rule]
    label = "Jaccard index of what pairs of yardsticks removed; the table beside has the numbers."
    drawn = charts.inline(yardstick_chart.panel([row["pair"] for row in every]), every, label)
    caption = (
        "How alike what they removed is: 1 is the same rows, 0 none in common. By chance: what "
        "random choices of the same sizes would have. At one size: of the rows that the yardstick "
        "which removed fewer took, the share that the other would have taken too, had it taken as "
        "many, those of its highest margins."
    )
    return data_table(caption, head, lines) + panels(
        [("Filled: Jaccard index. Hollow: by chance.", drawn)], wide=True
    )


def _results(content: Content, family: Family) -> str:
    """Accuracies beside each other, each with the difference from its own random split."""
    study = content.study
    by_split: dict[str, list[Line]] = {}
    for line in content.lines:
        if not line.condition.is_supervised:
            by_split.setdefault(line.condition.split, []).append(line)
    lines, without = [], []
    for one in family.members:
        if one.name not in by_split:
            without.append(one.name)
        for line in by_split.get(one.name, []):
            cells = [_cell(line, test) for test in study.tests]
            lines.append(table_row(f"{_named(study, one)}<small>{_measure(one)}</small>", cells))
    missing = ""
    if without:
        missing = paragraph(f"No run learns from {words.listed(without)}.", "soft")
    if not lines:
        return missing
    caption = (
        "Top-1 accuracy in %, and points above (+) or below (−, worse) the random split of the "
        "same size with their 95 % interval. Compare the differences, not the accuracies: splits "
        "have different sizes."
    )
    return data_table(caption, ["training data", *study.tests], lines) + missing


def _cell(line: Line, test: str) -> str:
    found = line.cells[test]
    text = points(found.top1.value)
    if found.difference is None:
        return text
    return f"{text}{difference(found.difference)}"


def _named(study: Study, one: Member) -> str:
    return chip(series.colours(study)[one.name]) + escape(one.name)


def _measure(one: Member) -> str:
    return MAIN if one.yardstick == NONE else one.yardstick
