"""Effective robustness: accuracy on a shifted test set against that on the usual one."""

import math

import altair as alt

from clipcause.report.colours import GREY
from clipcause.report.figures import lines
from clipcause.report.figures.encodings import DOTS, by_colour, colour, hollow, x, y
from clipcause.report.figures.figure import Chart, Drawn, Figure, Found, Rows
from clipcause.report.outline import SUPERVISED
from clipcause.report.tables.robustness import LINE, usual_of

PERCENTS = (1, 2, *range(5, 100, 5), 98, 99)
ANY = "the usual test set"


def chart(of: Drawn) -> Chart:
    """Both accuracies on axes of log odds."""
    usual = usual_of(of.found.study, of.found.parameters) if of.found else ANY
    axis = {
        "values": [round(math.log(percent / (100 - percent)), 6) for percent in PERCENTS],
        "labelExpr": "format(100 / (1 + exp(-datum.value)), '.0f')",
        "labelOverlap": True,
    }
    scale = {"zero": False, "nice": False, "padding": 14}
    place = alt.Chart().encode(
        x=x("x", f"accuracy on {usual} / % (log odds)", axis, **scale),
        y=y("y", "accuracy / % (log odds)", axis, **scale),
    )
    is_line = f"datum.kind == '{LINE}'"
    fitted = {"test": "datum.line == 'fitted'", "value": [1, 0]}
    diamond = {"test": f"datum.kind == '{SUPERVISED}'", "value": "diamond"}
    return alt.layer(
        place.transform_filter(is_line)
        .mark_line(strokeWidth=1.5)
        .encode(alt.StrokeDashValue([4, 3], condition=fitted), stroke=alt.value(GREY)),
        place.transform_filter(f"!({is_line})")
        .mark_point(size=55, strokeWidth=1.5, opacity=1)
        .encode(
            alt.ShapeValue("circle", condition=diamond),
            by_colour(lines.legend(of), alt.Fill, **DOTS),
            hollow(),
            stroke=colour(alt.Stroke),
        ),
    ).properties(width=215, height=185)


def rows(found: Found) -> Rows:
    """The line, every supervised condition, and those that have a line elsewhere."""
    shown, every = {*lines.shown(found.study), LINE}, found.rows("robustness")
    return [row for row in every if row["split"] in shown or row["kind"] == SUPERVISED]


FIGURE = Figure(
    "robustness", "Effective robustness", ("x", "y"), chart, rows=rows, free=("x", "y"),
    key="split",
    label="Accuracy on {test} against accuracy on {usual}, on axes of log odds.",
    heading="Accuracy on shifted test sets against {usual}",
    caption="Diamonds: supervised. Hollow: random splits. Line of the supervised: full where it is "
    "fitted, dashed where its slope of 1 is an assumption.",
)  # fmt: skip
