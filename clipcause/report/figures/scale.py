"""Uniform shares of the data: one measure against the rows of training."""

from functools import partial

from clipcause.report.figures import encodings
from clipcause.report.figures.encodings import of_kinds, x
from clipcause.report.figures.figure import Chart, Drawn, Figure


def chart(of: Drawn) -> Chart:
    """A line per kind of model and base."""
    axis, log = {"tickCount": 4, "format": "~s"}, {"type": "log", "nice": False, "padding": 12}
    y = partial(encodings.y, title=of.value("measure"), zero=False, nice=True)
    rows = x("rows", "training rows (logarithmic)", axis, **log)
    return of_kinds(rows, y, ["kind", "base"], of.looks("kind"))


FIGURE = Figure(
    "scale", "Uniform shares of the data", ("rows", "value"), chart,
    by=("test", "measure"), alike=False, file="beside", column="measure", row="test",
    free=("x", "y"),
    key="kind",
    caption="A line per kind of model; its right end is the whole set.",
)  # fmt: skip
