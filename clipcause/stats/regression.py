"""What several properties of units each explain of a value, where properties go together.

The value is regressed on all properties, each in its standard deviations. A property's **share** of
the variance is what it adds to R², averaged over all orders in which properties can come in
(Lindeman, Merenda and Gold 1980; Grömping, Journal of Statistical Software 2006; the Shapley value
of R²): shares are at least zero and add up to R². Whatever explains nothing still gets one part in
(units - 1) on average. What a share must be held against is what it is where the values are
shuffled among the units (Davison and Hinkley 1997, section 4.3): the bootstrap of few units makes
shares larger, those of nothing too, so that its lower end says little of whether there is any. Of
properties that go together
each gets a part of what they explain together, whichever it comes from: shares describe, they name
no cause.

Intervals of shares are percentile bootstrap intervals over units, whole units being drawn (Davison
and Hinkley 1997, section 6.2.4): noise of a unit's value is in them. Those of slopes are t
intervals whose errors allow for unequal noise (HC3; Long and Ervin, The American Statistician
2000). Where one unit is far from all others in a property, the slope is that unit's, and its own
error is hardly seen; so every fit is made again without each unit (Belsley, Kuh and Welsch 1980),
and ``Part.rests_on`` has those without which nothing is left to say.

Shapes: U units, K properties, L columns, those and the value, R resamples, B sets of correlations.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float64
from scipy import stats

from clipcause.stats.comparison import ALPHA, LEVEL, Interval
from clipcause.stats.logistic import Undefined

PER_PROPERTY = 3  # units that a property wants; Austin and Steyerberg 2015 find two to be the least
TOGETHER = 0.7  # correlation from which two cannot be told apart (Dormann et al., Ecography 2013)
TIED = 0.9  # an inflation factor of 10 (Kutner et al., Applied Linear Regression Models, 2004)
NO_SPREAD = 1e-12  # a standard deviation, relative to the largest value, that rounding makes
CUT = 1e-9  # eigenvalues of correlations below this are zero


@dataclass(frozen=True)
class Part:
    """A property's part of the regression."""

    share: Interval  # of the variance of the value
    slope: Interval | None  # change of the value per standard deviation; None where it has none
    inflation: float | None  # variance inflation factor; None: the others determine it
    chance: float  # what the share is below with ``LEVEL`` where values are shuffled among units
    # where the slope's interval leaves out zero: units without any one of which it holds zero
    rests_on: tuple[int, ...] = ()

    @property
    def is_beyond_chance(self) -> bool:
        """Whether shuffled values would give such a share one time in twenty at the most."""
        return self.share.value > self.chance

    @property
    def is_tied(self) -> bool:
        """Whether the other properties determine this one to more than ``TIED``."""
        return self.inflation is None or self.inflation > 1 / (1 - TIED)


@dataclass(frozen=True)
class Regression:
    """A value on properties, over units."""

    units: int
    explained: Interval  # R², its interval over units
    adjusted: float  # for the numbers of units and properties
    parts: dict[str, Part]  # by property
    correlation: dict[str, dict[str, float]]  # of all pairs of properties, and with the value ("")
    constant: list[str]  # properties that are the same in all units, which are left out

    @property
    def together(self) -> list[tuple[str, str, float]]:
        """The pairs of properties that these units cannot tell apart, the closest first."""
        found = [
            (one, other, self.correlation[one][other]) for one, other in combinations(self.parts, 2)
        ]
        found = [pair for pair in found if abs(pair[2]) >= TOGETHER]
        return sorted(found, key=lambda pair: -abs(pair[2]))


