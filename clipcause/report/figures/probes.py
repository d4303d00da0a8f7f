"""Linear probes: accuracy by the samples of a class."""

from functools import partial

from clipcause.report.figures import encodings
from clipcause.report.figures.encodings import SOME, of_kinds, x
from clipcause.report.figures.figure import Chart, Drawn, Figure, Found, Rows, distinct


def chart(of: Drawn) -> Chart:
    """A line per probe, in the colour of its kind of model."""
    axis = {"format": "d", "values": sorted(distinct(of.rows, "shots")) or SOME}
    log = {"type": "log", "nice": False, "padding": 12}
    y = partial(encodings.y, title="top-1 accuracy / %", zero=False, nice=True)
    shots = x("shots", "samples of a class (logarithmic)", axis, **log)
    return of_kinds(shots, y, ["kind", "probe"], of.looks("kind"))


def rows(found: Found) -> Rows:
    """Those of some samples a class, where there are several numbers of them: others have no place
    on the axis."""
    some = [row for row in found.rows("probes") if row["shots"]]
    return some if len(distinct(some, "shots")) > 1 else []


FIGURE = Figure(
    "probes", "Linear probes by samples of a class", ("shots", "value"), chart, rows=rows,
    by=("test", "trained"), file="beside", column="trained", row="test",
    key="kind",
    caption="Top-1 accuracy of logistic regression on image features; bars: one standard deviation "
    "over draws, to either side.",
)  # fmt: skip
