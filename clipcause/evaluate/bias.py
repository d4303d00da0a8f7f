"""Class bias: what a model's answers have to do with how often it saw each class.

Of a confusion matrix (a row for each true class), the accuracy of a class is its diagonal entry
over the sum of its row, its number of predictions the sum of its column. ``corr_acc`` and
``corr_pred`` are Spearman's rank correlations of the two with class frequency (Wen et al.,
NeurIPS 2024, section 2): 0 says unbiased. By ranks, for frequencies span orders of magnitude.

A class without samples has no accuracy, and one without a known frequency no rank: they take no
part in a correlation or a third, and are counted. A statistic that is not defined (equal values,
fewer than three classes) is None, never NaN and never 0.

Intervals say what other test images of the same classes would have given: images are drawn with
replacement within each class (Efron and Tibshirani 1993, chapter 13). Drawing once more adds to
the noise of accuracies and so pulls a rank correlation towards 0; the percentiles are therefore
moved by the difference between the estimate and the mean over resamples. (Simulated, 200 classes of
6 images: the 95 % interval of corr_pred held the expected value in 88 of 100 cases, unmoved
percentiles in 29; of corr_acc in 86 and 80.)

Shapes: C classes, Q test images, R resamples, B resamples that are drawn at once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64, Num

from clipcause.stats.statistics import spearman_rows

LEVEL = 0.95
BLOCK = 1 << 22  # draws that are held at once
THIRDS = ("head", "middle", "tail")
CORRELATIONS = ("corr_acc", "corr_pred")


@dataclass(frozen=True)
class Imbalance:
    """The bias of one model on one test set.

    ``values`` maps what is defined to its value: ``corr_acc``, ``corr_pred``; ``head``, ``middle``
    and ``tail``, mean accuracies of thirds of the classes by frequency; ``trimmed`` and ``rest``,
    of the classes that were trimmed and the others. ``low`` and ``high`` are the ends of their
    95 % intervals. ``accuracy_C`` is NaN for classes without samples.
    """

    values: Mapping[str, float]
    low: Mapping[str, float]
    high: Mapping[str, float]
    accuracy_C: Float64[np.ndarray, " C"]
    sample_C: Int64[np.ndarray, " C"]
    predicted_C: Int64[np.ndarray, " C"]
    classes: int  # that take part in the correlations
    without_samples: int
    without_frequency: int  # of those with samples
    trimmed_classes: int  # with samples

    @property
    def corr_acc(self) -> float | None:
        """Spearman of frequency and accuracy."""
        return self.values.get("corr_acc")

    @property
    def corr_pred(self) -> float | None:
        """Spearman of frequency and number of predictions."""
        return self.values.get("corr_pred")

    def numbers(self) -> dict[str, Any]:
        """All of it as metrics: what is not defined is not there."""
        counts = {
            "classes": self.classes,
            "classes_without_samples": self.without_samples,
            "classes_without_frequency": self.without_frequency,
        }
        if self.trimmed_classes:
            counts["trimmed_classes"] = self.trimmed_classes
        intervals = {"low": dict(self.low), "high": dict(self.high)} if self.low else {}
        return {**self.values, **counts, **intervals}


def confusion(
    label_Q: Int64[np.ndarray, " Q"], predicted_Q: Int64[np.ndarray, " Q"], classes: int
) -> Int64[np.ndarray, "C C"]:
    """How often each class (row) was said to be each class (column)."""
    joint_Q = label_Q * classes + predicted_Q
    return np.bincount(joint_Q, minlength=classes * classes).reshape(classes, classes)


def imbalance(
    # sizes that do not fit are an error with words, of `_check_sizes`
    confusion_CC: Num[np.ndarray, "..."],
    frequency_C: Num[np.ndarray, "..."],
    *,
    trimmed_C: Bool[np.ndarray, "..."] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Imbalance:
    """The bias of a model by its confusion matrix (rows are true classes, entries are counts).

    ``frequency_C`` is in the order of the matrix; NaN where it is not known. Classes of equal
    frequency are sorted into thirds by position; where three does not divide their number the head
    is larger, and where all known frequencies are equal there are no thirds. ``trimmed_C`` marks
    classes whose accuracies ``trimmed`` and ``rest`` are of. The same seed gives the same
    intervals; ``resamples=0`` gives none. A resample in which a statistic is not defined takes no
    part in its interval.

    Raises ``ValueError`` for a matrix that is not square, vectors of another length, entries that
    are no counts, a negative or infinite frequency, and a matrix without a single sample.
    """
    _check_sizes(confusion_CC, {"frequency_C": frequency_C, "trimmed_C": trimmed_C})
    counts_CC = _counts(confusion_CC)
    frequency_C = frequency_C.astype(np.float64)
    if np.isinf(frequency_C).any() or (frequency_C < 0).any():
        raise ValueError("a class frequency is a count of 0 or more, or NaN where it is not known")
    sample_C, predicted_C = counts_CC.sum(axis=1), counts_CC.sum(axis=0)
    some_C = sample_C > 0
    if not some_C.any():
        raise ValueError("the confusion matrix has no sample")
    accuracy_C = np.full(len(sample_C), np.nan)
    accuracy_C[some_C] = np.diag(counts_CC)[some_C] / sample_C[some_C]
    known_C = some_C & ~np.isnan(frequency_C)
    groups = _thirds(frequency_C, known_C)
    trimmed = 0
    if trimmed_C is not None and (some_C & trimmed_C).any():
        both = {"trimmed": some_C & trimmed_C, "rest": some_C & ~trimmed_C}
        groups |= {name: np.flatnonzero(member_C) for name, member_C in both.items()}
        trimmed = len(groups["trimmed"])

    def measured(
        accuracy_RC: Float64[np.ndarray, "R C"], predicted_RC: Num[np.ndarray, "R C"]
    ) -> dict[str, Float64[np.ndarray, " R"]]:
        rank_C = frequency_C[known_C]
        found = {
            "corr_acc": spearman_rows(accuracy_RC[:, known_C], rank_C),
            "corr_pred": spearman_rows(predicted_RC[:, known_C], rank_C),
        }
        means = {n: accuracy_RC[:, place].mean(axis=1) for n, place in groups.items() if len(place)}
        return found | means

    values = {
        name: float(value_1[0])
        for name, value_1 in measured(accuracy_C[None], predicted_C[None]).items()
        if not np.isnan(value_1[0])
    }
    low, high = {}, {}
    if resamples:
        parts = [measured(*drawn) for drawn in resampled(counts_CC, resamples, seed)]
        for name, value in values.items():
            drawn_R = np.concatenate([part[name] for part in parts])
            low[name], high[name] = _interval(value, drawn_R, -1.0 if name in CORRELATIONS else 0.0)
    return Imbalance(
        values, low, high, accuracy_C, sample_C, predicted_C,
        classes=int(known_C.sum()),
        without_samples=int((~some_C).sum()),
        without_frequency=int((some_C & ~known_C).sum()),
        trimmed_classes=trimmed,
    )  # fmt: skip


def resampled(
    confusion_CC: Int64[np.ndarray, "C C"], resamples: int, seed: int
) -> Iterator[tuple[Float64[np.ndarray, "B C"], Int64[np.ndarray, "B C"]]]:
    """Accuracies and numbers of predictions by class of resamples of the test images.

    Every class keeps its number of images. No draw depends on how many are made at once.
    """
    classes = len(confusion_CC)
    label_P, said_P = np.nonzero(confusion_CC)  # by label, then by prediction
    times_P = confusion_CC[label_P, said_P]
    label_Q, said_Q = np.repeat(label_P, times_P), np.repeat(said_P, times_P)
    right_Q = (label_Q == said_Q).astype(np.float64)
    sample_C = confusion_CC.sum(axis=1)
    some_C = sample_C > 0
    first_C = np.cumsum(sample_C) - sample_C
    first_Q, sample_Q = first_C[label_Q], sample_C[label_Q].astype(np.float64)
    random = np.random.default_rng(seed)
    at_once = max(1, BLOCK // len(label_Q))
    for start in range(0, resamples, at_once):
        block = min(at_once, resamples - start)
        place_BQ = random.random((block, len(label_Q)))
        place_BQ *= sample_Q
        drawn_BQ = place_BQ.astype(np.int64)
        drawn_BQ += first_Q
        accuracy_BC = np.full((block, classes), np.nan)
        hits = np.add.reduceat(right_Q[drawn_BQ], first_C[some_C], axis=1)
        accuracy_BC[:, some_C] = hits / sample_C[some_C]
        said_BQ = said_Q[drawn_BQ]
        said_BQ += np.arange(block)[:, None] * classes
        predicted_BC = np.bincount(said_BQ.ravel(), minlength=block * classes)
        yield accuracy_BC, predicted_BC.reshape(block, classes)


def _check_sizes(
    confusion_CC: Num[np.ndarray, "..."], vectors: Mapping[str, np.ndarray | None]
) -> None:
    shape = confusion_CC.shape
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(
            f"a confusion matrix has a row and a column for each class, and this one is "
            f"{_by(shape)}"
        )
    for name, vector_C in vectors.items():
        if vector_C is not None and vector_C.shape != shape[:1]:
            raise ValueError(
                f"{name} is of size {_by(vector_C.shape)}, and the confusion matrix {_by(shape)}: "
                "it has one value for each class"
            )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _counts(confusion_CC: Num[np.ndarray, "C C"]) -> Int64[np.ndarray, "C C"]:
    counts_CC = confusion_CC.astype(np.int64)
    if (counts_CC != confusion_CC).any() or (counts_CC < 0).any():
        raise ValueError("a confusion matrix has counts: whole numbers of 0 or more")
    return counts_CC


def _thirds(
    frequency_C: Float64[np.ndarray, " C"], known_C: Bool[np.ndarray, " C"]
) -> dict[str, Int64[np.ndarray, " M"]]:
    """The positions of the classes of each third, the most frequent first.

    Where all frequencies are equal none is more frequent: there is no third.
    """
    place_K = np.flatnonzero(known_C)
    if len(np.unique(frequency_C[place_K])) < 2:
        return {}
    order_K = place_K[np.argsort(-frequency_C[place_K], kind="stable")]
    return dict(zip(THIRDS, np.array_split(order_K, len(THIRDS)), strict=True))


def _interval(
    value: float, drawn_R: Float64[np.ndarray, " R"], least: float
) -> tuple[float, float]:
    """The ends of the interval; no draw at all that is defined gives the estimate itself."""
    drawn_R = drawn_R[~np.isnan(drawn_R)]
    if not len(drawn_R):
        return value, value
    moved_R = drawn_R - drawn_R.mean() + value
    low, high = np.quantile(moved_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    # a few resamples far off move the mean beyond the percentiles: the estimate stays inside
    return min(max(float(low), least), value), max(min(float(high), 1.0), value)
