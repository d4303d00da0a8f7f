"""Top-1 accuracy of every condition on every test set, beside that of its random split."""

from functools import partial
from typing import Any

import altair as alt

from clipcause.report.colours import GREY
from clipcause.report.figures import encodings
from clipcause.report.figures.encodings import colour, hollow, names
from clipcause.report.figures.figure import Chart, Drawn, Figure, distinct
from clipcause.report.outline import RANDOM

MANY = 20  # lines of a plot that stand closer


def chart(of: Drawn, column: str = "top1", title: str = "top-1 accuracy / %") -> Chart:
    """Points with intervals, a line of the plot per split; hollow: the random split of its size,
    for which there is room where there is one."""
    order = distinct([row for row in of.rows if row["split"] == row["beside"]], "split")
    paired = not of.rows or any(row["kind"] == RANDOM for row in of.rows)
    # alone in the middle, else above its random split; lanes are the same in every panel
    lanes = alt.Scale(domain=[0, 1, 2, 3, 4] if paired else [1, 2, 3])
    x = partial(encodings.x, title=title, zero=False, nice=True)
    line = alt.Chart().encode(
        y=names("beside", order),
        yOffset=alt.YOffset("lane:O", scale=lanes),
        stroke=colour(alt.Stroke),
    )
    supervised = alt.Chart().transform_filter("datum.kind == 'supervised'")
    layers = alt.layer(
        supervised.mark_rule(strokeDash=[3, 3], stroke=GREY).encode(x=x(column)),
        line.mark_rule(strokeWidth=1.5).encode(x=x("low"), x2="high"),
        line.mark_point(size=50, strokeWidth=1.5, opacity=1).encode(
            x=x(column), fill=colour(alt.Fill), fillOpacity=hollow()
        ),
    )
    by: dict[str, Any] = {"groupby": ["test", "beside"]}  # Altair's type is too narrow
    return (
        layers.transform_calculate(random=f"datum.kind == '{RANDOM}' ? 1 : 0")
        .transform_joinaggregate(most="max(random)", least="min(random)", **by)
        .transform_calculate(lane="datum.most == datum.least ? 2 : 1 + 2 * datum.random")
        .properties(width=210, height=alt.Step(5.5 if len(order) <= MANY else 4.4))
    )


FIGURE = Figure(
    "accuracy", "Top-1 accuracy by training data", ("top1", "split"), chart,
    label="Top-1 accuracy on {test} by training data; the table has the numbers.",
    caption="Filled: the split. Hollow: a random split of the same size. Dashed: supervised on the "
    "reference. Bars: 95 % intervals over test images.",
)  # fmt: skip
