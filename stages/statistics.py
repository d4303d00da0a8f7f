"""Statistics that several stages give."""

import math

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
