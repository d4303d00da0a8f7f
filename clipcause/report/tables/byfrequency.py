"""Accuracy by class frequency, and by similarity and frequency together.

Where `evaluate` counted no frequencies, there is nothing.

Shapes: Q test images.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float64, Int64

from clipcause.report.inputs import Inputs
from clipcause.report.seen import Seen, seen
from clipcause.report.study import Pair
from clipcause.report.tables.table import High, Images, Kind, Low, Split, Table, Test, rounded
from clipcause.stats import decomposition
from clipcause.stats.bins import bin_index
from clipcause.stats.statistics import wilson

COARSE = 2  # bins of the grid are so many of the curve's
FOURFOLD = 2  # doublings of frequency in a bin of the grid
NO_ROWS = -1  # the bin of classes without a row
Ends = tuple[float, float, float, int]  # accuracy in % with its interval, images

From = Annotated[int, "training rows of the class, at least; 0: classes without a row"]
Below = Annotated[int, "training rows of the class, fewer than"]
Accuracy = Annotated[float, "top-1 accuracy in %"]


@dataclass(frozen=True)
class Row:
    """The images whose classes have about so many training rows."""

    test: Test
    split: Split
    kind: Kind
    frequency: Annotated[float, "geometric mean of the classes' training rows, over images"]
    from_: From
    below: Below
    accuracy: Accuracy
    low: Low
    high: High
    images: Images
    classes: Annotated[int, "classes of these images"]


@dataclass(frozen=True)
class Cell:
    """The images of about one similarity and one class frequency."""

    test: Test
    split: Split
    similarity_from: Annotated[float, "nearest similarity to the training data, at least"]
    similarity_to: Annotated[float, "nearest similarity, less than"]
    frequency_from: From
    frequency_below: Below
    accuracy: Accuracy
    low: Low
    high: High
    images: Images


def rows(inputs: Inputs) -> list[Row]:
    """Accuracy by the frequency of the image's class, in doublings. Bins of fewer images than the
    parameters say are left out."""
    study, least = inputs.study, inputs.parameters.least_per_bin
    return [
        row
        for (name, test), one in inputs.of(seen).items()
        for row in frequencies(one, least, (test, name, study.kind(study.conditions[name])))
    ]


def grids(inputs: Inputs) -> dict[Pair, tuple[list[Cell], tuple[int, int]]]:
    """The cells of every condition and test set that has frequencies; and how many cells are left
    out because they are too small, with how many images."""
    parameters = inputs.parameters
    width, least = COARSE * parameters.bin_width, parameters.least_per_bin
    made = {}
    for (name, test), one in inputs.of(seen).items():
        if one.frequency_Q is not None:
            made[name, test] = grid(one, width, least, (test, name))
    return made


def cells(inputs: Inputs) -> list[Cell]:
    """Accuracy by similarity and frequency together."""
    return [cell for found, _ in inputs.of(grids).values() for cell in found]


def left_out(inputs: Inputs) -> dict[Pair, tuple[int, int]]:
    """Cells that are too small, and their images."""
    return {at: few for at, (_, few) in inputs.of(grids).items()}


def frequency_bin(frequency_Q: Float64[np.ndarray, " Q"]) -> Int64[np.ndarray, " Q"]:
    """k for 2^k <= frequency < 2^(k + 1); means over seeds below one are in the bin of 1, and
    classes without a row in a bin of their own, -1."""
    # the exponent of a float is exact where a logarithm may fall just below a power of two
    _, exponent_Q = np.frexp(np.maximum(frequency_Q, 1.0))
    return np.where(frequency_Q > 0, exponent_Q.astype(np.int64) - 1, NO_ROWS)


def frequencies(one: Seen, least: int, of: tuple[str, str, str]) -> list[Row]:
    """The bins of at least ``least`` images; ``of`` are test set, split and kind."""
    if one.frequency_Q is None:
        return []
    bin_Q, found = frequency_bin(one.frequency_Q), []
    for at in np.unique(bin_Q):
        is_in_Q = bin_Q == at
        if is_in_Q.sum() < least:
            continue
        shown_Q = np.maximum(one.frequency_Q[is_in_Q], decomposition.NO_ROWS)
        middle, classes = rounded(np.exp(np.log(shown_Q).mean())), np.unique(one.class_Q[is_in_Q])
        ends = _edge(int(at), 1), _edge(int(at) + 1, 1)
        accuracy = _accuracy(one.correct_Q[is_in_Q])
        found.append(Row(*of, middle, *ends, *accuracy, len(classes)))
    return found


def grid(
    one: Seen, width: float, least: int, of: tuple[str, str]
) -> tuple[list[Cell], tuple[int, int]]:
    """Bins of similarity of ``width`` and fourfold bins of frequency; and how many cells are left
    out because they have fewer than ``least`` images, with how many. ``of`` are test set and
    split."""
    if one.frequency_Q is None:
        return [], (0, 0)
    across_Q, bin_Q = bin_index(one.similarity_Q, width), frequency_bin(one.frequency_Q)
    up_Q = np.where(bin_Q == NO_ROWS, NO_ROWS, bin_Q // FOURFOLD)
    cells, at_Q, count_A = np.unique(
        np.stack([across_Q, up_Q]), axis=1, return_inverse=True, return_counts=True
    )
    at_Q, found = at_Q.reshape(-1), []
    for cell, (across, up) in enumerate(cells.T.tolist()):
        if count_A[cell] >= least:
            sides = rounded(across * width), rounded((across + 1) * width)
            ends = _edge(up, FOURFOLD), _edge(up + 1, FOURFOLD)
            found.append(Cell(*of, *sides, *ends, *_accuracy(one.correct_Q[at_Q == cell])))
    few_A = count_A < least
    return found, (int(few_A.sum()), int(count_A[few_A].sum()))


TABLES = (Table("byfrequency", Row, rows), Table("grid", Cell, cells, looks=()))


def _edge(at: int, doublings: int) -> int:
    """Where a bin of frequencies begins: 0 for that of classes without a row."""
    return 0 if at < 0 else 2 ** (at * doublings)


def _accuracy(correct_Q: Float64[np.ndarray, " Q"]) -> Ends:
    hits, images = float(correct_Q.sum()), len(correct_Q)
    low, high = wilson(min(hits, images), images)
    return rounded(100 * hits / images), rounded(100 * low), rounded(100 * high), images
