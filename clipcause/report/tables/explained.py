"""Accuracy by class frequency and by similarity and frequency together, the logistic fits, and how
much of a drop the change in similarity explains: data in long form, a dictionary a mark.

Class frequencies are those that `evaluate` counted among a run's training rows; where it counted
none, what needs them is left out.

Shapes: Q test images, B bins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from clipcause.config import layout
from clipcause.config.report import Report
from clipcause.evaluate import predictions
from clipcause.report import colours
from clipcause.report.conditions import Condition
from clipcause.report.statistics import bin_index
from clipcause.report.study import Study
from clipcause.report.tables import tabular
from clipcause.stats import decomposition as explaining
from clipcause.stats import logistic
from clipcause.stats.comparison import Interval
from clipcause.stats.decomposition import Explained
from clipcause.stats.logistic import Fit, Undefined
from clipcause.stats.statistics import wilson

Rows = list[dict[str, Any]]
Pair = tuple[str, str]  # condition and test set
COARSE = 2  # bins of the grid are so many of the curve's
FOURFOLD = 2  # doublings of frequency in a bin of the grid
NO_ROWS = -1  # the bin of classes without a row
OBSERVED, PREDICTED = "observed", "predicted from similarity"
KEPT = "observed where similarity is the same"
COLUMNS = {
    "byfrequency": (
        "test", "split", "kind", "frequency", "from", "below", "accuracy", "low", "high", "images",
        "classes", "colour",
    ),
    "grid": (
        "test", "split", "similarity_from", "similarity_to", "frequency_from", "frequency_below",
        "accuracy", "low", "high", "images",
    ),
    "explained": (
        "test", "split", "kind", "points", "low", "high", "images", "share", "share_low",
        "share_high", "colour",
    ),
    "logistic": (
        "test", "split", "of", "per", "log_odds", "low", "high", "images", "classes", "undefined",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Explanation:
    """Rows of the plots by name, and what the tables of the page are made from."""

    rows: dict[str, Rows]
    fits: dict[Pair, Fit | Undefined]
    has_frequency: dict[Pair, bool]  # whether the fit has a column of it
    explained: dict[Pair, Explained | Undefined]  # of conditions with a random split of their size
    left_out: dict[Pair, tuple[int, int]]  # cells of the grid that are too small, their images


@dataclass(frozen=True)
class Seen:
    """The images of a test set as one condition saw them."""

    similarity_Q: Float64[np.ndarray, " Q"]
    frequency_Q: Float64[np.ndarray, " Q"] | None  # training rows of the image's class
    correct_Q: Float64[np.ndarray, " Q"]
    class_Q: Int64[np.ndarray, " Q"]


def load(study: Study, parameters: Report) -> Explanation:
    """Read the classes of test images and their frequencies, and compute all."""
    classes = {test: labels(study, test) for test in study.tests}
    seen = {
        (name, test): _seen(study, one, test, classes[test])
        for name, one in study.conditions.items()
        for test in study.tests
    }
    fits = {
        at: logistic.fit(
            explaining.design(one.similarity_Q, _varying(one)), one.correct_Q, one.class_Q
        )
        for at, one in seen.items()
    }
    explained = {
        (name, test): _explain(seen, one, test, parameters)
        for name, one in study.conditions.items()
        for test in study.tests
        if one.twins
    }
    colour = colours.colours(study)
    by_frequency, grid, left_out = [], [], {}
    for (name, test), one in seen.items():
        if one.frequency_Q is None:
            continue
        kind = tabular.kind(study, study.conditions[name])
        shared = {"test": test, "split": name}
        found = frequency_rows(one, parameters.least_per_bin)
        by_frequency += [{**shared, "kind": kind, **row, "colour": colour[name]} for row in found]
        cells, few = grid_rows(one, COARSE * parameters.bin_width, parameters.least_per_bin)
        grid += [{**shared, **row} for row in cells]
        left_out[name, test] = few
    rows = {
        "byfrequency": by_frequency,
        "grid": grid,
        "explained": _explained_rows(explained, seen, colour),
        "logistic": _logistic_rows(fits, seen),
    }
    has_frequency = {at: _varying(one) is not None for at, one in seen.items()}
    return Explanation(rows, fits, has_frequency, explained, left_out)


def numbers(found: Explanation) -> dict[str, dict[str, float]]:
    """The metrics: the share of every drop that similarity explains, where it is defined."""
    metrics: dict[str, dict[str, float]] = {}
    for (name, test), one in found.explained.items():
        if isinstance(one, Explained) and not isinstance(one.share, Undefined):
            metrics.setdefault(name.replace(" ", "-"), {})[test] = one.share.value
    return metrics


def frequency_bin(frequency_Q: Float64[np.ndarray, " Q"]) -> Int64[np.ndarray, " Q"]:
    """k for 2^k <= frequency < 2^(k + 1); means over seeds below one are in the bin of 1, and
    classes without a row in a bin of their own, -1."""
    # the exponent of a float is exact where a logarithm may fall just below a power of two
    _, exponent_Q = np.frexp(np.maximum(frequency_Q, 1.0))
    return np.where(frequency_Q > 0, exponent_Q.astype(np.int64) - 1, NO_ROWS)


def frequency_rows(one: Seen, least: int) -> Rows:
    """Accuracy in % with its Wilson interval by the frequency of the image's class, in doublings.
    Bins of fewer than ``least`` images are left out."""
    if one.frequency_Q is None:
        return []
    bin_Q, rows = frequency_bin(one.frequency_Q), []
    for at in np.unique(bin_Q):
        is_in_Q = bin_Q == at
        if is_in_Q.sum() < least:
            continue
        shown_Q = np.maximum(one.frequency_Q[is_in_Q], explaining.NO_ROWS)
        rows.append({
            "frequency": tabular.rounded(np.exp(np.log(shown_Q).mean())),
            "from": _edge(int(at), 1),
            "below": _edge(int(at) + 1, 1),
            **_accuracy(one.correct_Q[is_in_Q]),
            "classes": len(np.unique(one.class_Q[is_in_Q])),
        })  # fmt: skip
    return rows


def grid_rows(one: Seen, width: float, least: int) -> tuple[Rows, tuple[int, int]]:
    """Accuracy in % by similarity (bins of ``width``) and frequency (fourfold bins) together; and
    how many cells are left out because they have fewer than ``least`` images, with how many."""
    if one.frequency_Q is None:
        return [], (0, 0)
    across_Q = bin_index(one.similarity_Q, width)
    bin_Q = frequency_bin(one.frequency_Q)
    up_Q = np.where(bin_Q == NO_ROWS, NO_ROWS, bin_Q // FOURFOLD)
    cells, at_Q, count_A = np.unique(
        np.stack([across_Q, up_Q]), axis=1, return_inverse=True, return_counts=True
    )
    at_Q, rows = at_Q.reshape(-1), []
    for cell, (across, up) in enumerate(cells.T.tolist()):
        if count_A[cell] >= least:
            rows.append({
                "similarity_from": tabular.rounded(across * width),
                "similarity_to": tabular.rounded((across + 1) * width),
                "frequency_from": _edge(up, FOURFOLD),
                "frequency_below": _edge(up + 1, FOURFOLD),
                **_accuracy(one.correct_Q[at_Q == cell]),
            })  # fmt: skip
    few_A = count_A < least
    return rows, (int(few_A.sum()), int(count_A[few_A].sum()))


def labels(study: Study, test: str) -> Shaped[np.ndarray, " Q"]:
    """The class id of every image of a test set, as text; empty where no model answered."""
    for one in study.conditions.values():
        table = predictions.read(layout.predictions(one.runs[0]), test)
        return np.array(table["label"].to_pylist(), dtype=str)
    return np.array([], dtype=str)


def _edge(at: int, doublings: int) -> int:
    """Where a bin of frequencies begins: 0 for that of classes without a row."""
    return 0 if at < 0 else 2 ** (at * doublings)


def _accuracy(correct_Q: Float64[np.ndarray, " Q"]) -> dict[str, float | int]:
    hits, images = float(correct_Q.sum()), len(correct_Q)
    low, high = wilson(min(hits, images), images)
    return {
        "accuracy": tabular.rounded(100 * hits / images),
        "low": tabular.rounded(100 * low),
        "high": tabular.rounded(100 * high),
        "images": images,
    }


def _seen(study: Study, one: Condition, test: str, label_Q: np.ndarray) -> Seen:
    _, class_Q = np.unique(label_Q, return_inverse=True)
    return Seen(
        study.similarity(one, test),
        _frequency(one, test, label_Q),
        study.outcomes[one.name, test].top1_Q,
        class_Q.astype(np.int64),
    )


def _frequency(one: Condition, test: str, label_Q: np.ndarray) -> Float64[np.ndarray, " Q"] | None:
    """Mean over seeds; None where a run or the class of an image has no frequency."""
    found: list[Mapping[str, int]] = []
    for run in one.runs:
        folder = layout.predictions(run)
        if not (folder / f"{test}.classes.csv").exists():
            return None
        lines = predictions.read_classes(folder, test).to_pylist()
        found.append({row["class"]: row["frequency"] for row in lines})
    known = [[table.get(label) for table in found] for label in label_Q.tolist()]
    if not known or any(value is None for values in known for value in values):
        return None
    return np.array(known, dtype=np.float64).mean(axis=1)


def _varying(one: Seen) -> Float64[np.ndarray, " Q"] | None:
    """The frequencies, unless all are the same and say nothing."""
    if one.frequency_Q is None or np.ptp(one.frequency_Q) == 0:
        return None
    return one.frequency_Q


def _explain(
    seen: Mapping[Pair, Seen], one: Condition, test: str, parameters: Report
) -> Explained | Undefined:
    pruned, twins = seen[one.name, test], [seen[twin, test] for twin in one.twins]
    known = [_varying(twin) for twin in twins]
    if any(values is None for values in known):
        known = [None] * len(twins)
    return explaining.explain(
        np.stack([
            explaining.design(twin.similarity_Q, values)
            for twin, values in zip(twins, known, strict=True)
        ]),
        np.stack([twin.correct_Q for twin in twins]),
        pruned.similarity_Q,
        pruned.correct_Q,
        pruned.class_Q,
        resamples=parameters.resamples,
        seed=parameters.seed,
    )  # fmt: skip


def _explained_rows(
    found: Mapping[Pair, Explained | Undefined],
    seen: Mapping[Pair, Seen],
    colour: Mapping[str, str],
) -> Rows:
    rows = []
    for (name, test), one in found.items():
        if isinstance(one, Undefined):
            continue
        share = {}
        if isinstance(one.share, Interval):
            ends = (one.share.value, one.share.low, one.share.high)
            names = ("share", "share_low", "share_high")
            share = dict(zip(names, map(tabular.rounded, ends), strict=True))
        images = len(seen[name, test].correct_Q)
        marks = [(OBSERVED, one.drop, images), (PREDICTED, one.predicted, images)]
        marks += [(KEPT, one.kept_drop, one.kept)] if one.kept_drop else []
        for kind, drop, count in marks:
            value = drop.reversed()  # readers see split minus random everywhere
            rows.append({
                "test": test,
                "split": name,
                "kind": kind,
                "points": tabular.rounded(100 * value.value),
                "low": tabular.rounded(100 * value.low),
                "high": tabular.rounded(100 * value.high),
                "images": count,
                **(share if kind == PREDICTED else {}),
                "colour": colour[name],
            })  # fmt: skip
    return rows


def _logistic_rows(fits: Mapping[Pair, Fit | Undefined], seen: Mapping[Pair, Seen]) -> Rows:
    rows = []
    for (name, test), fit in fits.items():
        one = seen[name, test]
        shared = {
            "test": test,
            "split": name,
            "images": len(one.correct_Q),
            "classes": len(np.unique(one.class_Q)),
        }
        columns = [("similarity", f"{explaining.PER_SIMILARITY:g}")]
        columns += [("frequency", "doubling")] if _varying(one) is not None else []
        for column, (of, per) in enumerate(columns, 1):
            row = {**shared, "of": of, "per": per}
            if isinstance(fit, Undefined):
                rows.append({**row, "undefined": fit.reason})
                continue
            value = fit.interval(column)
            row["log_odds"] = tabular.rounded(fit.coefficient_K[column])
            if value is not None:
                row |= {"low": tabular.rounded(value.low), "high": tabular.rounded(value.high)}
            rows.append(row)
    return rows
