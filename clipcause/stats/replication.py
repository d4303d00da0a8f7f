"""Whether two studies say the same: claim by claim, and whether they agree as often as they should.

A claim is a difference of two conditions with its 95 % interval. Two studies that estimate the same
true difference differ by their errors alone: the difference of their estimates over the root of the
sum of their squared errors is about normal (Schenker and Gentleman, The American Statistician 2001,
who show that intervals which overlap say less). An error is taken from an interval's length.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from clipcause.stats.comparison import ALPHA, Z_ALPHA, Interval

SURE, SIGN, UNTOLD, CONTRADICTED = (
    "same sign, both intervals leave out zero",
    "same sign",
    "not told apart",
    "contradicted",
)
VERDICTS = (SURE, SIGN, UNTOLD, CONTRADICTED)


@dataclass(frozen=True)
class Agreement:
    """How many claims two studies share, and how often they agree.

    ``expected_sign`` is the share of same signs that the intervals of both lead to expect, and
    ``p_sign`` the probability of as few or fewer; ``p_contradicted`` that of as many claims
    contradicted, or more, where one in twenty is by chance.
    """

    claims: int
    counts: dict[str, int]
    expected_sign: float
    p_sign: float
    p_contradicted: float

    @property
    def is_too_small(self) -> bool:
        """Whether they agree less often than their intervals say: these are too narrow, or what
        is measured is not the same."""
        return min(self.p_sign, self.p_contradicted) < ALPHA


def verdict(there: Interval, here: Interval) -> str:
    """What a claim here says to the same claim there: one of ``VERDICTS``.

    ``CONTRADICTED``: the estimates differ by more than their errors allow (two-sided, level 0.05),
    whatever their signs. ``UNTOLD``: signs differ, and the errors allow it.
    """
    if abs(here.value - there.value) > Z_ALPHA * math.hypot(error(here), error(there)):
        return CONTRADICTED
    if here.value * there.value < 0 or (here.value == 0) != (there.value == 0):
        return UNTOLD
    return SURE if here.is_distinguishable and there.is_distinguishable else SIGN


def error(one: Interval) -> float:
    """The standard error that an interval's length says."""
    return (one.high - one.low) / (2 * Z_ALPHA)


def same_sign(there: Interval, here: Interval) -> float:
    """The probability that two studies with these errors estimate the same sign, where the true
    difference is the mean of both estimates, weighted by precision."""
    a, b = error(there), error(here)
    if not a or not b:  # one of them knows it
        known, other = (there, here) if not a else (here, there)
        sd = error(other)
        return float(stats.norm.cdf(abs(known.value) / sd)) if sd else float(a == b)
    true = (there.value / a**2 + here.value / b**2) / (1 / a**2 + 1 / b**2)
    up_a, up_b = stats.norm.cdf(true / a), stats.norm.cdf(true / b)
    return float(up_a * up_b + (1 - up_a) * (1 - up_b))


def agreement(pairs: Sequence[tuple[Interval, Interval]]) -> Agreement:
    """Of claims there and here. Raises ``ValueError`` without any.

    Claims on the same test set depend on each other, so that the two p values are a guide.
    """
    if not pairs:
        raise ValueError("no claim in common")
    found = [verdict(*pair) for pair in pairs]
    chances = np.array([same_sign(*pair) for pair in pairs])
    agreed = sum(one.value * other.value > 0 or one.value == other.value for one, other in pairs)
    contradicted = found.count(CONTRADICTED)
    return Agreement(
        len(pairs),
        {name: found.count(name) for name in VERDICTS},
        float(chances.mean()),
        float(_counts(chances)[: agreed + 1].sum()),
        float(stats.binom.sf(contradicted - 1, len(pairs), ALPHA)),
    )


def _counts(chances: np.ndarray) -> np.ndarray:
    """The probability of every number of successes: the Poisson-binomial distribution."""
    found = np.ones(1)
    for chance in chances:
        found = np.convolve(found, [1 - chance, chance])
    return found
