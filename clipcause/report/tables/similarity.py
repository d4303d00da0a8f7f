"""How similar test images are to what models learnt from, and accuracy by that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from clipcause.report.inputs import Inputs
from clipcause.report.study import Pair
from clipcause.report.tables import table
from clipcause.stats.bins import Bins, bin_index, binned_accuracy, histogram, spearman
from clipcause.stats.comparison import Interval
from clipcause.stats.statistics import wilson


@dataclass(frozen=True)
class Histogram:
    """A bin of nearest similarity to some data."""

    test: table.Test
    data: Annotated[str, "`reference`, `pool`, or a split with the reference added"]
    similarity: Annotated[float, "middle of a bin of nearest similarity to the data"]
    share: Annotated[float, "test images in it, in %"]


@dataclass(frozen=True)
class Binned:
    """Accuracy in a bin of similarity to the training data."""

    test: table.Test
    split: table.Split
    kind: table.Kind
    similarity: Annotated[float, "mean nearest similarity to the training data in a bin"]
    accuracy: Annotated[float, "accuracy in it, in %"]
    low: table.Low
    high: table.High
    images: table.Images


@dataclass(frozen=True)
class Order:
    """Whether accuracy rises with similarity."""

    spearman: float | None  # rank correlation over bins; None where it is not defined
    bins: int
    left_out: int  # images, in bins that are too small


def histograms(inputs: Inputs) -> list[Histogram]:
    """The share of a test set's images in every bin of nearest similarity to the reference, to the
    pool, and to every split with the reference added."""
    study, width, rows = inputs.study, inputs.parameters.histogram_width, []
    for test, found in study.sources.scores.items():
        series = {"reference": found.test.reference_sim, "pool": found.test.pool_sim}
        series |= {name: study.gaps[name, test].similarity_Q for name in study.rules}
        bins = [bin_index(values, width) for values in series.values()]
        first, last = min(int(one.min()) for one in bins), max(int(one.max()) for one in bins)
        rows += [
            Histogram(test, name, table.rounded((index + 0.5) * width), table.rounded(100 * part))
            for name, values in series.items()
            for index, part in enumerate(histogram(values, width, first, last), first)
        ]
    return rows


def bins(inputs: Inputs) -> dict[Pair, Bins]:
    """Accuracy by similarity, by condition and test set."""
    study = inputs.study
    return {
        (name, test): in_bins(inputs, name, test, study.outcomes[name, test].top1_Q)
        for name in study.conditions
        for test in study.tests
    }


def in_bins(inputs: Inputs, name: str, test: str, correct_Q: np.ndarray) -> Bins:
    """What a condition has right on a test set, by similarity to what it learnt from."""
    study, parameters = inputs.study, inputs.parameters
    return binned_accuracy(
        study.similarity(study.conditions[name], test),
        correct_Q,
        width=parameters.bin_width,
        least=parameters.least_per_bin,
    )


def orders(inputs: Inputs) -> dict[Pair, Order]:
    """The rank correlation of similarity and accuracy, by condition and test set."""
    return {
        at: Order(spearman(found), len(found.count_B), found.images_left_out)
        for at, found in inputs.of(bins).items()
    }


def binned(inputs: Inputs) -> list[Binned]:
    """Accuracy in % with its Wilson interval per bin."""
    return rows(inputs, inputs.of(bins))


def rows(inputs: Inputs, found: Mapping[Pair, Bins]) -> list[Binned]:
    """The bins of conditions and test sets as rows."""
    made = []
    for (name, test), one in found.items():
        of = test, name, inputs.study.kind(inputs.study.conditions[name])
        columns = one.similarity_B, one.accuracy_B, one.count_B
        for similarity, accuracy, count in zip(*columns, strict=True):
            ends = Interval(accuracy, *wilson(min(accuracy * count, count), int(count)))
            made.append(Binned(*of, table.rounded(similarity), *table.percent(ends), int(count)))
    return made


TABLES = (
    table.Table("similarity", Histogram, histograms, by="data"),
    table.Table("binned", Binned, binned),
)
