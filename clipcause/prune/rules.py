"""The prune rules as functions on arrays.

Shapes: N pool rows, M consecutive ones of them, a block. A set of rows is a boolean for every pool
row, which costs a byte where row numbers cost eight; what a rule keeps is a subset of the base.
Scores come in blocks, one test set after the other, so that their number does not count for memory.
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt64

from clipcause.prune.selection import ascending, smallest
from clipcause.runtime.splitmix64 import GAMMA, finalised

Blocks = Iterable[tuple[int, Float32[np.ndarray, " _M"]]]
"""A column of scores over all pool rows: first row and values of consecutive blocks."""


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


def beyond(margin_M: Float32[np.ndarray, " M"], delta: float) -> Bool[np.ndarray, " M"]:
    """Rows that hull pruning removes for one test set: margin > delta, strictly.

    ``delta`` 0 is the definition of the similarity study: a row at exactly the threshold stays.
    """
    # a float64 scalar, lest delta be rounded to float32 before the comparison
    return margin_M > np.float64(delta)


def hull(
    base_N: Bool[np.ndarray, " N"], margins: Mapping[str, Blocks], delta: float
) -> tuple[Bool[np.ndarray, " N"], dict[str, int]]:
    """Base rows that no test set removes, and the number that each test set removes by itself."""
    kept_N, per_test = base_N.copy(), {}
    for test, blocks in margins.items():
        per_test[test] = 0
        for start, margin_M in blocks:
            rows = slice(start, start + len(margin_M))
            removed_M = beyond(margin_M, delta) & base_N[rows]
            per_test[test] += int(np.count_nonzero(removed_M))
            kept_N[rows] &= ~removed_M
    return kept_N, per_test


def similarity_to_any(count: int, max_sims: Iterable[Blocks]) -> Float32[np.ndarray, " N"]:
    """c(x): the similarity to the nearest image of any of several test sets, for ``count`` rows."""
    largest_N = np.full(count, -np.inf, np.float32)
    for blocks in max_sims:
        for start, max_sim_M in blocks:
            part_M = largest_N[start : start + len(max_sim_M)]
            np.maximum(part_M, max_sim_M, out=part_M)
    return largest_N


def near(
    base_N: Bool[np.ndarray, " N"], similarity_N: Float32[np.ndarray, " N"], size: int
) -> Bool[np.ndarray, " N"]:
    """Near-pruning drops the nearest: the first ``size`` rows by (similarity, row) are kept."""
    return smallest(base_N, lambda start, stop: ascending(similarity_N[start:stop]), size)


def far(
    base_N: Bool[np.ndarray, " N"], similarity_N: Float32[np.ndarray, " N"], size: int
) -> Bool[np.ndarray, " N"]:
    """Far-pruning drops the farthest: the last ``size`` rows by (similarity, row) are kept.

    ``near`` with n rows and ``far`` with B - n are complements, also under ties.
    """
    kept_N = near(base_N, similarity_N, int(np.count_nonzero(base_N)) - size)
    # what is not among the first is among the last: near is a subset of the base
    return np.not_equal(kept_N, base_N, out=kept_N)


def random(base_N: Bool[np.ndarray, " N"], size: int, seed: int) -> Bool[np.ndarray, " N"]:
    """A uniform sample of exactly ``size`` base rows.

    Each row gets a key from (seed, row), and the smallest keys are kept: the sample depends on no
    library's generator and no platform, and samples of one seed are nested by size.
    """
    # two rows never have the same key: for one seed the mixing is a bijection
    return smallest(base_N, lambda start, stop: mixed(seed, np.arange(start, stop)), size)


def mixed(seed: int, rows_M: Int64[np.ndarray, " M"]) -> UInt64[np.ndarray, " M"]:
    """Pseudo-random 64-bit keys: the outputs of SplitMix64 at the positions ``rows_M``.

    The seed passes the finaliser too, so that the sequences of neighbouring seeds start far apart.
    """
    start = finalised(np.array([seed], np.uint64) * GAMMA + GAMMA)
    return finalised(start + (rows_M.astype(np.uint64) + np.uint64(1)) * GAMMA)
