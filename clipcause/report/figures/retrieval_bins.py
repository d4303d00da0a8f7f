"""R@1 of images by their nearest similarity to the training data."""

from functools import partial

from clipcause.report.figures import binned
from clipcause.report.figures.figure import Figure

FIGURE = Figure(
    "retrieval_bins", "Retrieval by similarity to the training data", ("similarity", "accuracy"),
    partial(binned.chart, title="R@1 / %"), file=None,
    key="split",
    label="R@1 of the images of {test} by their similarity to the training data.",
)  # fmt: skip
