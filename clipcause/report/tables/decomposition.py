"""How much of a difference the change in similarity explains, and the logistic fits of every
condition's answers to similarity and class frequency."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from clipcause.prune.rules.hull import Hull
from clipcause.report.conditions import Condition
from clipcause.report.inputs import Inputs
from clipcause.report.seen import seen
from clipcause.report.study import Pair
from clipcause.report.tables import accuracy, table
from clipcause.stats import decomposition, logistic
from clipcause.stats.comparison import Interval
from clipcause.stats.decomposition import PER_SIMILARITY, Explained
from clipcause.stats.logistic import Undefined

OBSERVED, PREDICTED = "observed", "predicted from similarity"
KEPT = "observed where similarity is the same"


@dataclass(frozen=True)
class Coefficient:
    """A change in log odds."""

    value: float
    interval: Interval | None  # None where there are too few classes for one


@dataclass(frozen=True)
class Fit:
    """A logistic fit of a condition's answers: of similarity, then of frequency where it varies."""

    coefficients: list[Coefficient]


@dataclass(frozen=True)
class Row:
    """A difference, or what similarity predicts of it."""

    test: table.Test
    split: table.Split
    kind: Annotated[str, "`observed`, `predicted from similarity`, or observed among some images"]
    points: Annotated[float, "accuracy minus that of the random split of its size, in points"]
    low: table.Low
    high: table.High
    images: table.Images
    share: Annotated[float | None, "predicted over observed, where that leaves out zero"] = None
    share_low: Annotated[float | None, "lower end of its 95 % interval"] = None
    share_high: Annotated[float | None, "upper end of its 95 % interval"] = None
    excess: Annotated[float | None, "predicted drop less observed drop, in points"] = None
    excess_low: Annotated[float | None, "lower end of its 95 % interval"] = None
    excess_high: Annotated[float | None, "upper end of its 95 % interval"] = None


@dataclass(frozen=True)
class Logistic:
    """A coefficient of a condition's fit on a test set."""

    test: table.Test
    split: table.Split
    of: Annotated[str, "`similarity` or `frequency`"]
    per: Annotated[str, "the unit: of similarity, or a doubling of the class's training rows"]
    log_odds: Annotated[float | None, "change in the log odds of a right answer per unit"]
    low: Annotated[float | None, "lower end of its 95 % interval, cluster-robust by class"]
    high: Annotated[float | None, "upper end of that interval"]
    images: table.Images
    classes: Annotated[int, "classes of these images"]
    undefined: Annotated[str | None, "why there is no number"]


def fits(inputs: Inputs) -> dict[Pair, Fit | Undefined]:
    """The fit of every condition on every test set."""
    made: dict[Pair, Fit | Undefined] = {}
    for at, one in inputs.of(seen).items():
        design_QK = decomposition.design(one.similarity_Q, one.varying)
        found = logistic.fit(design_QK, one.correct_Q, one.class_Q)
        if isinstance(found, logistic.Fit):
            value_K, columns = found.coefficient_K.tolist(), range(1, design_QK.shape[1])
            found = Fit([Coefficient(value_K[k], found.interval(k)) for k in columns])
        made[at] = found
    return made


def has_frequency(inputs: Inputs) -> dict[Pair, bool]:
    """Whether a fit has class frequency beside similarity."""
    return {at: one.varying is not None for at, one in inputs.of(seen).items()}


def explained(inputs: Inputs) -> dict[Pair, Explained | Undefined]:
    """What similarity predicts, of conditions that have a random split of their size."""
    study = inputs.study
    return {
        (name, test): _explain(inputs, one, test)
        for name, one in study.conditions.items()
        for test in study.tests
        if one.controls
    }


def predicted(inputs: Inputs) -> dict[Pair, Explained]:
    """The same of hull splits, where it is defined: the study's question."""
    known = inputs.study
    return {
        at: one
        for at, one in inputs.of(explained).items()
        if isinstance(one, Explained)
        and isinstance(known.rules.get(known.conditions[at[0]].split), Hull)
    }


