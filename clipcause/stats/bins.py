"""Accuracy in bins of similarity.

Shapes: Q test images, B bins.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import stats

LEAST_BINS = 3  # two points always have a rank correlation of one


@dataclass(frozen=True)
class Bins:
    """Accuracy by similarity. Bins with too few images are counted and left out."""

    similarity_B: Float64[np.ndarray, " B"]  # mean of the images in the bin
    accuracy_B: Float64[np.ndarray, " B"]
    count_B: Int64[np.ndarray, " B"]
    bins_left_out: int
    images_left_out: int


def bin_index(similarity_Q: Float64[np.ndarray, " Q"], width: float) -> Int64[np.ndarray, " Q"]:
    """The bin of every similarity: k for k * width <= s < (k + 1) * width.

    Copies, whose similarity is 1 but for rounding, belong to the last bin below 1.
    """
    # 0.15 / 0.05 is 2.9999…: an edge belongs to the bin that it begins
    index_Q = np.floor(np.round(similarity_Q / width, 9)).astype(np.int64)
    return np.minimum(index_Q, int(np.ceil(round(1 / width, 9))) - 1)


def histogram(
    similarity_Q: Float64[np.ndarray, " Q"], width: float, first: int, last: int
) -> Float64[np.ndarray, " B"]:
    """The share of images in each of the bins ``first`` … ``last`` (as ``bin_index`` counts)."""
    index_Q = bin_index(similarity_Q, width)
    if len(index_Q) and not first <= index_Q.min() <= index_Q.max() <= last:
        raise ValueError(f"similarities outside of bins {first} to {last}")
    counts_B = np.bincount(index_Q - first, minlength=last - first + 1)
    return counts_B / max(len(similarity_Q), 1)


def binned_accuracy(
    similarity_Q: Float64[np.ndarray, " Q"],
    correct_Q: Float64[np.ndarray, " Q"],
    *,
    width: float,
    least: int,
) -> Bins:
    """Accuracy in bins of similarity, as in the similarity study's figure (bins of 0.05 there)."""
    index_Q = bin_index(similarity_Q, width)
    _, position_Q, count_A = np.unique(index_Q, return_inverse=True, return_counts=True)
    similarity_A = np.bincount(position_Q, similarity_Q) / count_A
    accuracy_A = np.bincount(position_Q, correct_Q) / count_A
    kept_A: Bool[np.ndarray, " A"] = count_A >= least
    return Bins(
        similarity_A[kept_A],
        accuracy_A[kept_A],
        count_A[kept_A].astype(np.int64),
        int((~kept_A).sum()),
        int(count_A[~kept_A].sum()),
    )


def spearman(bins: Bins) -> float | None:
    """Spearman's rank correlation of similarity and accuracy over bins.

    ``None`` where it is not defined or says nothing: fewer than three bins, or equal accuracies.
    """
    if len(bins.accuracy_B) < LEAST_BINS or np.ptp(bins.accuracy_B) == 0:
        return None
    return float(stats.spearmanr(bins.similarity_B, bins.accuracy_B).statistic)
