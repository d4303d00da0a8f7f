"""The page's section on splits of one rule by several yardsticks."""

from html import escape

from clipcause.report import charts, colours, decimals, yardstick_chart
from clipcause.report.content import Content
from clipcause.report.decimals import percent, points
from clipcause.report.markup import chip, data_table, difference, panels, paragraph, table_row
from clipcause.report.study import Study
from clipcause.report.tables.accuracy import Line
from clipcause.report.tables.agreement import Agreement, Family, Member, measure, rows

TITLE = "Other yardsticks"
DASH = "–"


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
        lines.append(table_row(f"{_named(study, one)}<small>{measure(one)}</small>", cells))
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
        pair = f"{measure(one.first)} and {measure(one.second)}"
        lines.append(table_row(escape(pair), cells))
    head = [
        "yardsticks",
        "removed by both",
        "of the smaller one",
        "Jaccard",
        "by chance",
        "at one size",
    ]
    every = [
        row for row in rows(content.study, content.agreements) if row["rule"] == found.family.rule
    ]
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
            lines.append(table_row(f"{_named(study, one)}<small>{measure(one)}</small>", cells))
    missing = ""
    if without:
        missing = paragraph(f"No run learns from {decimals.listed(without)}.", "soft")
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
    return chip(colours.colours(study)[one.name]) + escape(one.name)
