"""How dense the edge of the hull is: pool images above and just under the thresholds."""

from collections.abc import Sequence

import altair as alt

from clipcause.report.colours import GREY
from clipcause.report.figures.encodings import x, y
from clipcause.report.figures.figure import Chart, Drawn, Figure, distinct
from clipcause.search.density import ABOVE

DOTS = [1.5, 3.0]
DASHES = ([1.0, 0.0], [7.0, 3.0], [12.0, 3.0, 3.0, 3.0], [3.0, 3.0])
POWERS = [1, 10, 100, 1000, 10_000, 100_000]


def looks(names: Sequence[str]) -> dict[str, list[float]]:
    """The dash of every line: the first, above the threshold, is dotted."""
    return {name: DASHES[(at - 1) % len(DASHES)] if at else DOTS for at, name in enumerate(names)}


def chart(of: Drawn) -> Chart:
    """Share of test images with at least so many rows, a line per band. No split has a part in it,
    so lines differ by their dashes."""
    # counts that are zero everywhere have a dash too
    bands = distinct(of.found.rows("hull_edge"), "band") if of.found else []
    dash = looks([f"within {band:g}" if band else ABOVE for band in bands])
    scale = alt.Scale(domain=list(dash), range=list(dash.values())) if dash else alt.Undefined
    legend = alt.Legend(title=None, orient="bottom", symbolSize=600, symbolStrokeWidth=2)
    legend = legend if of.legend or not dash else None
    log, axis = {"type": "log", "nice": False}, {"values": POWERS, "format": ",d"}
    line = alt.Chart().encode(
        x=x("least", "at least so many pool images (logarithmic)", axis, **log),
        y=y("images", "test images / %", domain=[0, 100]),
        strokeDash=alt.StrokeDash("band:N", sort=None, scale=scale, legend=legend),
        detail="band:N",
    )
    return alt.layer(line.mark_line(strokeWidth=1.75, stroke=GREY)).properties(
        width=230, height=150
    )


FIGURE = Figure(
    "density", "Pool images just under the test images' thresholds", ("least", "images"), chart,
    label="Share of {test} images with at least so many pool images above the threshold and just "
    "under it; the table has the numbers.",
    caption="Share of the test images with at least so many; dots: above the threshold, which hull "
    "pruning removes.",
)  # fmt: skip
