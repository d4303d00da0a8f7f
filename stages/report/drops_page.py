"""The page's section on how much of a drop the change in similarity explains."""

from html import escape

from stages.comparison import Interval
from stages.explaining import Explained
from stages.logistic import Undefined
from stages.report import charts, explain_charts, series, similarity_page
from stages.report.charts import Spec
from stages.report.content import Content
from stages.report.explain import OBSERVED, PREDICTED, Rows
from stages.report.markup import chip, data_table, details, key, panels, paragraph, table_row
from stages.report.table import points

NONE = "–"
MOST_OPEN = 24  # rows of a table that is not folded away
MOST = 16  # conditions in the plot
BY_CLASS = (
    "Intervals (95 %) draw classes with all their images, since images of one class are not "
    "independent; they do not cover the noise between training runs."
)
HOW = (
    "A logistic fit to the answers of the random split's models gives every test image a "
    "probability at the nearest similarity that it has to the random split, and another at that to "
    "the pruned split; the mean difference is what the change in similarity predicts of the drop "
    f"(the explained part of an Oaxaca-Blinder decomposition). {BY_CLASS}"
)
WHAT_NOT = (
    "A share near 1 says that the drop is as large as the fit expects, not that similarity is its "
    "cause; a share near 0 leaves the drop to something else that pruning changed. Above 1, less "
    "was lost than the fit expects: images with near neighbours may be easier for other reasons. "
    "Images whose nearest similarity stayed are a check: it cannot explain what they lose."
)


def part(content: Content) -> str:
    """The section; empty where no condition has a random split of its size."""
    study, found = content.study, content.explained
    names = list(dict.fromkeys(name for name, _ in found.explained))
    if not names:
        return ""
    drawn_of = shown(content)
    drawn = [
        (
            test,
            charts.inline(
                explain_charts.explained_panel(drawn_of),
                mine,
                f"Drops on {test} and what the change in similarity predicts; the table has the "
                "numbers.",
            ),
        )
        for test in study.tests
        if (mine := [row for row in _rows(content, drawn_of) if row["test"] == test])
    ]
    rows = []
    for name in names:
        cells = [_share(found.explained[name, test]) for test in study.tests]
        rows.append(table_row(similarity_page.named(study, study.conditions[name]), cells))
    table = data_table(
        "Drop against the random split of the same size in points (negative: a gain), and below it "
        "what the change in similarity predicts; in bold the share that it explains, where the "
        "drop's interval leaves out zero; last the drop among images whose nearest similarity did "
        "not change, with their number.",
        ["training data", *map(escape, study.tests)],
        rows,
    )
    if len(rows) > MOST_OPEN:
        table = details(f"Table of {len(rows)} conditions", table)
    html = _seen_in_drops(content) + paragraph(HOW) + paragraph(WHAT_NOT)
    html += key([
        (chip(series.GREY), OBSERVED),
        (chip(series.GREY, hollow=True), PREDICTED),
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
        "out zero. The share of them that the change in similarity predicts has an interval with 1 "
        f"for {len(sure) - above - below}, above 1 for {above} and below 1 for {below}."
    )


def _share(one: Explained | Undefined) -> str:
    if isinstance(one, Undefined):
        return f"{NONE}<small>{escape(one.reason)}</small>"
    text = f"{_points(one.drop)}<small>similarity: {_points(one.predicted)}</small>"
    if isinstance(one.share, Interval):
        low, high = _signed(one.share.low), _signed(one.share.high)
        text += f'<small class="sure">share {_signed(one.share.value)} [{low}, {high}]</small>'
    if one.kept_drop:
        text += f"<small>unchanged ({one.kept:,}): {_points(one.kept_drop)}</small>"
    return text


def shown(content: Content) -> list[str]:
    """The conditions whose drops are drawn: where not all fit, those that differ in nothing but
    their split come first."""
    study = content.study
    names = list(dict.fromkeys(name for name, _ in content.explained.explained))
    if len(names) <= MOST:
        return names
    plain = [name for name in names if study.conditions[name].is_plain]
    return (plain or names)[:MOST]


def _points(found: Interval) -> str:
    return f"{points(found.value)} [{points(found.low)}, {points(found.high)}]"


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0:.2f}".replace("-", "−")


def figure(content: Content) -> Spec | None:
    """The figure that is a file; None without data."""
    names = shown(content)
    if not (rows := _rows(content, names)):
        return None
    return charts.figure(
        explain_charts.explained_panel(names),
        rows,
        list(content.study.tests),
        "Drops and what the change in similarity predicts of them",
        "Filled: observed. Hollow: predicted. Bars: 95 % intervals over classes.",
    )


def _rows(content: Content, names: list[str]) -> Rows:
    return [row for row in content.explained.rows["explained"] if row["split"] in names]
