"""Logistic regression without a penalty, for outcomes that come in groups.

Test images of one class are not independent: a class that a model does not know is wrong on all of
them. Intervals therefore treat the class as the unit that was drawn.

Shapes: N observations, K columns of the design (the intercept is one of them), G groups,
R resamples.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy import optimize, special, stats

from clipcause.stats.comparison import LEVEL, Interval

LEAST_GROUPS = 10  # with fewer, a variance between groups is no more than a guess
STEPS = 40
TOLERANCE = 1e-10  # of the gradient, per observation
LARGEST_STEP = 4.0  # change of an observation's log odds in one step
RIDGE = 1e-10  # of the Hessian alone: where it is singular a step is short, and no optimum moves
BLOCK = 2_000_000  # numbers in memory at once


@dataclass(frozen=True)
class Fit:
    """Coefficients in log odds, and their covariance where there are groups enough for one."""

    coefficient_K: Float64[np.ndarray, " K"]
    covariance_KK: Float64[np.ndarray, "K K"] | None
    groups: int

    def interval(self, column: int) -> Interval | None:
        """A coefficient with its 95 % interval (Student's t, groups less one degrees of freedom);
        ``None`` where groups are too few."""
        if self.covariance_KK is None:
            return None
        value = float(self.coefficient_K[column])
        quantile = stats.t.ppf((1 + LEVEL) / 2, self.groups - 1)
        half = float(quantile * np.sqrt(self.covariance_KK[column, column]))
        return Interval(value, value - half, value + half)


@dataclass(frozen=True)
class Undefined:
    """Why there is no number."""

    reason: str


def fit(
    design_NK: Float64[np.ndarray, "N K"],
    outcome_N: Float64[np.ndarray, " N"],
    group_N: Int64[np.ndarray, " N"],
) -> Fit | Undefined:
    """Maximum likelihood, with the variance between groups (Liang and Zeger, Biometrika 1986; times
    G / (G - 1)).

    Outcomes are shares in [0, 1], such as a mean over seeds. There is no maximum where all outcomes
    are equal, where a column follows from the others, and where some combination of the columns
    tells right from wrong without error (Albert and Anderson, Biometrika 1984): the answer is then
    ``Undefined``. Raises ``ValueError`` for values that are not finite or outcomes outside [0, 1].
    """
    if not (np.isfinite(design_NK).all() and np.isfinite(outcome_N).all()):
        raise ValueError("logistic regression of values that are not finite")
    if len(outcome_N) and not 0 <= outcome_N.min() <= outcome_N.max() <= 1:
        raise ValueError("logistic regression of outcomes that are not shares")
    if len(outcome_N) < design_NK.shape[1] or np.ptp(outcome_N) == 0:
        return Undefined("all outcomes are equal" if len(outcome_N) else "no images")
    if np.linalg.matrix_rank(_scaled(design_NK)) < design_NK.shape[1]:
        return Undefined("a column has one value, or follows from the others")
    if is_separated(design_NK, outcome_N):
        return Undefined("right and wrong are separated, so that the coefficients have no limit")
    weight_RN = np.ones((1, len(outcome_N)))
    coefficient_K = refit(design_NK, outcome_N, weight_RN, np.zeros(design_NK.shape[1]))[0]
    groups = len(np.unique(group_N))
    if groups < LEAST_GROUPS:
        return Fit(coefficient_K, None, groups)
    chance_N = special.expit(design_NK @ coefficient_K)
    bread_KK = np.linalg.inv((design_NK.T * (chance_N * (1 - chance_N))) @ design_NK)
    score_NK = design_NK * (outcome_N - chance_N)[:, None]
    _, at_N = np.unique(group_N, return_inverse=True)
    score_GK = np.zeros((groups, design_NK.shape[1]))
    np.add.at(score_GK, at_N, score_NK)
    covariance_KK = bread_KK @ (score_GK.T @ score_GK) @ bread_KK * (groups / (groups - 1))
    return Fit(coefficient_K, covariance_KK, groups)


def is_separated(
    design_NK: Float64[np.ndarray, "N K"], outcome_N: Float64[np.ndarray, " N"]
) -> bool:
    """Whether some direction never speaks against an outcome and sometimes for one.

    Decided by a linear programme (Konis, thesis, Oxford 2007): the sum of the margins, none of them
    negative, over directions in a box. A share between 0 and 1 is both a right and a wrong answer.
    """
    design_NK = _scaled(design_NK)
    right, wrong = design_NK[outcome_N > 0], design_NK[outcome_N < 1]
    margin_NK = np.concatenate([right, -wrong])
    found = optimize.linprog(
        -margin_NK.mean(axis=0),
        A_ub=-margin_NK,
        b_ub=np.zeros(len(margin_NK)),
        bounds=(-1.0, 1.0),
    )
    if found.status != 0:
        raise RuntimeError(f"the test for separation failed: {found.message}")
    return bool(-found.fun > 1e-7)


def refit(
    design_NK: Float64[np.ndarray, "N K"],
    outcome_N: Float64[np.ndarray, " N"],
    weight_RN: Float64[np.ndarray, "R N"],
    start_K: Float64[np.ndarray, " K"],
) -> Float64[np.ndarray, "R K"]:
    """The coefficients under every row of weights, by Newton's method from ``start_K``.

    Where a row of weights leaves no maximum, what comes back is far out on the way to it, with
    probabilities close to their limits.
    """
    columns = design_NK.shape[1]
    outer_NL = (design_NK[:, :, None] * design_NK[:, None, :]).reshape(len(design_NK), -1)
    found_RK = np.tile(start_K, (len(weight_RN), 1))
    total_R = weight_RN.sum(axis=1)
    left_A = np.arange(len(weight_RN))
    for _ in range(STEPS):
        weight_AN = weight_RN[left_A]
        chance_AN = special.expit(found_RK[left_A] @ design_NK.T)
        gradient_AK = (weight_AN * (outcome_N - chance_AN)) @ design_NK
        is_left_A = np.abs(gradient_AK).max(axis=1) > TOLERANCE * total_R[left_A]
        if not is_left_A.any():
            break
        left_A, weight_AN = left_A[is_left_A], weight_AN[is_left_A]
        chance_AN, gradient_AK = chance_AN[is_left_A], gradient_AK[is_left_A]
        hessian_AKK = ((weight_AN * chance_AN * (1 - chance_AN)) @ outer_NL).reshape(
            -1, columns, columns
        )
        hessian_AKK += (RIDGE * total_R[left_A])[:, None, None] * np.eye(columns)
        step_AK = np.linalg.solve(hessian_AKK, gradient_AK[:, :, None])[:, :, 0]
        # far from the optimum a whole step may be too long
        longest_A = np.abs(step_AK @ design_NK.T).max(axis=1)
        step_AK *= np.minimum(1.0, LARGEST_STEP / np.maximum(longest_A, 1e-300))[:, None]
        found_RK[left_A] += step_AK
    return found_RK


def _scaled(design_NK: Float64[np.ndarray, "N K"]) -> Float64[np.ndarray, "N K"]:
    """The same space of columns, each of a size near one, for decisions by a tolerance."""
    is_one = np.ptp(design_NK, axis=0) == 0
    middle_K = np.where(is_one, 0.0, design_NK.mean(axis=0))
    spread_K = np.abs(design_NK - middle_K).max(axis=0)
    return (design_NK - middle_K) / np.where(spread_K > 0, spread_K, 1.0)
