"""Linear probes: multinomial logistic regression on image features, fitted by scikit-learn.

Features are centred and divided by one number, the root mean square of what is left, both taken
from the rows that are fitted: one grid of regularisation then means the same for every model,
whatever the size of its features, and directions keep the weight that the model gives them (with a
number for each dimension those that hold nothing would count as much as any).

The strength of regularisation goes with the mean loss of a row, L = mean cross-entropy + strength
/ 2 * squared norm of the weights, so that what is best on a part of the rows is meant for all.
The best one is that with the best accuracy on rows that were held out, as a mean over classes: a
long tail of training rows counts as much as its head, as in balanced tests. Of equals the strongest
is taken.

Draws are a function of seed, draw and row alone, and nested: the rows of 2 shots are among those
of 4 shots, whatever else is drawn. Rows that are held out are the same for all numbers of shots,
and among nobody's shots. They are used for that choice alone; with all rows, not with shots, the
probe is fitted again on everything.

Shapes: N rows, D dimensions, C classes, K rows that are fitted, H rows held out, Q test rows.
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from clipcause.train import order

FEWEST = 2  # classes
TOLERANCE = 1e-5  # of the gradient of the mean loss


class Drawn(NamedTuple):
    """Positions among the labelled rows, ascending."""

    fitted: Int64[np.ndarray, " K"]
    held: Int64[np.ndarray, " H"]
    short: int  # classes that have fewer rows than shots


class Linear(NamedTuple):
    """A fitted probe: the score of class c is ``weight_CD[c] @ feature + offset_C[c]``."""

    weight_CD: Float64[np.ndarray, "C D"]
    offset_C: Float64[np.ndarray, " C"]
    strength: float
    unfinished: int  # fits that stopped before they had converged

    def scores(self, feature_QD: Float[np.ndarray, "Q D"]) -> Float64[np.ndarray, "Q C"]:
        """What the softmax is taken of."""
        return feature_QD.astype(np.float64) @ self.weight_CD.T + self.offset_C


def drawn(
    class_N: Int64[np.ndarray, " N"],
    row_N: Int64[np.ndarray, " N"],
    shots: int | None,
    *,
    seed: int,
    draw: int,
    held_out: float,
) -> Drawn:
    """Rows to fit, ``shots`` of every class or all of them, and rows to choose by.

    ``class_N`` counts from 0, ``row_N`` identifies the rows. Of a class the share ``held_out`` is
    held out, rounded, one row at least and all but one at most; of a class with one row nothing.
    """
    key_N = order.uniform(seed, np.full(len(row_N), draw), row_N, 1)[:, 0]
    order_N = np.lexsort((row_N, key_N, class_N))
    count_C = np.bincount(class_N)
    first_C = np.cumsum(count_C) - count_C
    place_N = np.empty_like(class_N)
    place_N[order_N] = np.arange(len(class_N)) - first_C[class_N[order_N]]
    held_C = np.zeros_like(count_C)
    if held_out > 0.0:
        most_C = np.maximum(count_C - 1, 0)
        held_C = np.minimum(np.maximum(np.rint(held_out * count_C).astype(np.int64), 1), most_C)
    held_N = place_N < held_C[class_N]
    left_C = count_C - held_C
    if shots is None:
        return Drawn(np.flatnonzero(~held_N), np.flatnonzero(held_N), 0)
    taken_N = ~held_N & (place_N < (held_C + shots)[class_N])
    short = int(((left_C < shots) & (count_C > 0)).sum())
    return Drawn(np.flatnonzero(taken_N), np.flatnonzero(held_N), short)


def probe(
    feature_ND: Float[np.ndarray, "N D"],
    class_N: Int64[np.ndarray, " N"],
    rows: Drawn,
    strengths: Sequence[float],
    *,
    iterations: int,
    again: bool,
) -> Linear:
    """Fit the rows, with the strength of regularisation that the rows held out say is best.

    With one strength there is nothing to choose. ``again``: fit those rows too once it is chosen.
    Raises ``ValueError`` for fewer than two classes, and where nothing is held out to choose by.
    """
    if len(strengths) > 1 and not len(rows.held):
        raise ValueError(
            f"every class has one row, so that none is held out to choose among {len(strengths)} "
            "values of regularisation; state one"
        )
    models = fits(feature_ND[rows.fitted], class_N[rows.fitted], strengths, iterations)
    if len(models) == 1:
        return models[0]
    unfinished = sum(model.unfinished for model in models)
    held_HD, class_H = feature_ND[rows.held], class_N[rows.held]
    # of equals the first, which is the strongest
    chosen = max(models, key=lambda model: class_accuracy(model.scores(held_HD), class_H))
    if again:
        both = np.sort(np.concatenate([rows.fitted, rows.held]))
        (chosen,) = fits(feature_ND[both], class_N[both], [chosen.strength], iterations)
        unfinished += chosen.unfinished
    return chosen._replace(unfinished=unfinished)


def fits(
    feature_KD: Float[np.ndarray, "K D"],
    class_K: Int64[np.ndarray, " K"],
    strengths: Sequence[float],
    iterations: int,
) -> list[Linear]:
    """A probe for every strength, from the strongest on, each from the solution of the one before.

    Classes count from 0, and each has a row. Raises ``ValueError`` for fewer than two of them.
    """
    count = len(np.unique(class_K))
    if count < FEWEST:
        raise ValueError(f"a probe tells classes apart, and its rows have {count}")
    mean_D = feature_KD.mean(axis=0, dtype=np.float64)
    centred_KD = feature_KD - mean_D
    unit = np.sqrt(np.square(centred_KD).mean())
    if unit == 0.0:
        raise ValueError(f"the features of all {len(feature_KD)} rows are equal")
    solver = LogisticRegression(max_iter=iterations, tol=TOLERANCE, warm_start=True)
    found = []
    for strength in sorted(strengths, reverse=True):
        solver.set_params(C=1.0 / (strength * len(class_K)))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", ConvergenceWarning)
            solver.fit(centred_KD / unit, class_K)
        weight_CD, offset_C = _all_classes(solver.coef_, solver.intercept_)
        weight_CD = weight_CD / unit
        stopped = any(issubclass(entry.category, ConvergenceWarning) for entry in said)
        found.append(Linear(weight_CD, offset_C - weight_CD @ mean_D, strength, int(stopped)))
    return found


def class_accuracy(score_QC: Float64[np.ndarray, "Q C"], class_Q: Int64[np.ndarray, " Q"]) -> float:
    """The accuracy as a mean over the classes that occur."""
    right_Q = score_QC.argmax(axis=1) == class_Q
    count_C = np.bincount(class_Q)
    right_C = np.bincount(class_Q, weights=right_Q)
    return float((right_C[count_C > 0] / count_C[count_C > 0]).mean())


def _all_classes(
    weight_CD: Float64[np.ndarray, "_ D"], offset_C: Float64[np.ndarray, " _"]
) -> tuple[Float64[np.ndarray, "C D"], Float64[np.ndarray, " C"]]:
    """Of two classes scikit-learn has the second one's row alone, beside a first one of zeros."""
    if len(weight_CD) > 1:
        return weight_CD, offset_C
    return np.concatenate([0.0 * weight_CD, weight_CD]), np.concatenate([0.0 * offset_C, offset_C])
