"""How much of a difference in accuracy goes with a difference in similarity.

Two models see the same test images: one trained on a pruned split, its control on a random split of
the same size. Pruning lowered the nearest similarity of some images. The control's own relation of
being right to similarity predicts what that costs; what is left of the drop is not explained by
nearest similarity. This is the explained part of the decomposition by Blinder (Journal of Human
Resources 1973) and Oaxaca (International Economic Review 1973), in its form for logistic regression
(Fairlie, Journal of Economic and Social Measurement 2005), with the control's coefficients.

Shapes: Q test images, T controls, K columns of the design (intercept first), C classes, R
resamples.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import special

from clipcause.stats import logistic
from clipcause.stats.comparison import LEVEL, Interval
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
) -> Explained | Undefined:
    """The explained part of the drop from the controls to a pruned split, and its share of it.

    ``control_TQK`` are the controls' designs as ``design`` makes them, ``control_TQ`` and
    ``pruned_Q`` the shares of seeds that were right, ``similarity_Q`` the nearest similarities to
    the pruned data. A logistic fit to all controls' answers gives every image a probability at its
    similarity to the control and another at its similarity to the pruned data, its class's
    frequency as in the control; the mean difference is what the change in similarity predicts.
    Intervals draw classes, and every draw fits anew. The share is undefined where the drop's
    interval has zero. ``Undefined`` where the fit is.
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
    drop, predicted = interval(drop_R), interval(predicted_R)
    share: Interval | Undefined = Undefined("the drop's interval has zero")
    if drop.is_distinguishable:
        share = interval(predicted_R / np.where(drop_R == 0, np.nan, drop_R))
    return Explained(
        drop, predicted, share, int(is_kept_Q.sum()), _kept(drop_Q, is_kept_Q, at_Q, drawn_RC)
    )


def interval(value_R: Float64[np.ndarray, " R"]) -> Interval:
    """An estimate and its percentile interval; the first value is the sample's own. Draws in which
    the value is not defined are left out."""
    ends = np.nanquantile(value_R[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value_R[0]), float(ends[0]), float(ends[1]))


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
