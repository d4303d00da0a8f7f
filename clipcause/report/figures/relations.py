"""What each property of splits explains of the accuracy after them, beside what chance does."""

from functools import partial

import altair as alt

from clipcause.report.colours import FIRST, GREY
from clipcause.report.figures import encodings
from clipcause.report.figures.encodings import names
from clipcause.report.figures.figure import Chart, Drawn, Figure, distinct


def chart(of: Drawn) -> Chart:
    """A line per property: its share with the interval, and a tick where chance is."""
    title = "share of the variance of accuracy between splits"
    x = partial(encodings.x, title=title, axis={"format": ".0%", "tickCount": 5})
    line = alt.Chart().encode(y=names("property", distinct(of.rows, "property")))
    return alt.layer(
        line.mark_tick(color=GREY, thickness=2, size=13).encode(x=x("chance")),
        line.mark_rule(strokeWidth=1.5, color=FIRST[0]).encode(x=x("low"), x2="high"),
        line.mark_point(size=50, filled=True, opacity=1, color=FIRST[0]).encode(x=x("share")),
    ).properties(width=330, height=alt.Step(22))


FIGURE = Figure(
    "relations", "What properties of splits explain of accuracy", ("share", "property"), chart,
    by=(), file="alone", column="rev",
    label="Share of the variance of accuracy between splits that each property explains; the table "
    "has the numbers.",
    caption="Dot: share of R², averaged over all orders of the properties, with its 95 % interval "
    "over splits. Tick: what it is below, 19 times in 20, where accuracies are shuffled.",
)  # fmt: skip
