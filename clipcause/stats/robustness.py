"""Effective robustness: accuracy on a shifted test set beyond the supervised models' line.

Taori et al., "Measuring Robustness to Natural Distribution Shifts in Image Classification", NeurIPS
2020: among models trained with labels of the usual training set, the logit of the accuracy on a
shifted test set is close to a linear function of the logit of that on the test set of the training
distribution (also Recht et al., ICML 2019). A model's effective robustness rho is its accuracy on
the shifted set less the accuracy that the line gives for its accuracy on the other.

Shapes: M models (the supervised ones are S of them), R resamples, the first being the sample.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from scipy import special

from clipcause.stats.comparison import Interval
from clipcause.stats.decomposition import interval

LEAST = 3  # models through which a line is fitted
FITTED, SLOPE_1, NO_LINE = "fitted", "slope 1", "none"


@dataclass(frozen=True)
class Robustness:
    """The line in logits and every model's effective robustness; without a line, neither."""

    kind: str
    intercept: float
    slope: Interval | None  # of a fitted line
    rho_M: list[Interval] | None


def logit(
    hits: Float64[np.ndarray, "..."], images: Float64[np.ndarray, "..."]
) -> Float64[np.ndarray, "..."]:
    """The log odds of an accuracy. None and all right count as half an image right and half an
    image wrong, so that they are finite."""
    hits = np.clip(hits, 0.5, images - 0.5)
    return np.log(hits / (images - hits))


def measure(
    usual_RM: Float64[np.ndarray, "R M"],
    shifted_RM: Float64[np.ndarray, "R M"],
    accuracy_RM: Float64[np.ndarray, "R M"],
    is_supervised_M: Bool[np.ndarray, " M"],
) -> Robustness:
    """The supervised models' line and rho of all models.

    ``usual_RM`` and ``shifted_RM`` are log odds of the accuracies on the two test sets, of the
    sample and of its resamples, ``accuracy_RM`` the accuracies on the shifted one. Three supervised
    models or more have a line by least squares, if the interval of its slope is above zero: their
    accuracies may lie too close to each other for that, and a line that falls is not the one of the
    paper. If not, the fitted slope is given all the same, but the line has slope 1 and goes
    through the mean of the supervised models: equal log odds lost, which is an assumption and no
    measurement. Without supervised models there is no line.
    """
    if not is_supervised_M.any():
        return Robustness(NO_LINE, 0.0, None, None)
    x_RS, y_RS = usual_RM[:, is_supervised_M], shifted_RM[:, is_supervised_M]
    x_R, y_R = x_RS.mean(axis=1), y_RS.mean(axis=1)
    kind, slope, slope_R = SLOPE_1, None, np.ones(len(x_R))
    if x_RS.shape[1] >= LEAST and np.ptp(x_RS[0]) > 0:
        away_RS = x_RS - x_R[:, None]
        square_R = (away_RS**2).sum(axis=1)
        fitted_R = (away_RS * y_RS).sum(axis=1) / np.where(square_R > 0, square_R, np.nan)
        slope = interval(fitted_R)
        if slope.low > 0:
            kind, slope_R = FITTED, fitted_R
    intercept_R = y_R - slope_R * x_R
    rho_RM = accuracy_RM - special.expit(intercept_R[:, None] + slope_R[:, None] * usual_RM)
    return Robustness(kind, float(intercept_R[0]), slope, [interval(rho_R) for rho_R in rho_RM.T])
