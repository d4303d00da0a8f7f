"""The prune rules as functions on arrays.

Shapes: N pool rows, B rows of the base, K rows kept. Base rows are ascending pool rows; every
function returns ascending pool rows, a subset of the base.
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Bool, Float32, Int64

from stages.mixing import GAMMA, finalised


def target_size(keep: int | float, base: int) -> int:
    """The number of rows that ``keep`` means: rows, or a share of the base (rounded half up).

    Raises ``ValueError`` where that is nothing, or more than the base has.
    """
    size = keep if isinstance(keep, int) else math.floor(keep * base + 0.5)
    if size > base:
        raise ValueError(f"keep {keep} is more than the {base} rows of the base")
    if size < 1:
        raise ValueError(f"keep {keep} of {base} rows of the base keeps nothing")
    return size


def beyond(margin_N: Float32[np.ndarray, " N"], delta: float) -> Bool[np.ndarray, " N"]:
    """Rows that hull pruning removes for one test set: margin > delta, strictly.

    ``delta`` 0 is the definition of the similarity study: a row at exactly the threshold stays.
    """
    # a float64 scalar, lest delta be rounded to float32 before the comparison
    return margin_N > np.float64(delta)


def hull(
    base_B: Int64[np.ndarray, " B"], margins: Mapping[str, Float32[np.ndarray, " N"]], delta: float
) -> tuple[Int64[np.ndarray, " K"], dict[str, int]]:
    """Base rows that no test set removes, and the number that each test set removes by itself."""
    removed_B = np.zeros(len(base_B), bool)
    per_test = {}
    for test, margin_N in margins.items():
        one_B = beyond(margin_N[base_B], delta)
        per_test[test] = int(one_B.sum())
        removed_B |= one_B
    return base_B[~removed_B], per_test


def similarity_to_any(
    max_sims: Iterable[Float32[np.ndarray, " N"]],
) -> Float32[np.ndarray, " N"]:
    """c(x): the similarity to the nearest image of any of several test sets."""
    first, *others = max_sims
    largest_N = first.copy()
    for max_sim_N in others:
        np.maximum(largest_N, max_sim_N, out=largest_N)
    return largest_N


def ordered(
    base_B: Int64[np.ndarray, " B"], similarity_N: Float32[np.ndarray, " N"]
) -> Int64[np.ndarray, " B"]:
    """Base rows by (similarity, row), least similar first."""
    # the base ascends, so a stable sort breaks ties by row
    return base_B[np.argsort(similarity_N[base_B], kind="stable")]


def near(
    base_B: Int64[np.ndarray, " B"], similarity_N: Float32[np.ndarray, " N"], size: int
) -> Int64[np.ndarray, " K"]:
    """Near-pruning drops the nearest: the first ``size`` rows by (similarity, row) are kept."""
    return np.sort(ordered(base_B, similarity_N)[:size])


def far(
    base_B: Int64[np.ndarray, " B"], similarity_N: Float32[np.ndarray, " N"], size: int
) -> Int64[np.ndarray, " K"]:
    """Far-pruning drops the farthest: the last ``size`` rows by (similarity, row) are kept.

    ``near`` with n rows and ``far`` with B - n are complements, also under ties.
    """
    return np.sort(ordered(base_B, similarity_N)[len(base_B) - size :])


def random(base_B: Int64[np.ndarray, " B"], size: int, seed: int) -> Int64[np.ndarray, " K"]:
    """A uniform sample of exactly ``size`` base rows.

    Each row gets a key from (seed, row), and the smallest keys are kept: the sample depends on no
    library's generator and no platform, and samples of one seed are nested by size.
    """
    key_B = mixed(seed, base_B)
    # two rows never have the same key: for one seed the mixing is a bijection
    chosen_K = np.argpartition(key_B, size - 1)[:size]
    return np.sort(base_B[chosen_K])


def mixed(seed: int, rows_B: Int64[np.ndarray, " B"]) -> np.ndarray:
    """Pseudo-random 64-bit keys: the outputs of SplitMix64 at the positions ``rows_B``.

    The seed passes the finaliser too, so that the sequences of neighbouring seeds start far apart.
    """
    start = finalised(np.array([seed], np.uint64) * GAMMA + GAMMA)
    return finalised(start + (rows_B.astype(np.uint64) + np.uint64(1)) * GAMMA)
