"""How sure differences are: every condition against the random splits of its size, as one family.

The family is the report's question: did choosing rows this way matter on this test set, beside
choosing as many at random? It holds every condition that has such a random split on every test set,
and p values are corrected over all of it. Other pairs are for `python -m clipcause compare`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from clipcause.report import charts, comparison_chart, series
from clipcause.report.content import Content
from clipcause.report.decimals import fixed
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
from clipcause.report.study import Study
from clipcause.report.table import Line, path
from clipcause.stats.comparison import ALPHA, MCNEMAR, POWER, Comparison, holm

MOST_OPEN = 12  # rows of a table that is not folded away
NAMED = 8  # differences that a sentence names; of more it says how many
MOST_DECIMALS = 9  # of points: a tenth of an image among a hundred million
NONE = "–"
COLUMNS = (
    "test", "split", "difference", "low", "high", "p", "p_holm", "detectable", "kind", "colour",
)  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """One comparison of a family."""

    name: str  # of what is compared: the first, where all are compared with the same
    other: str
    test: str
    found: Comparison
    p_holm: float

    @property
    def is_sure(self) -> bool:
        """Whether the difference is beyond noise: p below 0.05 after the correction."""
        return self.p_holm < ALPHA


def family(lines: Sequence[Line]) -> list[Compared]:
    """Every condition with the random splits of its size, test set by test set."""
    return corrected([
        (line.condition.name, " ".join(line.condition.twins), test, cell.against)
        for line in lines
        for test, cell in line.cells.items()
        if cell.against
    ])  # fmt: skip


def corrected(found: Sequence[tuple[str, str, str, Comparison]]) -> list[Compared]:
    """Comparisons as one family, by Holm's correction."""
    p_M = holm(np.array([one[-1].p for one in found], np.float64))
    return [Compared(*one, float(p)) for one, p in zip(found, p_M, strict=True)]


def numbers(found: Sequence[Compared]) -> dict[str, Any]:
    """The metrics: differences are shares, condition minus random split.

    ``covers_runs`` is 1 where noise between runs is in interval and p, 0 where a side was trained
    once: what is beyond noise there is beyond the choice of test images alone.
    """
    by_name: dict[str, dict[str, dict[str, float]]] = {}
    for one in found:
        difference = one.found.difference
        values = {
            "difference": difference.value,
            "low": difference.low,
            "high": difference.high,
            "p": one.found.p,
            "p_holm": one.p_holm,
            "covers_runs": int(one.found.covers_runs),
        }
        if one.found.detectable is not None:
            values["detectable"] = one.found.detectable
        by_name.setdefault(path(one.name), {})[one.test] = values
    counts = {
        "comparisons": len(found),
        "beyond_noise": sum(one.is_sure for one in found),
        "beyond_noise_covering_runs": sum(one.is_sure for one in found if one.found.covers_runs),
    }
    return {"random": by_name, "family": counts}


def rows(study: Study, found: Sequence[Compared]) -> series.Rows:
    """The forest plot's data: points, a line per comparison."""
    colour = series.colours(study)
    return [
        {
            "test": one.test,
            "split": one.name,
            "difference": _points(one.found.difference.value),
            "low": _points(one.found.difference.low),
            "high": _points(one.found.difference.high),
            "p": _digits(one.found.p),
            "p_holm": _digits(one.p_holm),
            "detectable": "" if one.found.detectable is None else _points(one.found.detectable),
            "kind": comparison_chart.SURE if one.is_sure else comparison_chart.UNSURE,
            "colour": colour.get(one.name, series.GREY),
        }
        for one in found
    ]


def figures(content: Content) -> dict[str, charts.Spec]:
    """The forest plot as a figure; none where nothing is compared."""
    every = rows(content.study, family(content.lines))
    order = list(dict.fromkeys(row["split"] for row in every))
    if not every:
        return {}
    drawn = charts.figure(
        comparison_chart.panel(order, comparison_chart.extent(every)),
        every,
        list(content.study.tests),
        "Difference from the random split of the same size",
        "Filled: beyond noise after Holm's correction. Bars: 95 % intervals. Band: smaller than "
        "this design could detect.",
    )
    return {"comparisons": drawn}


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
            chip(series.colours(content.study).get(one.name, series.GREY)) + escape(one.name),
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
            (chip(series.GREY), "beyond noise"),
            (chip(series.GREY, hollow=True), "not beyond noise"),
            (stroke(series.GREY), "95 % interval"),
            (stroke("#8a8a8a55"), "less than the smallest detectable difference"),
        ])
        + panels(_drawn(content, found))
        + table
        + paragraph(method(found), "soft")
    )  # fmt: skip


def cells(one: Compared) -> list[str]:
    """Difference, interval, p, corrected p, smallest detectable difference, verdict, as text."""
    difference, seen = one.found.difference, one.found.detectable
    digits = _decimals(difference.value) if one.is_sure else 1
    return [
        _signed(difference.value, digits),
        f"{_signed(difference.low, digits)} to {_signed(difference.high, digits)}",
        p_value(one.found.p),
        p_value(one.p_holm),
        NONE if seen is None else _points_of(seen),
        "yes" if one.is_sure else "no",
    ]


