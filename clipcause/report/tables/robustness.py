"""Effective robustness of every condition on every shifted test set: data in long form.

Accuracies on the test set of the training distribution are over its images of the classes that the
shifted set has. Intervals draw classes with all their images, the same classes in both sets and for
all models.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy import special

from clipcause.config import unknown
from clipcause.config.report import FIRST, Report
from clipcause.report import colours
from clipcause.report.study import Study
from clipcause.report.tables import explained, tabular
from clipcause.stats import decomposition as explaining
from clipcause.stats import robustness
from clipcause.stats.comparison import Interval
from clipcause.stats.robustness import NO_LINE, Robustness

Rows = list[dict[str, Any]]
LINE = "line"
SUPERVISED = "supervised"
COLUMNS = (
    "test", "split", "kind", "usual", "shifted", "x", "y", "rho", "low", "high", "line", "colour",
)  # fmt: skip


@dataclass(frozen=True)
class Shifts:
    """What was found, by shifted test set."""

    usual: str  # the test set of the training distribution
    conditions: list[str]
    measured: dict[str, Robustness]
    supervised: int  # conditions that the line is about
    apart: list[str]  # test sets that share no class with the usual one
    rows: Rows

    def rho(self, name: str, test: str) -> Interval | None:
        """A condition's effective robustness."""
        found = self.measured[test].rho_M
        return None if found is None else found[self.conditions.index(name)]


def load(study: Study, parameters: Report) -> Shifts | None:
    """Measure all shifted test sets; None where there is one test set or no model that answers."""
    usual = usual_of(study, parameters)
    names = list(study.conditions)
    if len(study.tests) < 2 or not names:
        return None
    is_supervised_M = np.array([is_supervised(study, name) for name in names])
    classes = {test: explained.labels(study, test) for test in study.tests}
    measured, rows, apart = {}, [], []
    for test in study.tests:
        if test == usual:
            continue
        shared = np.unique(classes[test])
        if not np.isin(classes[usual], shared).any():
            apart.append(test)
            continue
        drawn_RC = explaining.resample(
            len(shared), resamples=parameters.resamples, seed=parameters.seed
        )
        drawn_RC = np.concatenate([np.ones((1, len(shared))), drawn_RC])
        hits = {
            one: counted(study, one, names, classes[one], shared, drawn_RC) for one in (usual, test)
        }
        (usual_RM, usual_R1), (shifted_RM, shifted_R1) = hits[usual], hits[test]
        measured[test] = robustness.measure(
            robustness.logit(usual_RM, usual_R1),
            robustness.logit(shifted_RM, shifted_R1),
            shifted_RM / shifted_R1,
            is_supervised_M,
        )
        rows += _rows(study, test, names, hits[usual], hits[test], is_supervised_M, measured[test])
    return Shifts(usual, names, measured, int(is_supervised_M.sum()), apart, rows)


def usual_of(study: Study, parameters: Report) -> str:
    """The test set of the training distribution, as the parameters name it: the first of all, or
    one by its name. Raises ``ValueError`` for a name that is none."""
    if parameters.in_distribution == FIRST:
        return next(iter(study.tests), "")
    if parameters.in_distribution not in study.tests:
        raise unknown(
            "test set", parameters.in_distribution, study.tests,
            "params.yaml: report.in_distribution",
        )  # fmt: skip
    return parameters.in_distribution


def is_supervised(study: Study, name: str) -> bool:
    """Whether a condition's models learnt from labels alone, of the reference or of a split."""
    return study.conditions[name].objective == SUPERVISED


def counted(
    study: Study,
    test: str,
    names: list[str],
    label_Q: np.ndarray,
    shared: np.ndarray,
    drawn_RC: Float64[np.ndarray, "R C"],
) -> tuple[Float64[np.ndarray, "R M"], Float64[np.ndarray, "R 1"]]:
    """Right answers of every condition under draws of classes, and the images that were drawn;
    images of other classes do not count."""
    is_in_Q = np.isin(label_Q, shared)
    at_Q = np.searchsorted(shared, label_Q[is_in_Q])
    hits_CM = np.stack([
        np.bincount(at_Q, study.outcomes[name, test].top1_Q[is_in_Q], minlength=len(shared))
        for name in names
    ], axis=1)  # fmt: skip
    images_C1 = np.bincount(at_Q, minlength=len(shared))[:, None].astype(np.float64)
    # a draw without an image has no accuracy
    images_R1 = drawn_RC @ images_C1
    return drawn_RC @ hits_CM, np.where(images_R1 > 0, images_R1, np.nan)


def numbers(found: Shifts | None) -> dict[str, dict[str, float]]:
    """The metrics: effective robustness by condition and test set, the supervised ones left out,
    which the line is about."""
    metrics: dict[str, dict[str, float]] = {}
    for row in found.rows if found else []:
        if row["rho"] != "" and row["kind"] != SUPERVISED:
            metrics.setdefault(row["split"].replace(" ", "-"), {})[row["test"]] = row["rho"] / 100
    return metrics


def _rows(
    study: Study,
    test: str,
    names: list[str],
    usual: tuple[Float64[np.ndarray, "R M"], Float64[np.ndarray, "R 1"]],
    shifted: tuple[Float64[np.ndarray, "R M"], Float64[np.ndarray, "R 1"]],
    is_supervised_M: np.ndarray,
    found: Robustness,
) -> Rows:
    colour, rows = colours.colours(study), []
    x_M, y_M = (
        robustness.logit(hits_RM[0], images_R1[0]) for hits_RM, images_R1 in (usual, shifted)
    )
    share_M, shifted_M = (
        100 * hits_RM[0] / images_R1[0] for hits_RM, images_R1 in (usual, shifted)
    )
    for at, name in enumerate(names):
        one = study.conditions[name]
        rho = found.rho_M[at] if found.rho_M else None
        rows.append({
            "test": test,
            "split": name,
            "kind": SUPERVISED if is_supervised_M[at] else tabular.kind(study, one),
            "usual": tabular.rounded(share_M[at]),
            "shifted": tabular.rounded(shifted_M[at]),
            "x": tabular.rounded(x_M[at]),
            "y": tabular.rounded(y_M[at]),
            "rho": tabular.rounded(100 * rho.value) if rho else "",
            "low": tabular.rounded(100 * rho.low) if rho else "",
            "high": tabular.rounded(100 * rho.high) if rho else "",
            "line": found.kind,
            "colour": colour[name],
        })  # fmt: skip
    return rows + _line(test, found, x_M)


def _line(test: str, found: Robustness, x_M: Float64[np.ndarray, " M"]) -> Rows:
    """The two ends of the line, as far as there are models."""
    if found.kind == NO_LINE:
        return []
    slope = found.slope.value if found.kind == robustness.FITTED and found.slope else 1.0
    rows = []
    for x in (x_M.min(), x_M.max()):
        y = found.intercept + slope * x
        rows.append({
            "test": test,
            "split": LINE,
            "kind": LINE,
            "usual": tabular.rounded(100 * special.expit(x)),
            "shifted": tabular.rounded(100 * special.expit(y)),
            "x": tabular.rounded(x),
            "y": tabular.rounded(y),
            "rho": "",
            "low": "",
            "high": "",
            "line": found.kind,
            "colour": colours.GREY,
        })  # fmt: skip
    return rows


def by_test(rows: Rows) -> Mapping[str, Rows]:
    """Rows by their test set."""
    found: dict[str, Rows] = {}
    for row in rows:
        found.setdefault(row["test"], []).append(row)
    return found
