"""Effective robustness of every condition on every shifted test set.

Accuracies on the test set of the training distribution are over its images of the classes that the
shifted set has. Intervals draw classes with all their images, the same classes in both sets and for
all models.

Shapes: R draws of classes, the first being the sample; M conditions, C shared classes, Q images.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Bool, Float64
from scipy import special

from clipcause.config import unknown
from clipcause.config.report import FIRST, Report
from clipcause.report.inputs import Inputs
from clipcause.report.outline import SUPERVISED, Outline
from clipcause.report.seen import labels
from clipcause.report.study import Study
from clipcause.report.tables import accuracy
from clipcause.report.tables.table import Split, Table, Test, percent, rounded
from clipcause.stats import decomposition, robustness
from clipcause.stats.comparison import Interval
from clipcause.stats.robustness import NO_LINE, Robustness

LINE = "line"


@dataclass(frozen=True)
class Shifts:
    """What was found, by shifted test set."""

    usual: str  # the test set of the training distribution
    conditions: list[str]
    measured: dict[str, Robustness]
    supervised: int  # conditions that the line is about
    apart: list[str]  # test sets that share no class with the usual one

    def rho(self, name: str, test: str) -> Interval | None:
        """A condition's effective robustness."""
        found = self.measured[test].rho_M
        return None if found is None else found[self.conditions.index(name)]


@dataclass(frozen=True)
class Row:
    """A condition on the usual and on a shifted test set, or an end of the supervised line."""

    test: Test
    split: Split
    kind: Annotated[str, "`split`, `random`, `supervised`, or `line` of its two ends"]
    usual: Annotated[float, "accuracy in % on the usual test set, over the shared classes"]
    shifted: Annotated[float, "accuracy in % on this one"]
    x: Annotated[float, "log odds of `usual`"]
    y: Annotated[float, "log odds of `shifted`"]
    rho: Annotated[float | None, "effective robustness: `shifted` above the line, in points"]
    low: Annotated[float | None, "lower end of its 95 % interval"]
    high: Annotated[float | None, "upper end of its 95 % interval"]
    line: Annotated[str, "how the line was found: `fitted`, `slope 1` or `none`"]


@dataclass(frozen=True)
class Counts:
    """Right answers of every condition under draws of classes, and the images that were drawn."""

    hits_RM: Float64[np.ndarray, "R M"]
    images_R1: Float64[np.ndarray, "R 1"]

    @property
    def logits(self) -> Float64[np.ndarray, "R M"]:
        """The log odds of the accuracies."""
        return robustness.logit(self.hits_RM, self.images_R1)


def shared(inputs: Inputs) -> dict[str, tuple[Counts, Counts] | None]:
    """Counts on the usual test set and on every other; None where they share no class. Empty where
    there is one test set, or no model that answers."""
    study = inputs.study
    usual = usual_of(study, inputs.parameters)
    if len(study.tests) < 2 or not study.conditions:
        return {}
    label_of = {test: labels(study, test) for test in study.tests}
    made: dict[str, tuple[Counts, Counts] | None] = {}
    for test in study.tests:
        if test == usual:
            continue
        classes = np.unique(label_of[test])
        if not np.isin(label_of[usual], classes).any():
            made[test] = None
            continue
        drawn_RC = decomposition.resample(len(classes), **inputs.draws)
        drawn_RC = np.concatenate([np.ones((1, len(classes))), drawn_RC])
        first, second = (
            counted(study, one, label_of[one], classes, drawn_RC) for one in (usual, test)
        )
        made[test] = first, second
    return made


def shifts(inputs: Inputs) -> Shifts | None:
    """Measure all shifted test sets; None where there are none."""
    study = inputs.study
    found = inputs.of(shared)
    if not found:
        return None
    supervised_M = np.array([is_supervised(study, name) for name in study.conditions])
    measured = {
        test: robustness.measure(
            both[0].logits, both[1].logits, both[1].hits_RM / both[1].images_R1, supervised_M
        )
        for test, both in found.items()
        if both
    }
    return Shifts(
        usual_of(study, inputs.parameters),
        list(study.conditions),
        measured,
        int(supervised_M.sum()),
        [test for test, both in found.items() if both is None],
    )


def usual_of(study: Outline, parameters: Report) -> str:
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


def is_supervised(study: Outline, name: str) -> bool:
    """Whether a condition's models learnt from labels alone, of the reference or of a split."""
    return study.conditions[name].objective == SUPERVISED


def counted(
    study: Study,
    test: str,
    label_Q: np.ndarray,
    classes: np.ndarray,
    drawn_RC: Float64[np.ndarray, "R C"],
) -> Counts:
    """What every condition has right under draws of classes; images of other classes do not
    count."""
    is_in_Q: Bool[np.ndarray, " Q"] = np.isin(label_Q, classes)
    at_Q = np.searchsorted(classes, label_Q[is_in_Q])
    hits_CM = np.stack([
        np.bincount(at_Q, study.outcomes[name, test].top1_Q[is_in_Q], minlength=len(classes))
        for name in study.conditions
    ], axis=1)  # fmt: skip
    images_C1 = np.bincount(at_Q, minlength=len(classes))[:, None].astype(np.float64)
    # a draw without an image has no accuracy
    images_R1 = drawn_RC @ images_C1
    return Counts(drawn_RC @ hits_CM, np.where(images_R1 > 0, images_R1, np.nan))


def numbers(inputs: Inputs) -> dict[str, dict[str, float]]:
    """The metrics: effective robustness by condition and test set, the supervised ones left out,
    which the line is about."""
    found: dict[str, dict[str, float]] = {}
    for row in inputs.of(rows):
        if row.rho is not None and row.kind != SUPERVISED:
            found.setdefault(accuracy.path(row.split), {})[row.test] = row.rho / 100
    return found


def rows(inputs: Inputs) -> list[Row]:
    """Every condition on every shifted test set, then the two ends of the line."""
    found = inputs.of(shifts)
    made = []
    for test, one in found.measured.items() if found else ():
        both = inputs.of(shared)[test]
        assert both
        made += [*_conditions(inputs, test, *both, one), *_line(test, one, both[0].logits[0])]
    return made


TABLES = (Table("robustness", Row, rows),)


def _conditions(
    inputs: Inputs, test: str, usual: Counts, shifted: Counts, found: Robustness
) -> list[Row]:
    study, made = inputs.study, []
    x_M, y_M = usual.logits[0], shifted.logits[0]
    share_M, shifted_M = (100 * one.hits_RM[0] / one.images_R1[0] for one in (usual, shifted))
    for at, (name, one) in enumerate(study.conditions.items()):
        kind = SUPERVISED if is_supervised(study, name) else study.kind(one)
        place = map(rounded, (share_M[at], shifted_M[at], x_M[at], y_M[at]))
        ends = percent(found.rho_M[at]) if found.rho_M else (None, None, None)
        made.append(Row(test, name, kind, *place, *ends, found.kind))
    return made


def _line(test: str, found: Robustness, x_M: Float64[np.ndarray, " M"]) -> list[Row]:
    """The two ends of the line, as far as there are models."""
    if found.kind == NO_LINE:
        return []
    slope = found.slope.value if found.kind == robustness.FITTED and found.slope else 1.0
    made = []
    for x in (x_M.min(), x_M.max()):
        y = found.intercept + slope * x
        place = map(rounded, (100 * special.expit(x), 100 * special.expit(y), x, y))
        made.append(Row(test, LINE, LINE, *place, None, None, None, found.kind))
    return made
