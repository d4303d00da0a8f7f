"""How sure differences are: a forest plot of every condition against its controls."""

import math
from functools import partial

import altair as alt

from clipcause.report.colours import GREY
from clipcause.report.figures import encodings
from clipcause.report.figures.encodings import colour, hollow, names
from clipcause.report.figures.figure import Chart, Drawn, Figure, Rows, distinct
from clipcause.report.tables.comparisons import UNSURE


def extent(rows: Rows) -> list[float]:
    """Points from end to end of all intervals, so that every panel has the same axis."""
    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    return [float(math.floor(min(low, 0.0))), float(math.ceil(max(high, 0.0)))]


def chart(of: Drawn) -> Chart:
    """A line per condition: its difference with the interval, on a band of what would be missed.

    Filled where the difference is beyond noise.
    """
    # a band may be wider than all intervals: it is cut, not the panel stretched
    low, high = extent(of.rows) if of.rows else (-100, 100)
    domain = [low, high] if of.rows else alt.Undefined
    title, axis = "difference / points of top-1 accuracy", {"tickCount": 5}
    x = partial(encodings.x, title=title, axis=axis, nice=False, padding=4, domain=domain)
    line = alt.Chart().encode(y=names("contrast", distinct(of.rows, "contrast")))
    band = line.transform_filter("datum.detectable > 0")  # empty where nothing is detectable
    band = band.transform_calculate("from", f"max(-datum.detectable, {low})")
    band = band.transform_calculate("to", f"min(+datum.detectable, {high})")
    return alt.layer(
        # a thick rule: bars are clipped by an id, which a page of many plots cannot have
        band.mark_rule(stroke=GREY, strokeWidth=12, strokeOpacity=0.22).encode(
            x=x("from"), x2="to"
        ),
        alt.Chart().mark_rule(stroke=GREY).encode(x=alt.XDatum(0, type="quantitative")),
        line.mark_rule(strokeWidth=1.5).encode(x=x("low"), x2="high", stroke=colour(alt.Stroke)),
        line.mark_point(size=50, strokeWidth=1.5, opacity=1).encode(
            hollow(UNSURE), x=x("difference"), stroke=colour(alt.Stroke), fill=colour(alt.Fill)
        ),
    ).properties(width=210, height=alt.Step(18))


FIGURE = Figure(
    "comparisons", "Difference from the control of the same size", ("difference", "contrast"),
    chart,
    label="Difference of accuracy from the control on {test}, with 95 % intervals; the table "
    "has the numbers.",
    caption="The control is a random split, or the one that is named. Filled: beyond noise after "
    "Holm's correction. Bars: 95 % intervals. Band: smaller than this design could detect.",
)  # fmt: skip
