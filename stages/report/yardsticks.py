"""Splits of one rule by several yardsticks: how alike is what they removed, and what that did.

A family is all splits that differ in nothing but their yardstick (another encoder, another
reference). How far its members agree is the Jaccard index of the rows that they removed, beside
what two random choices of the same sizes would have.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import combinations
from typing import Any

from stages.artifacts import split
from stages.artifacts.split import Split
from stages.parameters import FILE, read, yardsticks
from stages.parameters.splits import NONE, Hull, Ranked, Rule, Scored
from stages.parameters.yardsticks import MAIN, Yardstick
from stages.report import charts, measured, pictures, series, words, yardstick_chart
from stages.report.content import Content
from stages.report.markup import chip, data_table, panels, paragraph, table_row
from stages.report.series import Rows
from stages.report.study import Study
from stages.report.table import Line, percent, points

TITLE = "Other yardsticks"
DASH = "–"
COLUMNS = (
    "rule", "pair", "first", "second", "removed_first", "removed_second", "both", "jaccard",
    "chance", "same_size", "colour",
)  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A split of a family, by what it was measured, and the rows of its base that it lacks."""

    name: str
    yardstick: str  # none: the study's own encoder and reference
    encoder: str
    reference: str
    removed: Split


@dataclass(frozen=True)
class Family:
    """Splits that differ in their yardstick alone."""

    rule: str
    base: int  # rows
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Overlap:
    """What two members removed, in rows, and how alike it is."""

    first: Member
    second: Member
    both: int
    jaccard: float
    chance: float
    # of hull splits: the share that the rows which the one that removed fewer took have among as
    # many of the other's highest margins; None of other rules, whose splits have one size
    same_size: float | None


def families(study: Study) -> list[Family]:
    """Every rule with splits of several yardsticks; the study's own measure comes first."""
    reference = str(read(FILE).get("reference"))
    found: dict[str, list[str]] = {}
    for name, rule in study.rules.items():
        if isinstance(rule, Scored):
            found.setdefault(_without(rule), []).append(name)
    made = []
    for names in found.values():
        if len({measured.yardstick(study.rules[name]) for name in names}) < 2:
            continue
        first = study.rules[names[0]]
        assert isinstance(first, Hull | Ranked)
        names = sorted(names, key=lambda name: measured.yardstick(study.rules[name]) != NONE)
        members = tuple(_member(study, name, reference) for name in names)
        made.append(Family(_title(first), len(study.base_of(names[0])), members))
    return made


def overlaps(study: Study, family: Family) -> Iterator[Overlap]:
    """Every pair of a family's members.

    By chance: two uniform choices of a and b of n rows share a b / n on average, and that over
    what remains of a + b is the index that they would have.
    """
    for first, second in combinations(family.members, 2):
        both = len(split.intersection(first.removed, second.removed))
        a, b = len(first.removed), len(second.removed)
        shared = a * b / family.base
        chance = shared / (a + b - shared) if a + b else 1.0
        jaccard = split.jaccard(first.removed, second.removed)
        yield Overlap(first, second, both, jaccard, chance, _same_size(study, first, second))


def rows(study: Study) -> Rows:
    """A line per pair of splits of a family, for CSV and plot."""
    colour = series.colours(study)
    return [
        {
            "rule": family.rule,
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
        for family in families(study)
        for one in overlaps(study, family)
    ]


def tables(content: Content) -> dict[str, tuple[tuple[str, ...], Rows]]:
    """The data of the plot, by name, with its columns."""
    return {"yardsticks": (COLUMNS, rows(content.study))}


def figures(content: Content) -> dict[str, charts.Spec]:
    """The figure by name; none where no rule has several yardsticks."""
    every = rows(content.study)
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
    found = families(study)
    if not found:
        return ""
    html = paragraph(
        "Is what pruning removed a matter of the images, or of the encoder and the reference that "
        "measured them? These splits differ in nothing but their yardstick. A low index says that "
        "another choice of yardstick would have been another experiment; how many rows a yardstick "
        "removes depends on how near the reference comes by it, so sizes differ too. Near, far and "
        "core rules do not look at the reference: another one alone changes nothing for them."
    )
    for family in found:
        html += f"<h3>{escape(family.rule[0].upper() + family.rule[1:])}</h3>\n"
        html += _removed(study, family) + _pairs(study, family) + _results(content, family)
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


def _pairs(study: Study, family: Family) -> str:
    lines, found = [], list(overlaps(study, family))
    for one in found:
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
    every = [row for row in rows(study) if row["rule"] == family.rule]
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
        "Top-1 accuracy in %, and points below the random split of the same size with their 95 % "
        "interval. Compare the differences, not the accuracies: splits have different sizes."
    )
    return data_table(caption, ["training data", *study.tests], lines) + missing


def _cell(line: Line, test: str) -> str:
    found = line.cells[test]
    text = f"{100 * found.top1.value:.1f}"
    if found.drop is None:
        return text
    low, high = points(found.drop.low), points(found.drop.high)
    return f"{text}<small>{points(found.drop.value)} [{low}, {high}]</small>"


def _named(study: Study, one: Member) -> str:
    return chip(series.colours(study)[one.name]) + escape(one.name)


def _measure(one: Member) -> str:
    return MAIN if one.yardstick == NONE else one.yardstick


def _member(study: Study, name: str, reference: str) -> Member:
    used = measured.yardstick(study.rules[name])
    own = Yardstick(encoder=MAIN, run=NONE, reference=reference)
    found = own if used == NONE else yardsticks.load(used)
    gone = split.difference(study.base_of(name), study.splits[name])
    return Member(name, used, measured.said(found, study.encoder), found.reference, gone)


def _same_size(study: Study, first: Member, second: Member) -> float | None:
    rule = study.rules[first.name]
    fewer, more = sorted((first, second), key=lambda one: len(one.removed))
    other = study.rules[more.name]
    if not isinstance(rule, Hull) or not isinstance(other, Hull) or not len(fewer.removed):
        return None
    found = measured.by(study, other).scores
    top = pictures.highest(
        study.base_of(more.name), [found[test] for test in other.tests], len(fewer.removed)
    )
    return len(split.intersection(split.from_rows(top), fewer.removed)) / len(fewer.removed)


def _title(rule: Hull | Ranked) -> str:
    """A family's name: rule, test sets, and what else the rule states."""
    text = f"{rule.rule} for {words.listed(rule.tests)}, of {rule.base}"
    if isinstance(rule, Hull):
        return f"{text}, delta {rule.delta:g}" if rule.delta else text
    kept = getattr(rule, "keep", None)
    return text if kept is None else f"{text}, keep {kept}"


def _without(rule: Rule) -> str:
    """What a rule says beside its yardstick; the order of its test sets says nothing."""
    values: dict[str, Any] = rule.model_dump(by_alias=True)
    values.pop("scores", None)
    values["tests"] = sorted(values["tests"])
    return str(sorted(values.items(), key=lambda item: item[0]))
