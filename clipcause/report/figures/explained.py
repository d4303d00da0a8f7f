"""How much of a difference from the random split the change in similarity predicts."""

from functools import partial

import altair as alt

from clipcause.report.colours import GREY
from clipcause.report.figures import encodings
from clipcause.report.figures.encodings import colour, hollow, names
from clipcause.report.figures.figure import Chart, Drawn, Figure, Found, Rows, distinct
from clipcause.report.tables.decomposition import KEPT, OBSERVED, PREDICTED

MOST = 16  # conditions


def chart(of: Drawn) -> Chart:
    """The observed difference (filled) above what the change in similarity predicts (hollow)."""
    x = partial(encodings.x, title="points above (+) or below (−) the random split")
    lanes = alt.Scale(domain=["", OBSERVED, PREDICTED, " "])
    line = alt.Chart().encode(
        y=names("split", distinct(of.rows, "split")),
        yOffset=alt.YOffset("kind:O", scale=lanes),
        stroke=colour(alt.Stroke),
    )
    zero = alt.Chart().encode(x=alt.XDatum(0, type="quantitative"))
    layers = alt.layer(
        zero.mark_rule(stroke=GREY, strokeWidth=1),
        line.mark_rule(strokeWidth=1.5).encode(x=x("low"), x2="high"),
        line.mark_point(size=50, strokeWidth=1.5, opacity=1).encode(
            hollow(PREDICTED), x=x("points"), fill=colour(alt.Fill)
        ),
    )
    one = layers.transform_filter(f"datum.kind != '{KEPT}'")
    return one.properties(width=210, height=alt.Step(9))


def shown(found: Found) -> list[str]:
    """The conditions that are drawn: where not all fit, those that differ in nothing but their
    split come first."""
    names = distinct(found.rows("explained"), "split")
    plain = [name for name in names if found.study.conditions[name].is_plain]
    return names if len(names) <= MOST else (plain or names)[:MOST]


def rows(found: Found) -> Rows:
    """Those of the conditions that are drawn."""
    return [row for row in found.rows("explained") if row["split"] in shown(found)]


FIGURE = Figure(
    "explained", "Differences and what the change in similarity predicts of them",
    ("points", "split"), chart, rows=rows,
    label="Differences on {test} and what the change in similarity predicts; the table has the "
    "numbers.",
    caption="Filled: observed. Hollow: predicted. Bars: 95 % intervals over classes, and over runs "
    "where both sides have several.",
)  # fmt: skip
