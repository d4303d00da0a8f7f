"""Accuracy by nearest similarity to the training data."""

from functools import partial

import altair as alt

from clipcause.report.figures import lines
from clipcause.report.figures.encodings import x, y
from clipcause.report.figures.figure import Chart, Drawn, Figure

SIMILARITY = "nearest cosine similarity to the training data"


def chart(of: Drawn, title: str = "top-1 accuracy / %") -> Chart:
    """Accuracy against similarity, a line per condition."""
    point = alt.Chart().encode(
        x=x("similarity", SIMILARITY, {"tickCount": 5}, zero=False),
        y=y("accuracy", title, domain=[0, 100]),
    )
    return lines.drawn(of, point)


FIGURE = Figure(
    "binned", "Accuracy by similarity to the training data", ("similarity", "accuracy"), chart,
    rows=partial(lines.of, table="binned"),
    key="split",
    label="Accuracy on {test} by similarity to the training data, a line per condition.",
    caption="A line per split in its colour; dashed: random split of its size; dotted: supervised.",
)  # fmt: skip
