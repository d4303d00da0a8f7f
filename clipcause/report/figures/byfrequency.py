"""Accuracy by class frequency, in doublings."""

from functools import partial

import altair as alt

from clipcause.report.figures import encodings, lines
from clipcause.report.figures.encodings import POWERS, spread, ticks, x
from clipcause.report.figures.figure import Chart, Drawn, Figure, distinct

ROWS = "training rows of the class (logarithmic)"


def chart(of: Drawn) -> Chart:
    """Accuracy against class frequency, a line per condition."""
    axis = {"values": ticks(distinct(of.rows, "frequency")) if of.rows else POWERS, "format": "~s"}
    y = partial(encodings.y, title="top-1 accuracy / %", domain=[0, 100])
    point = alt.Chart().encode(
        x=x("frequency", ROWS, axis, type="log", nice=False, padding=8), y=y("accuracy")
    )
    return lines.drawn(of, point, spread(point, y, strokeWidth=1, strokeOpacity=0.25))


FIGURE = Figure(
    "byfrequency", "Accuracy by class frequency", ("frequency", "accuracy"), chart,
    rows=partial(lines.of, table="byfrequency"),
    key="split",
    label="Accuracy on {test} by class frequency, a line per condition.",
    caption="A line per split in its colour; dashed: random split of its size; dotted: supervised.",
)  # fmt: skip