def predictions(inputs: Inputs) -> dict[str, dict[str, dict[str, float]]]:
    """The metrics of what similarity predicts: by hull split's condition and test set the drop that
    is predicted less the drop that is seen. ``called`` is 1 where runs are covered and the interval
    leaves out zero."""
    claims: dict[str, dict[str, dict[str, float]]] = {}
    for (name, test), one in inputs.of(predicted).items():
        condition, excess = inputs.study.conditions[name], one.excess
        controls = [inputs.study.conditions[control] for control in condition.controls]
        claims.setdefault(accuracy.path(name), {})[test] = {
            "predicted": one.predicted.value,
            "seen": one.drop.value,
            "difference": excess.value,
            "low": excess.low,
            "high": excess.high,
            "covers_runs": int(one.covers_runs),
            "called": int(one.covers_runs and excess.is_distinguishable),
            "runs": len(condition.runs),
            "control_runs": sum(len(control.runs) for control in controls),
        }
    return claims


def numbers(inputs: Inputs) -> dict[str, dict[str, float]]:
    """The metrics: the share of every drop that similarity explains, where it is defined."""
    found: dict[str, dict[str, float]] = {}
    for (name, test), one in inputs.of(explained).items():
        if isinstance(one, Explained) and isinstance(one.share, Interval):
            found.setdefault(accuracy.path(name), {})[test] = one.share.value
    return found


def rows(inputs: Inputs) -> list[Row]:
    """Differences as readers see them everywhere, split minus random, and what is predicted."""
    made = []
    for (name, test), one in inputs.of(explained).items():
        if isinstance(one, Undefined):
            continue
        images = len(inputs.of(seen)[name, test].correct_Q)
        share: Iterable[float | None] = (None, None, None)
        if isinstance(one.share, Interval):
            share = map(table.rounded, (one.share.value, one.share.low, one.share.high))
        excess = table.percent(one.excess)
        made += [
            Row(test, name, OBSERVED, *table.percent(one.drop.reversed()), images),
            Row(
                test, name, PREDICTED, *table.percent(one.predicted.reversed()), images, *share,
                *excess,
            ),
        ]  # fmt: skip
        if one.kept_drop:
            made.append(Row(test, name, KEPT, *table.percent(one.kept_drop.reversed()), one.kept))
    return made


def logistic_rows(inputs: Inputs) -> list[Logistic]:
    """A line per coefficient; a fit that is not defined says why."""
    return [row for at in inputs.of(fits) for row in _coefficients(inputs, *at)]


TABLES = (
    table.Table("explained", Row, rows),
    table.Table("logistic", Logistic, logistic_rows, looks=()),
)


def _explain(inputs: Inputs, one: Condition, test: str) -> Explained | Undefined:
    every, study = inputs.of(seen), inputs.study
    pruned, controls = every[one.name, test], [every[name, test] for name in one.controls]
    known = [control.varying for control in controls]
    if any(values is None for values in known):
        known = [None] * len(controls)
    designs = [
        decomposition.design(control.similarity_Q, values)
        for control, values in zip(controls, known, strict=True)
    ]
    correct_TQ = np.stack([control.correct_Q for control in controls])
    own = pruned.similarity_Q, pruned.correct_Q, pruned.class_Q
    drawn = []
    for name, values in zip(one.controls, known, strict=True):
        control = study.conditions[name]
        splits = control.draws or control.splits * len(control.runs)
        right_SQ = study.outcomes[name, test].right_SQ
        for split, right_Q in zip(splits, right_SQ, strict=True):
            design_QK = decomposition.design(study.nearest(control, split, test), values)
            drawn.append((design_QK, right_Q.astype(np.float64)))
    right_SQ = study.outcomes[one.name, test].right_SQ
    runs = None
    # runs on one draw of several are more alike than others: noise is then not in the intervals
    if min(len(drawn), len(right_SQ)) > 1 and all(
        accuracy.is_by_draw(study.conditions[name]) for name in (one.name, *one.controls)
    ):
        runs = decomposition.Runs(drawn, right_SQ)
    return decomposition.explain(np.stack(designs), correct_TQ, *own, **inputs.draws, runs=runs)


def _coefficients(inputs: Inputs, name: str, test: str) -> Iterator[Logistic]:
    one, fit = inputs.of(seen)[name, test], inputs.of(fits)[name, test]
    sizes = len(one.correct_Q), len(np.unique(one.class_Q))
    columns = [("similarity", f"{PER_SIMILARITY:g}")]
    columns += [("frequency", "doubling")] if one.varying is not None else []
    for at, what in enumerate(columns):
        if isinstance(fit, Undefined):
            yield Logistic(test, name, *what, None, None, None, *sizes, fit.reason)
            continue
        found = fit.coefficients[at]
        low, high = None, None
        if found.interval:
            low, high = table.rounded(found.interval.low), table.rounded(found.interval.high)
        yield Logistic(test, name, *what, table.rounded(found.value), low, high, *sizes, None)
