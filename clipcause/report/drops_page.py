"""The page's section on how much of a difference the change in similarity explains."""

from collections.abc import Callable
from html import escape

from clipcause.report import charts, colours, explain_charts, similarity_page
from clipcause.report.content import Content
from clipcause.report.decimals import fixed, signed
from clipcause.report.explain_figures import drop_rows, shown_drops
from clipcause.report.markup import (
    chip,
    data_table,
    details,
    key,
    marked,
    panels,
    paragraph,
    table_row,
)
from clipcause.report.tables.explained import OBSERVED, PREDICTED
from clipcause.stats.comparison import Interval
from clipcause.stats.decomposition import Explained
from clipcause.stats.logistic import Undefined

NONE = "–"
MOST_OPEN = 8  # rows of a table that is not folded away
BY_CLASS = (
    "Intervals (95 %) draw classes with all their images, since images of one class are not "
    "independent; they do not cover the noise between training runs."
)
HOW = (
    "A logistic fit to the answers of the random split's models gives every test image a "
    "probability at the nearest similarity that it has to the random split, and another at that to "
    "the pruned split; the mean of their differences is what the change in similarity predicts "
    f"(the explained part of an Oaxaca-Blinder decomposition). {BY_CLASS}"
)
WHAT_NOT = (
    "A share near 1 says that the difference is as large as the fit expects, not that similarity "
    "is its cause; a share near 0 leaves it to something else that pruning changed. Above 1, it is "
    "smaller than the fit expects: images with near neighbours may be easier for other reasons. "
    "Below 0, similarity predicts the opposite of what was observed. Images whose nearest "
    "similarity stayed are a check: it cannot explain how accuracy on them changed."
)


def part(content: Content) -> str:
    """The section; empty where no condition has a random split of its size."""
    study, found = content.study, content.explained
    names = list(dict.fromkeys(name for name, _ in found.explained))
    if not names:
        return ""
    drawn_of = shown_drops(content)
    drawn = [
        (
            test,
            charts.inline(
                explain_charts.explained_panel(drawn_of),
                mine,
                f"Differences on {test} and what the change in similarity predicts; the table has "
                "the numbers.",
            ),
        )
        for test in study.tests
        if (mine := [row for row in drop_rows(content, drawn_of) if row["test"] == test])
    ]
    table = _table(
        content,
        names,
        _share,
        "Difference from the random split of the same size in points (below zero: worse), below it "
        "what the change in similarity predicts, and where the difference's interval leaves out "
        "zero the share of it that is predicted.",
    )
    if len(names) > MOST_OPEN:
        table = details(f"Table of {len(names)} conditions", table)
    table += details(
        "Images whose nearest similarity stayed",
        _table(
            content,
            names,
            _unchanged,
            "The same difference among the test images whose nearest similarity is the same to "
            "both splits, and their number.",
        ),
    )
    html = _seen_in_drops(content) + paragraph(HOW) + paragraph(WHAT_NOT)
    html += key([
        (chip(colours.GREY), OBSERVED),
        (chip(colours.GREY, hollow=True), PREDICTED),
    ])  # fmt: skip
    html += panels(drawn)
    if len(drawn_of) < len(names):
        html += paragraph(
            f"{len(names) - len(drawn_of)} further conditions are in the tables alone.", "soft"
        )
    return html + table


def _seen_in_drops(content: Content) -> str:
    """In a sentence, how the shares lie about one."""
    found = content.explained.explained.values()
    shares = [one.share for one in found if isinstance(one, Explained)]
    sure = [share for share in shares if isinstance(share, Interval)]
    if not sure:
        return paragraph(
            f"None of {len(found)} differences from a random split has an interval that leaves out "
            "zero, so that there is nothing to explain."
        )
    above = sum(share.low > 1 for share in sure)
    below = sum(share.high < 1 for share in sure)
    return paragraph(
        f"{len(sure)} of {len(found)} differences from a random split have an interval that leaves "
        "out zero. The share that the change in similarity predicts of it is compatible with 1 in "
        f"{len(sure) - above - below} of these cases, surely above 1 in {above} and surely below 1 "
        f"in {below}{_opposite(sure)}."
    )


def _opposite(sure: list[Interval]) -> str:
    count = sum(share.high < 0 for share in sure)
    return f", of which {count} surely below 0" if count else ""


def _table(
    content: Content, names: list[str], cell: Callable[[Explained | Undefined], str], caption: str
) -> str:
    """A row per condition, a column per test set."""
    study, found = content.study, content.explained.explained
    rows = [
        table_row(
            similarity_page.named(study, study.conditions[name]),
            [cell(found[name, test]) for test in study.tests],
        )
        for name in names
    ]
    return data_table(caption, ["training data", *map(escape, study.tests)], rows)


def _share(one: Explained | Undefined) -> str:
    if isinstance(one, Undefined):
        return f"{NONE}<small>{escape(one.reason)}</small>"
    # short lines, so that six test sets fit beside one another
    text = _cell(one.drop, is_marked=True)
    text += f"<small>predicted {_cell(one.predicted)}</small>"
    if isinstance(one.share, Interval):
        low, high = fixed(one.share.low, 2), fixed(one.share.high, 2)
        text += f"<small>share <b>{fixed(one.share.value, 2)}</b><br>[{low}, {high}]</small>"
    return text


def _unchanged(one: Explained | Undefined) -> str:
    if isinstance(one, Undefined) or one.kept_drop is None:
        return NONE
    return f"{_cell(one.kept_drop, is_marked=True)}<small>{one.kept:,} images</small>"


def _cell(drop: Interval, *, is_marked: bool = False) -> str:
    """A drop as a reader sees it: split minus random, with its interval below."""
    one = drop.reversed()
    ends = f"[{signed(one.low)}, {signed(one.high)}]"
    if not is_marked:
        return f"{signed(one.value)}<br>{ends}"
    return f"{signed(one.value)}<small{marked(one)}>{ends}</small>"
