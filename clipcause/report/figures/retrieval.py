"""Finding captions and images: R@k of every condition, beside that of its random split."""

from functools import partial

from clipcause.report.figures import accuracy
from clipcause.report.figures.figure import Figure

FIGURE = Figure(
    "retrieval", "Retrieval by training data", ("recall", "split"),
    partial(accuracy.chart, column="recall", title="share found / %"),
    by=("test", "direction", "depth"), panel="{depth}, {direction}", each=True,
    label="{depth} on {test}, {direction}, by training data; the table has the numbers.",
    filed={"direction": "image to text"},
    heading="Test set {test}: captions found by images",
    caption="Filled: the split. Hollow: a random split of the same size. Bars: 95 % Wilson "
    "intervals over images.",
    column="depth", row="direction",
)  # fmt: skip
