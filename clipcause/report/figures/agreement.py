"""How alike is what splits by different scores remove."""

from functools import partial

import altair as alt

from clipcause.report.figures import encodings
from clipcause.report.figures.encodings import colour, names
from clipcause.report.figures.figure import Chart, Drawn, Figure, distinct


def chart(of: Drawn) -> Chart:
    """A point per pair: the Jaccard index; hollow: of random choices of the same sizes."""
    x = partial(encodings.x, title="Jaccard index of the removed rows", domain=[0, 1])
    pair = alt.Chart().encode(y=names("pair", distinct(of.rows, "pair") or None))
    mark = partial(pair.mark_point, size=60, strokeWidth=1.5, opacity=1)
    return alt.layer(
        mark(filled=True).encode(x=x("jaccard"), fill=colour(alt.Fill)),
        mark(filled=False).encode(x=x("chance"), stroke=colour(alt.Stroke)),
    ).properties(width=260, height=alt.Step(22))


FIGURE = Figure(
    "agreement", "How alike is what splits by different scores remove", ("jaccard", "pair"), chart,
    by=("rule",), column="rule",
    label="Jaccard index of what splits by two scores removed; the table beside has the numbers.",
    caption="Filled: Jaccard index of the removed rows. Hollow: of random choices of the same "
    "sizes.",
)  # fmt: skip
