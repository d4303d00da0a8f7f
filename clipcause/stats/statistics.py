"""Statistics that several stages give.

Shapes: R vectors (resamples), C values of each.
"""

import math

import numpy as np
from jaxtyping import Float, Num
from scipy import stats

LEAST = 3  # two points always have a rank correlation of one
Z_95 = 1.959963984540054  # the normal quantile of a 95 % interval


def wilson(successes: float | int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson, JASA 1927), low and high.

    ``successes`` may be a mean over seeds, hence not whole: the interval is that of ``n`` trials.
    Raises ``ValueError`` for n = 0 or more successes than n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}: no share")
    share = successes / n
    square = Z_95 * Z_95
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = Z_95 / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    # the ends are exact where every or no trial succeeds
    low = 0.0 if successes == 0 else middle - half
    high = 1.0 if successes == n else middle + half
    return low, high


def spearman(a_C: Num[np.ndarray, " C"], b_C: Num[np.ndarray, " C"]) -> float | None:
    """Spearman's rank correlation; equal values share their mean rank.

    ``None`` where it is not defined or says nothing: fewer than three pairs, or a vector of equal
    values. Raises ``ValueError`` for values that are not finite.
    """
    value = float(spearman_rows(a_C[None], b_C)[0])
    return None if math.isnan(value) else value


def spearman_rows(
    a_RC: Num[np.ndarray, "R C"], b_C: Num[np.ndarray, " C"]
) -> Float[np.ndarray, " R"]:
    """Spearman's rank correlation of each row of ``a_RC`` with ``b_C``; NaN where ``spearman`` has
    none."""
    if not (np.isfinite(a_RC).all() and np.isfinite(b_C).all()):
        raise ValueError("rank correlation of values that are not finite")
    if len(b_C) < LEAST:
        return np.full(len(a_RC), np.nan)
    # ranks less their mean are multiples of a half: sums of products are exact, equal is equal
    middle = (len(b_C) + 1) / 2
    a_RC = stats.rankdata(a_RC, axis=1) - middle
    b_C = stats.rankdata(b_C) - middle
    scale_R = np.sqrt((a_RC * a_RC).sum(axis=1) * (b_C @ b_C))
    with np.errstate(invalid="ignore"):  # 0 / 0 of equal values is NaN
        return np.clip((a_RC @ b_C) / scale_R, -1.0, 1.0)
