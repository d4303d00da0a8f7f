"""Which property? What choosing rows by each did, averaged over the test sets and on each."""

from functools import partial

import altair as alt

from clipcause.report.colours import GREY, Rows
from clipcause.report.figures import encodings
from clipcause.report.figures.comparisons import extent
from clipcause.report.figures.encodings import colour, hollow, names
from clipcause.report.figures.figure import Chart, Drawn, Figure, Found, distinct
from clipcause.report.tables.comparisons import UNSURE
from clipcause.report.tables.properties import ALIKE, AVERAGE, RANDOM

WIDE, NARROW = 330, 190  # pixels of the average's panel, of those of single test sets
SHAPES = {RANDOM: "circle", ALIKE: "diamond"}


def chart(of: Drawn) -> Chart:
    """A line per property, in the order of the averages, with a lane per kind of control."""
    present = [one for one in SHAPES if one in distinct(of.rows, "alike")] or [*SHAPES]
    # all panels have the same axis
    domain = extent(of.rows) if of.rows else alt.Undefined
    title, axis = "points above (+) or below (−) the control", {"tickCount": 5}
    x = partial(encodings.x, title=title, axis=axis, nice=False, padding=4, domain=domain)
    shape = alt.Scale(domain=[*SHAPES], range=[*SHAPES.values()])
    line = alt.Chart().encode(
        y=names("line", distinct(of.rows, "line")),
        yOffset=alt.YOffset("alike:N", scale=alt.Scale(domain=["", *present, " "])),
    )
    return alt.layer(
        alt.Chart().mark_rule(stroke=GREY).encode(x=alt.XDatum(0, type="quantitative")),
        line.mark_rule(strokeWidth=1.5).encode(x=x("low"), x2="high", stroke=colour(alt.Stroke)),
        line.mark_point(size=48, strokeWidth=1.5, opacity=1).encode(
            hollow(UNSURE),
            x=x("difference"),
            shape=alt.Shape("alike", type="nominal", scale=shape, legend=None),
            stroke=colour(alt.Stroke),
            fill=colour(alt.Fill),
        ),
    ).properties(
        width=NARROW if of.own and of.value("on") != AVERAGE else WIDE, height=alt.Step(10)
    )


def rows(found: Found) -> Rows:
    """All but those of controls with a split's size and classes: what its class content does lies
    between its two effects."""
    every = found.rows("properties")
    controls = {row["control"] for row in every if row["alike"] == ALIKE}
    return [row for row in every if row["split"] not in controls]


FIGURE = Figure(
    "properties", "Which property: what choosing rows by it does", ("difference", "line"), chart,
    rows=rows, by=("on",), alike=False, file="alone", filed={"on": AVERAGE}, column="on", columns=1,
    label="Difference of accuracy from controls by property, {on}; the table has the numbers.",
    caption="Trained on rows chosen by the property, of which so many % of the base stay, less "
    "trained on a control; averaged over the test sets, with its 95 % interval over images and "
    "runs. Circle: control of the same size. Diamond: of the same size and class content; what "
    "lies between is the class content’s. Filled: beyond noise after Holm’s correction.",
)  # fmt: skip
