"""Trimmed tails: accuracy of the trimmed classes and of the rest."""

from functools import partial

from clipcause.report.figures import encodings
from clipcause.report.figures.encodings import SOME, dashes, of_kinds, x
from clipcause.report.figures.figure import Chart, Drawn, Figure, distinct


def chart(of: Drawn) -> Chart:
    """Accuracy of the trimmed classes (full) and of the rest (dashed) against their number."""
    axis = {"format": "d", "values": sorted(distinct(of.rows, "tail")) or SOME}
    log = {"type": "log", "nice": False, "padding": 12}
    y = partial(encodings.y, title="accuracy of classes / %", zero=True)
    tail = x("tail", "rarest classes that were trimmed", axis, **log)
    dash = dashes("group", {"trimmed": [1, 0], "rest": [3, 3]})
    return of_kinds(tail, y, ["kind", "base", "group"], of.looks("kind"), dash)


FIGURE = Figure(
    "tail", "Trimmed tails", ("tail", "value"), chart,
    by=("test", "shots"), file="beside", column="shots", row="test",
    key="kind",
    caption="Accuracy of the trimmed classes (full lines) and of the others (dotted) by how many "
    "were trimmed.",
)  # fmt: skip
