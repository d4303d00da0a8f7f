"""How much of a difference in accuracy goes with a difference in similarity.

Two models see the same test images: one trained on a pruned split, its control on a random split of
the same size. Pruning lowered the nearest similarity of some images. The control's own relation of
being right to similarity predicts what that costs; what is left of the drop is not explained by
nearest similarity. This is the explained part of the decomposition by Blinder (Journal of Human
Resources 1973) and Oaxaca (International Economic Review 1973), in its form for logistic regression
(Fairlie, Journal of Economic and Social Measurement 2005), with the control's coefficients.

Where both sides have several runs, intervals cover these as well: to the draws of classes come
draws of runs (`Runs`), scaled to their unbiased variance, and both are spread by t / z with
Satterthwaite's degrees of freedom (see `comparison`). What is peculiar to a run on an image is in
both, so that intervals are, if anything, too wide.

Shapes: Q test images, T controls, S runs on the pruned split, K columns of the design (intercept
first), C classes, R resamples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import special, stats

from clipcause.stats import logistic
from clipcause.stats.comparison import LEVEL, Z_ALPHA, Interval
from clipcause.stats.logistic import Undefined

PER_SIMILARITY = 0.1  # the unit of the similarity's coefficient
NO_ROWS = 0.5  # a class without a row counts as half a row: its logarithm would have no value
SAME = 1e-9  # similarities that are closer are the same


@dataclass(frozen=True)
class Explained:
    """Accuracies as shares; a drop is the control less the pruned, a gain is negative."""

    drop: Interval
    predicted: Interval  # the part of it that the change in similarity predicts
    share: Interval | Undefined  # predicted / drop
    kept: int  # images whose similarity is the same to both
    kept_drop: Interval | None  # drop among them; None where there are none
    excess: (
        Interval  # predicted less drop: above zero, similarity predicts a larger one than is seen
    )
    covers_runs: bool  # whether noise between runs is in the intervals, but in `kept_drop`'s


@dataclass(frozen=True)
class Runs:
    """What is drawn anew from run to run: the controls, each with its design, and what the runs on
    the pruned split have right. Two or more of each."""

    controls: Sequence[tuple[Float64[np.ndarray, "Q K"], Float64[np.ndarray, " Q"]]]
    pruned_SQ: Float64[np.ndarray, "S Q"] | Bool[np.ndarray, "S Q"]


def design(
    similarity_Q: Float64[np.ndarray, " Q"], frequency_Q: Float64[np.ndarray, " Q"] | None
) -> Float64[np.ndarray, "Q K"]:
    """Columns: one; similarity in units of 0.1; and the frequency of the image's class in
    doublings, where it is known. A class without rows counts as half a row."""
    columns = [np.ones_like(similarity_Q), similarity_Q / PER_SIMILARITY]
    if frequency_Q is not None:
        columns.append(np.log2(np.maximum(frequency_Q, NO_ROWS)))
    return np.stack(columns, axis=1)


def resample(classes: int, *, resamples: int, seed: int) -> Float64[np.ndarray, "R C"]:
    """How often every class is drawn: all its images come along (cluster bootstrap, Davison and
    Hinkley, 1997, section 3.8)."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(classes, np.full(classes, 1 / classes), size=resamples)
    return drawn.astype(np.float64)


