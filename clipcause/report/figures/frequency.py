"""Class frequency: the count of every class by its rank."""

import altair as alt

from clipcause.report.figures.encodings import POWERS, by_name, dashes, x, y
from clipcause.report.figures.figure import Chart, Drawn, Figure


def chart(of: Drawn) -> Chart:
    """A line per corpus; dashed is what the others of a panel were made from."""
    looks, powers = of.looks("corpus", of.own), {"values": POWERS, "format": "~s"}
    line = alt.Chart().encode(
        x=x("rank", "class, by falling count", {"tickCount": 5}, zero=True, nice=False),
        y=y("count", "rows (logarithmic)", powers, type="log"),
        stroke=by_name(alt.Stroke, "corpus", looks, 1 if len(looks) < 8 else 3),
        strokeDash=dashes("role", {"corpus": [1, 0], "base": [4, 3]}),
        detail="corpus:N",
    )
    layers = alt.layer(line.mark_line(strokeWidth=1.75)).transform_filter("datum.count > 0")
    return layers.properties(width=260, height=190)


FIGURE = Figure(
    "frequency", "Class frequency", ("rank", "count"), chart,
    by=("panel",), alike=False, file="apart", column="panel",
    caption="Rows by class, in falling order, on a logarithmic axis; classes without rows are left "
    "out. Dashed: what the splits of a panel were made from.",
)  # fmt: skip