def regress(
    properties: dict[str, Float64[np.ndarray, " U"]],
    value_U: Float64[np.ndarray, " U"],
    *,
    resamples: int,
    seed: int,
) -> Regression | Undefined:
    """Regress the value on the properties; ``Undefined``, with the counts, for too few units."""
    varying = {name: one for name, one in properties.items() if _spreads(one)}
    constant = [name for name in properties if name not in varying]
    units, least = len(value_U), PER_PROPERTY * max(len(varying), 1)
    if units < least or not varying:
        return Undefined(
            f"{units} splits and their {len(varying)} properties that vary: shares want "
            f"{PER_PROPERTY} splits a property, {least}"
        )
    if not _spreads(value_U):
        return Undefined(f"accuracy is the same after all {units} splits")
    design_UK = np.stack([*varying.values()], axis=1)
    both_UL = np.column_stack([design_UK, value_U])
    random = np.random.default_rng(seed)
    draws_RU = random.integers(0, units, (resamples, units))
    # the sample itself comes first
    drawn = np.concatenate([np.arange(units)[None], draws_RU])
    share_BK = shares(np.stack([correlations(both_UL[one]) for one in drawn]))
    ends_2K = np.quantile(share_BK[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    whole_B = share_BK.sum(axis=1)
    low, high = np.quantile(whole_B[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    explained = Interval(float(whole_B[0]), float(low), float(high))
    left = (units - 1) / (units - len(varying) - 1)
    known_LL = correlations(both_UL)
    chance_K = np.quantile(shuffled(both_UL, random, resamples), LEVEL, axis=0)
    slopes = _slopes(design_UK, value_U)
    rests_on = _rests_on(design_UK, value_U, slopes)
    inflation = inflations(known_LL[:-1, :-1])
    parts = {
        name: Part(
            Interval(float(share_BK[0, k]), float(ends_2K[0, k]), float(ends_2K[1, k])),
            slopes[k],
            inflation[k],
            float(chance_K[k]),
            rests_on[k],
        )
        for k, name in enumerate(varying)
    }
    names = [*varying, ""]
    correlation = {
        one: dict(zip(names, map(float, row_L), strict=True))
        for one, row_L in zip(names, known_LL, strict=True)
    }
    return Regression(
        units, explained, 1 - (1 - explained.value) * left, parts, correlation, constant
    )


def correlations(both_UL: Float64[np.ndarray, "U L"]) -> Float64[np.ndarray, "L L"]:
    """Pearson's coefficients of all columns; 0 with a column that does not vary."""
    centred_UL = both_UL - both_UL.mean(axis=0)
    length_L = np.sqrt((centred_UL * centred_UL).sum(axis=0))
    is_flat_L = length_L <= NO_SPREAD * np.abs(both_UL).max(axis=0) * math.sqrt(len(both_UL))
    unit_UL = np.where(is_flat_L, 0.0, centred_UL / np.where(is_flat_L, 1.0, length_L))
    return unit_UL.T @ unit_UL


def shuffled(
    both_UL: Float64[np.ndarray, "U L"], random: np.random.Generator, resamples: int
) -> Float64[np.ndarray, "R K"]:
    """The shares where the values, the last column, are shuffled among the units."""
    value_RU = random.permuted(np.repeat(both_UL[None, :, -1], resamples, axis=0), axis=1)
    design_UK = both_UL[:, :-1]
    return shares(
        np.stack([correlations(np.column_stack([design_UK, value_U])) for value_U in value_RU])
    )


def shares(correlation_BLL: Float64[np.ndarray, "B L L"]) -> Float64[np.ndarray, "B K"]:
    """The mean over all orders of what each property adds to R²; the value is the last column."""
    count = correlation_BLL.shape[-1] - 1
    explained = {
        chosen: _explained(correlation_BLL, chosen)
        for many in range(count + 1)
        for chosen in combinations(range(count), many)
    }
    share_BK = np.zeros((len(correlation_BLL), count))
    for chosen, with_B in explained.items():
        before = len(chosen) - 1
        for k in chosen:
            orders = math.factorial(before) * math.factorial(count - before - 1)
            without = tuple(one for one in chosen if one != k)
            share_BK[:, k] += orders / math.factorial(count) * (with_B - explained[without])
    return share_BK


def inflations(correlation_KK: Float64[np.ndarray, "K K"]) -> list[float | None]:
    """Variance inflation factors, 1 / (1 - R²) of each property on the others; None where the
    others determine it."""
    found: list[float | None] = []
    for k in range(len(correlation_KK)):
        others = [one for one in range(len(correlation_KK)) if one != k]
        ordered = np.ix_([*others, k], [*others, k])
        share = float(_explained(correlation_KK[ordered][None], range(len(others)))[0])
        found.append(None if share > 1 - CUT else 1 / (1 - share))
    return found


def _explained(
    correlation_BLL: Float64[np.ndarray, "B L L"], chosen: Sequence[int] | range
) -> Float64[np.ndarray, " B"]:
    """R² of the last column on the chosen ones."""
    if not len(chosen):
        return np.zeros(len(correlation_BLL))
    at = list(chosen)
    own_BKK, with_BK = correlation_BLL[:, at][:, :, at], correlation_BLL[:, at, -1]
    inverse_BKK = np.linalg.pinv(own_BKK, rcond=CUT, hermitian=True)
    return np.einsum("bk,bkj,bj->b", with_BK, inverse_BKK, with_BK)


def _slopes(
    design_UK: Float64[np.ndarray, "U K"], value_U: Float64[np.ndarray, " U"]
) -> list[Interval | None]:
    """Slopes per standard deviation with their HC3 intervals; none where properties determine one
    another, or where a unit is fitted exactly, for it alone is so."""
    units, count = design_UK.shape
    scaled_UK = (design_UK - design_UK.mean(axis=0)) / design_UK.std(axis=0, ddof=1)
    full_UL = np.column_stack([np.ones(units), scaled_UK])
    freedom = units - count - 1
    if freedom < 1 or np.linalg.cond(full_UL.T @ full_UL) > 1 / CUT:
        return [None] * count
    inverse_LL = np.linalg.inv(full_UL.T @ full_UL)
    slope_L = inverse_LL @ full_UL.T @ value_U
    leverage_U = np.einsum("ul,lj,uj->u", full_UL, inverse_LL, full_UL)
    if leverage_U.max() > 1 - CUT:
        return [None] * count
    rest_U = (value_U - full_UL @ slope_L) / (1 - leverage_U)
    middle_LL = (full_UL * rest_U[:, None] ** 2).T @ full_UL
    error_L = np.sqrt(np.diag(inverse_LL @ middle_LL @ inverse_LL))
    edge = float(stats.t.ppf(1 - ALPHA / 2, freedom))
    return [
        Interval(float(slope), float(slope - edge * error), float(slope + edge * error))
        for slope, error in zip(slope_L[1:], error_L[1:], strict=True)
    ]


def _rests_on(
    design_UK: Float64[np.ndarray, "U K"],
    value_U: Float64[np.ndarray, " U"],
    slopes: Sequence[Interval | None],
) -> list[tuple[int, ...]]:
    """Of each slope that is told apart from zero, the units without any one of which it is not."""
    found: list[list[int]] = [[] for _ in slopes]
    told = [k for k, slope in enumerate(slopes) if slope and slope.is_distinguishable]
    # where there are slopes, no property has one unit alone that is another: without any it varies
    for unit in range(len(value_U)) if told else ():
        others_U = np.arange(len(value_U)) != unit
        without = _slopes(design_UK[others_U], value_U[others_U])
        for k in told:
            left = without[k]
            if left is None or not left.is_distinguishable:
                found[k].append(unit)
    return [tuple(units) for units in found]


def _spreads(value_U: Float64[np.ndarray, " U"]) -> bool:
    scale = float(np.abs(value_U).max(initial=0.0))
    return len(value_U) > 1 and float(value_U.std()) > NO_SPREAD * scale
