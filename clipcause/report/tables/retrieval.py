"""R@k on test sets of captions by condition, beside the random split's.

Shapes: S runs of a condition, N queries (images, or distinct captions).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from clipcause.config.report import Report
from clipcause.evaluate.retrieval import DEPTHS
from clipcause.report import colours
from clipcause.report.conditions import Condition
from clipcause.report.retrieved import DIRECTIONS, Retrieved
from clipcause.report.statistics import binned_accuracy
from clipcause.report.study import Study
from clipcause.report.tables import series, tabular
from clipcause.report.tables.accuracy import path
from clipcause.stats.comparison import Comparison, Interval, compare
from clipcause.stats.statistics import wilson

COLUMNS = {
    "retrieval": (
        "test", "direction", "depth", "split", "beside", "kind", "recall", "low", "high",
        "difference", "difference_low", "difference_high", "colour",
    ),
    "retrieval_bins": (
        "test", "split", "kind", "similarity", "accuracy", "low", "high", "images", "colour",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Recall:
    """R@k with its Wilson interval, and its difference from the random split's."""

    share: Interval
    against: Comparison | None


@dataclass(frozen=True)
class Line:
    """One condition on one test set; keys of ``recalls`` are direction and depth."""

    condition: Condition
    recalls: dict[tuple[str, int], Recall]
    median: dict[str, float]  # of the ranks, by direction; over runs their mean


Found = dict[str, list[Line]]  # by test set


def load(study: Study, parameters: Report) -> Found:
    """All conditions that were asked for captions, in their order."""
    return {
        test: [
            _line(one, found, parameters)
            for name, one in study.conditions.items()
            if name in found.ranks
        ]
        for test, found in study.retrieval.items()
    }


def _line(one: Condition, found: Retrieved, parameters: Report) -> Line:
    recalls, median = {}, {}
    for direction in DIRECTIONS:
        rank_SN = getattr(found.ranks[one.name], direction)
        median[direction] = float(np.median(rank_SN, axis=1).mean())
        for depth in DEPTHS:
            right_N = (rank_SN <= depth).mean(axis=0)
            hits, count = float(right_N.sum()), len(right_N)
            against = None
            if (beside_TN := _beside(one, found, direction, depth)) is not None:
                against = compare(
                    beside_TN, rank_SN <= depth, resamples=parameters.resamples,
                    seed=parameters.seed,
                ).reversed()  # fmt: skip
            share = Interval(hits / count, *wilson(hits, count))
            recalls[direction, depth] = Recall(share, against)
    return Line(one, recalls, median)


def _beside(
    one: Condition, found: Retrieved, direction: str, depth: int
) -> Float64[np.ndarray, "S N"] | None:
    """What a condition is compared with, as `Study.twin_units` has it for classes."""
    ranks = [getattr(found.ranks[twin], direction) for twin in one.twins if twin in found.ranks]
    if len(ranks) == 1:
        return (ranks[0] <= depth).astype(np.float64)
    return np.stack([(rank_SN <= depth).mean(axis=0) for rank_SN in ranks]) if ranks else None


def numbers(found: Found) -> dict[str, Any]:
    """The metrics: differences from the random split by condition, test set, direction, depth."""
    drops: dict[str, Any] = {}
    for test, lines in found.items():
        for line in lines:
            for (direction, depth), recall in line.recalls.items():
                if recall.against:
                    of_test = drops.setdefault(path(line.condition.name), {}).setdefault(test, {})
                    value = recall.against.difference.value
                    of_test.setdefault(direction, {})[f"r{depth}"] = value
    return drops


def tables(
    study: Study, parameters: Report, found: Found
) -> dict[str, tuple[Sequence[str], tabular.Rows]]:
    """The data of the plots by name, columns and rows."""
    made = {"retrieval": rows(study, found), "retrieval_bins": bin_rows(study, parameters)}
    return {name: (COLUMNS[name], made[name]) for name in COLUMNS}


def rows(study: Study, found: Found) -> tabular.Rows:
    """R@k in % by test set, direction, depth and condition."""
    colour, made = colours.colours(study), []
    for test, lines in found.items():
        for line in lines:
            one = line.condition
            for (direction, depth), recall in line.recalls.items():
                ends = [100 * recall.share.value, 100 * recall.share.low, 100 * recall.share.high]
                gap = recall.against.difference if recall.against else None
                gaps = [100 * end for end in (gap.value, gap.low, gap.high)] if gap else []
                values = [tabular.rounded(value) for value in (*ends, *gaps)]
                named = zip(COLUMNS["retrieval"][6:12], [*values, *[None] * 3], strict=False)
                shown = dict(named)
                made += [
                    {
                        "test": test,
                        "direction": DIRECTIONS[direction],
                        "depth": f"R@{depth}",
                        "split": one.name,
                        "beside": other,
                        "kind": tabular.kind(study, one),
                        **shown,
                        "colour": colour[other],
                    }
                    for other in tabular.beside(study, one)
                ]
    return made


def bin_rows(study: Study, parameters: Report) -> tabular.Rows:
    """R@1 of images in % by bin of their nearest similarity to the training data."""
    bins = {
        (name, test): binned_accuracy(
            study.similarity(study.conditions[name], test),
            (ranks.image_to_text == 1).mean(axis=0),
            width=parameters.bin_width,
            least=parameters.least_per_bin,
        )
        for test, found in study.retrieval.items()
        for name, ranks in found.ranks.items()
    }
    return series.bin_rows(study, bins)
