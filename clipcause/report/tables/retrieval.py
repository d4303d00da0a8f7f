"""R@k on test sets of captions by condition, beside the random split's.

Shapes: S runs of a condition, N queries (images, or distinct captions).
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from clipcause.evaluate.retrieval import DEPTHS
from clipcause.report.conditions import Condition
from clipcause.report.inputs import Inputs
from clipcause.report.outline import Keyed
from clipcause.report.study import Ranks
from clipcause.report.tables import accuracy, similarity, table
from clipcause.stats.comparison import Comparison, Interval

DIRECTIONS = {"image_to_text": "image to text", "text_to_image": "text to image"}
At = tuple[str, int]  # direction and depth


@dataclass(frozen=True)
class Recall:
    """R@k with its Wilson interval, and its difference from the random split's."""

    share: Interval
    against: Comparison | None


@dataclass(frozen=True)
class Line:
    """One condition on one test set."""

    condition: Condition
    recalls: Keyed[At, Recall]
    median: dict[str, float]  # of the ranks, by direction; over runs their mean


@dataclass(frozen=True)
class Asked:
    """A test set of captions, and the conditions that were asked for them, in their order."""

    images: int
    captions: int  # distinct ones
    lines: list[Line]


@dataclass(frozen=True)
class Row:
    """A condition on a test set, in one direction and depth."""

    test: table.Test
    direction: Annotated[str, "`image to text` or `text to image`"]
    depth: Annotated[str, "R@k: found among the k nearest"]
    split: table.Split
    beside: table.Beside
    kind: table.Kind
    recall: Annotated[float, "queries that find what is right, in %"]
    low: table.Low
    high: table.High
    difference: Annotated[float | None, "points above (+) the random split of its size"]
    difference_low: Annotated[float | None, "lower end of its 95 % interval"]
    difference_high: Annotated[float | None, "upper end of its 95 % interval"]


def asked(inputs: Inputs) -> dict[str, Asked]:
    """All test sets of captions."""
    study = inputs.study
    return {
        test: Asked(
            len(study.suite[test]),
            len(next(iter(found.values())).row_C) if found else 0,
            [_line(inputs, study.conditions[name], found) for name in study.conditions
             if name in found],
        )
        for test, found in study.ranks.items()
    }  # fmt: skip


def numbers(inputs: Inputs) -> dict[str, Any]:
    """The metrics: differences from the random split by condition, test set, direction, depth."""
    found: dict[str, Any] = {}
    for test, of in inputs.of(asked).items():
        for line in of.lines:
            for (direction, depth), recall in line.recalls.items():
                if recall.against:
                    name = accuracy.path(line.condition.name)
                    of_test = found.setdefault(name, {}).setdefault(test, {})
                    value = recall.against.difference.value
                    of_test.setdefault(direction, {})[f"r{depth}"] = value
    return found


def rows(inputs: Inputs) -> list[Row]:
    """R@k in % by test set, condition, direction and depth."""
    study, made = inputs.study, []
    for test, of in inputs.of(asked).items():
        for line in of.lines:
            name, kind = line.condition.name, study.kind(line.condition)
            for (direction, depth), recall in line.recalls.items():
                ends = table.percent(recall.against.difference) if recall.against else (None,) * 3
                made += [
                    Row(
                        test, DIRECTIONS[direction], f"R@{depth}", name, beside, kind,
                        *table.percent(recall.share), *ends,
                    )
                    for beside in study.beside(line.condition)
                ]  # fmt: skip
    return made


def binned(inputs: Inputs) -> list[similarity.Binned]:
    """R@1 of images in % by bin of their nearest similarity to the training data."""
    found = {
        (name, test): similarity.in_bins(
            inputs, name, test, (ranks.image_to_text == 1).mean(axis=0)
        )
        for test, of in inputs.study.ranks.items()
        for name, ranks in of.items()
    }
    return similarity.rows(inputs, found)


TABLES = (
    table.Table("retrieval", Row, rows, by="beside"),
    table.Table("retrieval_bins", similarity.Binned, binned),
)


def _line(inputs: Inputs, one: Condition, found: dict[str, Ranks]) -> Line:
    recalls, median = {}, {}
    for direction in DIRECTIONS:
        rank_SN = getattr(found[one.name], direction)
        beside = [getattr(found[name], direction) for name in one.controls if name in found]
        median[direction] = float(np.median(rank_SN, axis=1).mean())
        row_C = found[one.name].row_C if direction == "text_to_image" else None
        for depth in DEPTHS:
            right_SN, of_controls = rank_SN <= depth, [rank <= depth for rank in beside]
            recalls[direction, depth] = _recall(inputs, right_SN, of_controls, row_C)
    return Line(one, recalls, median)


def _recall(
    inputs: Inputs,
    right_SN: np.ndarray,
    of_controls: list[np.ndarray],
    row_C: np.ndarray | None,
) -> Recall:
    """R@k. Captions of one image (``row_C``) go together into resamples, as the image does: they
    are right or wrong together, and taken as independent would seem to say more than they do."""
    right_N = right_SN.mean(axis=0)
    if row_C is None or len(np.unique(row_C)) == len(row_C):
        share = table.share(float(right_N.sum()), len(right_N))
        return Recall(share, accuracy.against(inputs, of_controls, right_SN))
    image_C = np.unique(row_C, return_inverse=True)[1]
    most, images = int(np.bincount(image_C).max()), int(image_C.max()) + 1
    share = table.share(float(right_N.mean() * images), images)
    one, *others = (
        # shares of the captions of the image that has most of them
        np.stack([np.bincount(image_C, right_C, images) / most for right_C in right_SC])
        for right_SC in (right_SN, *of_controls)
    )
    found = accuracy.against(inputs, others, one)
    # a mean over images is one over captions, but for images that have fewer
    return Recall(share, found and found.scaled(most * images / len(row_C)))
