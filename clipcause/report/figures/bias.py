"""Bias towards frequent classes: corr_acc against one other number."""

import textwrap
from functools import partial

import altair as alt

from clipcause.report.figures import encodings
from clipcause.report.figures.encodings import by_name, colour, spread
from clipcause.report.figures.figure import Chart, Drawn, Figure, Rows, only

MARKS = (
    "Spearman's correlation of a class's frequency with its accuracy (corr_acc), against that with "
    "its number of predictions and against accuracy. Bars: 95 % bootstrap interval of one seed, or "
    "the range over several. Small: parts of a set."
)
WRAP = 160  # letters of a line below a title


def chart(of: Drawn) -> Chart:
    """A point per condition with its place in the table.

    Shares of a set and sets without their tail, which have plots of their own, are small here.
    """
    x = encodings.x("value", of.value("against"), {"tickCount": 5}, zero=False, nice=True)
    y = partial(encodings.y, title="corr_acc (Spearman, 0 is unbiased)", zero=False)
    place, is_whole = alt.Chart().encode(x=x, y=y("corr_acc")), "datum.part == 'whole'"
    shape = alt.Shape("shape:N", scale=None, legend=None)
    if looks := of.looks("kind"):
        # one legend with that of the fill: the shape in its colour
        shapes = {row["kind"]: row["shape"] for row in of.rows}
        shape = by_name(alt.Shape, "kind", shapes, 3, symbolType="circle")
    return alt.layer(
        spread(place.transform_filter(is_whole), y, strokeWidth=1, strokeOpacity=0.3),
        place.mark_point(filled=True).encode(
            fill=by_name(alt.Fill, "kind", looks, 3, symbolType="circle"),
            shape=shape,
            size=alt.SizeValue(22, condition={"test": is_whole, "value": 70}),
            fillOpacity=alt.FillOpacityValue(0.45, condition={"test": is_whole, "value": 0.95}),
        ),
        place.transform_filter(is_whole)
        .mark_text(dx=6, dy=-6, align="left", fontSize=9)
        .encode(text="number:Q", fill=colour(alt.Fill)),
    ).properties(width=320, height=280)


def numbered(rows: Rows) -> dict[int, str]:
    """Which condition a point's number stands for."""
    return {row["number"]: row["condition"] for row in only(rows, part="whole")}


def caption(rows: Rows) -> list[str]:
    """What marks and numbers mean."""
    named = "; ".join(f"{at}: {condition}" for at, condition in numbered(rows).items())
    return [MARKS, *(textwrap.wrap(f"{named}.", WRAP) if named else ())]


FIGURE = Figure(
    "bias", "Bias towards frequent classes", ("value", "corr_acc"), chart,
    by=("test", "against"), alike=False, file="beside", column="against", row="test",
    caption=caption,
)  # fmt: skip