def sentences(found: Sequence[Compared], other: str) -> list[str]:
    """Which differences are beyond noise and which are not, in words; ``other`` is what all were
    compared with."""
    sure = [one for one in found if one.is_sure]
    if len(found) == 1:
        verdict = "beyond noise" if sure else "not beyond noise"
        p = p_value(found[0].p_holm)
        sign = "p" if p.startswith("<") else "p ="
        told = f"{_told(found[0])} than {other}: {verdict} ({sign} {p})."
    else:
        rule = f"p below {ALPHA:g} after Holm's correction over all {len(found)}"
        verb = "are" if len(sure) > 1 else "is"
        told = f"Of {len(found)} differences from {other}, {len(sure) or 'none'} {verb} beyond "
        told += f"noise ({rule}){f': {_listed(sure)}' if sure else ''}."
        if sure:
            runs = sum(one.found.covers_runs for one in sure)
            told += f" Beyond the noise between runs as well: {runs} of {len(sure)}."
    texts = [told]
    if len(sure) < len(found):
        texts.append(_unsure([one for one in found if not one.is_sure], is_rest=bool(sure)))
    return [*texts, covered(found)]


def covered(found: Sequence[Compared]) -> str:
    """What intervals and tests are about, in a sentence."""
    covers = {one.found.covers_runs for one in found}
    if covers == {True}:
        return (
            "Both sides were trained several times: intervals and tests cover the choice of test "
            "images and the noise between runs."
        )
    runs = {count for one in found if not one.found.covers_runs for count in one.found.runs}
    once = "trained once" if runs == {1} else "of which a side was trained only once"
    which = "All of this is about models" if covers == {False} else "Some of this is about models"
    return (
        f"{which} {once}: intervals and tests cover the choice of test images, not the noise "
        "between runs. Another seed can change such a difference, also one that is beyond noise "
        "here; only several seeds on both sides can show that it comes from the data."
    )


def method(found: Sequence[Compared]) -> str:
    """What was computed, in one paragraph."""
    tests = {one.found.test for one in found}
    exact = "the exact McNemar test" if MCNEMAR in tests else ""
    more = " and ".join(sorted(tests - {MCNEMAR}))
    named = ", elsewhere ".join(filter(None, [exact, more]))
    first = (
        "Points of top-1 accuracy; below zero is worse than the other. Intervals are bootstrap "
        f"intervals of one difference at a time; p is that of {named}. "
    )
    holm_text = (
        "Holm's correction keeps the chance of one or more wrong calls in the whole family at 5 % "
        "or less, so that a difference can be uncertain although its own interval leaves out zero. "
    )
    last = (
        "The smallest detectable difference is one that this design would find with probability "
        f"{100 * POWER:g} % at level {ALPHA:g}"
    )
    if len(found) == 1:
        return f"{first}{last}."
    return f"{first}{holm_text}{last} before the correction; after it, it is larger."


def p_value(p: float) -> str:
    """A p value as text: as many digits as say something."""
    if p < 0.0001:
        return "< 0.0001"
    return f"{p:.4f}" if p < 0.01 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _listed(sure: Collection[Compared]) -> str:
    """The largest first; of many only some."""
    order = sorted(sure, key=lambda one: -abs(one.found.difference.value))
    told = "; ".join(_told(one) for one in order[:NAMED])
    more = len(order) - NAMED
    return f"{told}; and {more} more in the table" if more > 0 else told


def _told(one: Compared) -> str:
    value = one.found.difference.value
    way = "lower" if value < 0 else "higher"
    if not value:
        return f"{one.name} is no better and no worse on {one.test}"
    return f"{one.name} is {_points_of(abs(value))} points {way} on {one.test}"


def _decimals(share: float) -> int:
    """Decimals of points that show that a share is not zero: one, or more where it is small."""
    least = abs(100 * share)
    return next((digits for digits in range(1, MOST_DECIMALS) if least >= 0.5 * 10**-digits), 1)


def _signed(share: float, digits: int) -> str:
    text = fixed(100 * share, digits)
    return f"+{text}" if text.strip("0.") and not text.startswith("−") else text


def _points_of(share: float) -> str:
    return fixed(100 * share, _decimals(share))


def _unsure(unsure: Sequence[Compared], *, is_rest: bool) -> str:
    seen = [one.found.detectable for one in unsure if one.found.detectable is not None]
    start = "For the others nothing can be told" if is_rest else "Nothing can be told"
    if not seen:
        return f"{start}: there are too few test images to find any difference."
    low, high = _points_of(min(seen)), _points_of(max(seen))
    span = f"{low} points" if low == high else f"{low} to {high} points, depending on the row,"
    return (
        f"{start}, which is not the same as no difference: a true difference smaller than {span} "
        "would be missed more often than one time in five."
    )


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


def _points(share: float) -> float:
    return round(100 * share, 4) + 0.0


def _digits(p: float) -> float:
    return float(f"{p:.4g}")
