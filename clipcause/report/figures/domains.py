"""Accuracy by the mix of two domains."""

from functools import partial

import altair as alt

from clipcause.report.colours import GREY
from clipcause.report.figures import encodings
from clipcause.report.figures.encodings import DOTS, by_name, spread, x
from clipcause.report.figures.figure import Chart, Drawn, Figure
from clipcause.report.tables.domains import chosen

SECOND = "the second domain"


def chart(of: Drawn) -> Chart:
    """A point per condition in its colour, against the share of one of two domains.

    A grey line joins those that have as many rows and none that is ambiguous: they differ in the
    share alone.
    """
    cards = chosen(of.found.study).values() if of.found else ()
    seconds = {card["classifier"]["names"][1] for card in cards}
    share = f"share of {seconds.pop() if len(seconds) == 1 else SECOND} / %"
    y = partial(encodings.y, title="top-1 accuracy / %", zero=False)
    point = alt.Chart().encode(
        x=x("share", share, {"tickCount": 5}, domain=[0, 100], nice=False), y=y("top1")
    )
    return alt.layer(
        point.transform_filter("datum.ambiguous == 0")
        .mark_line(strokeWidth=1.5, stroke=GREY)
        .encode(detail=["rows:N", "domains:N"]),
        spread(point, y, strokeWidth=1.5),
        point.mark_point(size=50, filled=True, opacity=1).encode(
            fill=by_name(alt.Fill, "split", of.looks("split"), 4, **DOTS)
        ),
    ).properties(width=210, height=150)


FIGURE = Figure(
    "domains", "Accuracy by the mix of two domains", ("share", "top1"), chart, row="domains",
    key="split",
    label="Top-1 accuracy on {test} by the mix of domains; the table of accuracies has them.",
    caption="A point per split in its colour; grey joins splits of one size without ambiguous "
    "rows. Bars: 95 % intervals over test images.",
)  # fmt: skip