def explain(
    control_TQK: Float64[np.ndarray, "T Q K"],
    control_TQ: Float64[np.ndarray, "T Q"],
    similarity_Q: Float64[np.ndarray, " Q"],
    pruned_Q: Float64[np.ndarray, " Q"],
    class_Q: Int64[np.ndarray, " Q"],
    *,
    resamples: int,
    seed: int,
    runs: Runs | None = None,
) -> Explained | Undefined:
    """The explained part of the drop from the controls to a pruned split, and its share of it.

    ``control_TQK`` are the controls' designs as ``design`` makes them, ``control_TQ`` and
    ``pruned_Q`` the shares of seeds that were right, ``similarity_Q`` the nearest similarities to
    the pruned data. A logistic fit to all controls' answers gives every image a probability at its
    similarity to the control and another at its similarity to the pruned data, its class's
    frequency as in the control; the mean difference is what the change in similarity predicts.
    Intervals draw classes, and every draw fits anew; with ``runs``, runs as well. The share is
    undefined where the drop's interval has zero. ``Undefined`` where the fit is.
    """
    controls = len(control_TQ)
    classes, at_Q = np.unique(class_Q, return_inverse=True)
    design_NK = control_TQK.reshape(-1, control_TQK.shape[-1])
    outcome_N = control_TQ.reshape(-1)
    fitted = logistic.fit(design_NK, outcome_N, np.tile(class_Q, controls))
    if isinstance(fitted, Undefined):
        return fitted
    moved_TQK = control_TQK.copy()
    moved_TQK[:, :, 1] = similarity_Q / PER_SIMILARITY
    moved_NK = moved_TQK.reshape(design_NK.shape)
    drop_Q = control_TQ.mean(axis=0) - pruned_Q
    is_kept_Q = (np.abs(moved_TQK - control_TQK)[:, :, 1] <= SAME / PER_SIMILARITY).all(axis=0)
    drawn_RC = resample(len(classes), resamples=resamples, seed=seed)
    # the sample itself comes first
    drawn_RC = np.concatenate([np.ones((1, len(classes))), drawn_RC])
    predicted_R = np.empty(len(drawn_RC))
    rows = max(1, logistic.BLOCK // max(1, len(design_NK)))
    for start in range(0, len(drawn_RC), rows):
        weight_RQ = drawn_RC[start : start + rows][:, at_Q]
        weight_RN = np.tile(weight_RQ, (1, controls))
        found_RK = logistic.refit(design_NK, outcome_N, weight_RN, fitted.coefficient_K)
        change_RN = special.expit(found_RK @ design_NK.T) - special.expit(found_RK @ moved_NK.T)
        predicted_R[start : start + rows] = (weight_RN * change_RN).sum(1) / weight_RN.sum(1)
    drop_R = _mean(drop_Q, at_Q, drawn_RC)
    excess_R = predicted_R - drop_R
    if runs:
        found = _of_runs(runs, similarity_Q, class_Q)
        if isinstance(found, Undefined):
            return found
        right_T, predicted_T = found
        right_S = runs.pruned_SQ.mean(axis=1, dtype=np.float64)
        rng = np.random.default_rng([seed, 1])  # other draws than those of classes
        count_RT, count_RS = (
            rng.multinomial(many, np.full(many, 1 / many), size=resamples) / many
            for many in (len(right_T), len(right_S))
        )
        sides = [(predicted_T - right_T, count_RT), (right_S, count_RS)]
        excess_R = _spread(excess_R, sides)
        drop_R = _spread(drop_R, [(right_T, count_RT), (-right_S, count_RS)])
        predicted_R = _spread(predicted_R, [(predicted_T, count_RT)])
    drop, predicted, excess = interval(drop_R), interval(predicted_R), interval(excess_R)
    share: Interval | Undefined = Undefined("the drop's interval has zero")
    if drop.is_distinguishable:
        share = interval(predicted_R / np.where(drop_R == 0, np.nan, drop_R))
    kept = _kept(drop_Q, is_kept_Q, at_Q, drawn_RC)
    return Explained(
        drop, predicted, share, int(is_kept_Q.sum()), kept, excess, covers_runs=runs is not None
    )


def interval(value_R: Float64[np.ndarray, " R"]) -> Interval:
    """An estimate and its percentile interval; the first value is the sample's own. Draws in which
    the value is not defined are left out."""
    ends = np.nanquantile(value_R[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value_R[0]), float(ends[0]), float(ends[1]))


def _of_runs(
    runs: Runs, similarity_Q: Float64[np.ndarray, " Q"], class_Q: Int64[np.ndarray, " Q"]
) -> tuple[Float64[np.ndarray, " T"], Float64[np.ndarray, " T"]] | Undefined:
    """The accuracy of every control, and the drop that its own fit predicts."""
    predicted = []
    for design_QK, right_Q in runs.controls:
        fitted = logistic.fit(design_QK, right_Q, class_Q)
        if isinstance(fitted, Undefined):
            return fitted
        moved_QK = design_QK.copy()
        moved_QK[:, 1] = similarity_Q / PER_SIMILARITY
        change = (special.expit(one @ fitted.coefficient_K) for one in (design_QK, moved_QK))
        before_Q, after_Q = change
        predicted.append(float((before_Q - after_Q).mean()))
    return np.array([right_Q.mean() for _, right_Q in runs.controls]), np.array(predicted)


def _spread(
    value_R: Float64[np.ndarray, " R"],
    sides: Sequence[tuple[Float64[np.ndarray, " _"], Float64[np.ndarray, "_ _"]]],
) -> Float64[np.ndarray, " R"]:
    """Draws of classes, the sample's own value first, with those of runs on both sides: every
    side's values and the shares of its draws."""
    own, drawn_R = value_R[0], value_R[1:] - value_R[0]
    classes, parts, squares = float(np.nanvar(drawn_R)), 0.0, 0.0
    for value_T, share_RT in sides:
        many = len(value_T)
        drawn_R = drawn_R + share_RT @ (value_T - value_T.mean()) * math.sqrt(many / (many - 1))
        part = float(np.var(value_T, ddof=1)) / many
        parts, squares = parts + part, squares + part * part / (many - 1)
    freedom = (classes + parts) ** 2 / squares if squares > 0 else math.inf
    wider = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) / Z_ALPHA
    return np.concatenate([[own], own + wider * drawn_R])


def _mean(
    value_Q: Float64[np.ndarray, " Q"],
    at_Q: Int64[np.ndarray, " Q"],
    drawn_RC: Float64[np.ndarray, "R C"],
) -> Float64[np.ndarray, " R"]:
    """Means over images under draws of classes; not a number where a draw has no image."""
    classes = drawn_RC.shape[1]
    sum_C = np.bincount(at_Q, value_Q, minlength=classes)
    count_C = np.bincount(at_Q, minlength=classes)
    count_R = drawn_RC @ count_C
    return drawn_RC @ sum_C / np.where(count_R > 0, count_R, np.nan)


def _kept(
    drop_Q: Float64[np.ndarray, " Q"],
    is_kept_Q: Bool[np.ndarray, " Q"],
    at_Q: Int64[np.ndarray, " Q"],
    drawn_RC: Float64[np.ndarray, "R C"],
) -> Interval | None:
    if not is_kept_Q.any():
        return None
    return interval(_mean(drop_Q[is_kept_Q], at_Q[is_kept_Q], drawn_RC))
