"""Accuracy of every condition on every test set, beside that of the random splits of its size.

Shapes: S runs of a condition, T runs or random splits, N images or other queries, K test sets.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from clipcause.report.conditions import Condition
from clipcause.report.inputs import Inputs
from clipcause.report.tables import table
from clipcause.stats.comparison import (
    Comparison,
    Interval,
    Noise,
    average,
    compare,
    left,
    pooled,
)

COLUMNS = (
    "split", "run", "n", "test", "top1", "top5", "n_test", "wilson_low", "wilson_high",
    "control", "drop", "drop_low", "drop_high", "share_removed", "seeds",
)  # fmt: skip
Right = Bool[np.ndarray, "S N"]


class Noises(NamedTuple):
    """The noise between runs of the conditions of one kind of model; None where it is not known."""

    whole: Noise | None
    beside_seeds: Noise | None  # what conditions of the same seeds differ by

    def between(self, conditions: Iterable[Condition]) -> Noise | None:
        """That of a difference of conditions: those of the same seeds are compared within them."""
        if len({tuple(sorted(one.seeds)) for one in conditions}) == 1:
            return self.beside_seeds or self.whole
        return self.whole


@dataclass(frozen=True)
class Cell:
    """One condition on one test set. Accuracies are shares, means over the seeds."""

    top1: Interval
    top5: float
    images: int
    against: Comparison | None  # this minus the random splits of its size; None where there is none

    @property
    def difference(self) -> Interval | None:
        """This minus the mean of the random splits: what readers see."""
        return self.against.difference if self.against else None

    @property
    def drop(self) -> Interval | None:
        """The mean of the random splits minus this: what the CSV and the metrics have."""
        return self.against.difference.reversed() if self.against else None


@dataclass(frozen=True)
class Line:
    """One condition: rows trained on (of the pool; of the reference where it is supervised)."""

    condition: Condition
    rows: int
    removed: float | None  # share of the base; None where nothing was pruned
    cells: dict[str, Cell]  # by test set


@dataclass(frozen=True)
class Row:
    """A condition on a test set; a random split once for every condition it is compared with."""

    test: table.Test
    split: table.Split
    beside: table.Beside
    kind: table.Kind
    top1: Annotated[float, "top-1 accuracy in %, mean over seeds"]
    low: table.Low
    high: table.High


def lines(inputs: Inputs) -> list[Line]:
    """All conditions, in their order."""
    return [_line(inputs, one) for one in inputs.study.conditions.values()]


def rows(inputs: Inputs) -> list[Row]:
    """Top-1 in % with its Wilson interval."""
    study = inputs.study
    return [
        Row(
            test, line.condition.name, beside, study.kind(line.condition), *table.percent(cell.top1)
        )
        for line in inputs.of(lines)
        for test, cell in line.cells.items()
        for beside in study.beside(line.condition)
    ]


def against(
    inputs: Inputs,
    of_controls: Sequence[np.ndarray],
    right_SN: np.ndarray,
    noise: Noise | None = None,
) -> Comparison | None:
    """What a condition's runs have right minus what those on the random splits of its size have;
    None where there is none.

    It is compared with the runs on the one such split; of several each is one unit, the mean of its
    runs, for another draw of rows is what they differ by.
    """
    if not of_controls:
        return None
    return compare(_units(of_controls), right_SN, **inputs.draws, noise=noise).reversed()


def beside(
    inputs: Inputs, condition: Condition, others: Sequence[str], test: str
) -> Comparison | None:
    """A condition minus other conditions on a test set; None without others."""
    one, *many = _sides(inputs, condition, others, test)
    noise = None
    if of := _by_run(inputs, condition, others):
        noise = inputs.of(noises)[inputs.study.models[condition.name], test].between(of)
    return against(inputs, many, one, noise)


def on_average(inputs: Inputs, condition: Condition, others: Sequence[str]) -> Comparison | None:
    """The same averaged over the test sets, each of which counts as much; None without others, and
    without test sets of classes."""
    if not others or not inputs.study.tests:
        return None
    pairs = []
    for test in inputs.study.tests:
        one, *many = _sides(inputs, condition, others, test)
        pairs.append((_units(many), one))
    noise = None
    if of := _by_run(inputs, condition, others):
        noise = inputs.of(mean_noises)[inputs.study.models[condition.name]].between(of)
    return average(pairs, **inputs.draws, noise=noise).reversed()


def noises(inputs: Inputs) -> dict[tuple[str, str], Noises]:
    """The noise between runs, pooled over the conditions of a kind of model, by kind and test
    set."""
    study = inputs.study
    return {
        (kind, test): _noises(inputs, kind, lambda of, test=test: study.outcomes[of, test].right_SQ)
        for kind in _kinds(inputs)
        for test in study.tests
    }


def mean_noises(inputs: Inputs) -> dict[str, Noises]:
    """The noise of runs' mean accuracy over the test sets, by kind of model."""
    conditions = inputs.study.conditions
    return {
        kind: _noises(inputs, kind, lambda of: run_means(inputs, conditions[of]))
        for kind in _kinds(inputs)
    }


def run_means(inputs: Inputs, condition: Condition) -> Float64[np.ndarray, "S K"]:
    """The accuracy of a condition's runs on every test set."""
    outcomes = (inputs.study.outcomes[condition.name, test] for test in inputs.study.tests)
    return np.stack([one.right_SQ.mean(axis=1) for one in outcomes], axis=1)


def is_by_draw(condition: Condition) -> bool:
    """Whether no two of its runs are on one draw of several."""
    return len(condition.splits) in (1, len(condition.draws))


def per_draw(inputs: Inputs, condition: Condition, test: str) -> Right | Float64[np.ndarray, "T N"]:
    """What was right by run, in the order of their seeds; by draw of the split where some were
    learnt on twice: the mean of its runs, for runs on one draw are more alike than others."""
    right_SN, of = inputs.study.outcomes[condition.name, test].right_SQ, np.array(condition.draws)
    if is_by_draw(condition):
        return right_SN[np.argsort(condition.seeds, kind="stable")]
    return np.stack([right_SN[of == name].mean(axis=0) for name in condition.splits])


def by_run(inputs: Inputs) -> dict[str, dict[str, float]]:
    """Top-1 as a share, by run and test set."""
    found: dict[str, dict[str, float]] = {}
    for (_, test), outcome in inputs.study.outcomes.items():
        for run, value in outcome.accuracy.items():
            found.setdefault(run, {})[test] = value
    return found


def drops(inputs: Inputs) -> dict[str, dict[str, float]]:
    """How much less than the random splits of its size, by condition that has one and test set."""
    return {
        path(line.condition.name): {
            test: cell.drop.value for test, cell in line.cells.items() if cell.drop
        }
        for line in inputs.of(lines)
        if line.condition.controls
    }


def path(condition: str) -> str:
    """A condition's name as part of a metric's path."""
    return condition.replace(" ", "-")


def covers(found: Iterable[Line]) -> set[bool]:
    """Whether intervals of differences cover the noise between runs: all, some or none."""
    cells = [cell for line in found for cell in line.cells.values()]
    return {cell.against.covers_runs for cell in cells if cell.against}


def to_csv(found: list[Line]) -> str:
    """Long form: a line per condition and test set; several runs and seeds are joined by blanks."""
    made = []
    for line in found:
        one, removed = line.condition, table.text(line.removed)
        runs, controls, seeds = (
            " ".join(map(str, names)) for names in (one.runs, one.controls, one.seeds)
        )
        for test, cell in line.cells.items():
            top1, drop = cell.top1, cell.drop
            shares = map(table.text, (top1.value, cell.top5, cell.images, top1.low, top1.high))
            ends = map(table.text, (drop.value, drop.low, drop.high)) if drop else [""] * 3
            made.append([one.name, runs, line.rows, test, *shares, controls, *ends, removed, seeds])
    return table.lines(COLUMNS, made)


TABLES = (table.Table("accuracy", Row, rows, by="beside"),)


def _units(of_controls: Sequence[np.ndarray]) -> Float64[np.ndarray, "T N"]:
    """What is drawn of controls: the runs on the one, or of several the means of their runs."""
    if len(of_controls) == 1:
        return of_controls[0].astype(np.float64)
    return np.stack([one.mean(axis=0) for one in of_controls])


def _sides(
    inputs: Inputs, condition: Condition, others: Sequence[str], test: str
) -> list[Right | Float64[np.ndarray, "_ N"]]:
    """What the draws of a condition have right on a test set, then those of the others."""
    conditions = (inputs.study.conditions[name] for name in (condition.name, *others))
    return [per_draw(inputs, one, test) for one in conditions]


def _by_run(inputs: Inputs, condition: Condition, others: Sequence[str]) -> list[Condition]:
    """The two conditions whose difference has the pooled noise: that of single runs of one kind of
    model, not of means of some; none where it is not theirs."""
    study = inputs.study
    both = [study.conditions[name] for name in (condition.name, *others)]
    is_by_run = len(others) == 1 and all(map(is_by_draw, both))
    return both if is_by_run and len({study.models[one.name] for one in both}) == 1 else []


def _kinds(inputs: Inputs) -> Iterable[str]:
    """The kinds of models, in the order of the conditions."""
    return dict.fromkeys(inputs.study.models[name] for name in inputs.study.conditions)


def _noises(inputs: Inputs, kind: str, values: Callable[[str], np.ndarray]) -> Noises:
    """Of the conditions of a kind of model; ``values`` has of each by its name (runs, images)."""
    found = {
        name: one.seeds
        for name, one in inputs.study.conditions.items()
        if inputs.study.models[name] == kind and is_by_draw(one)
    }
    rights, seeds = list(map(values, found)), list(found.values())
    return Noises(pooled(rights, seeds), left(rights, seeds))


def _line(inputs: Inputs, condition: Condition) -> Line:
    study = inputs.study
    if condition.is_supervised:
        size, removed = len(study.reference), None
    else:
        size = len(study.splits[condition.split])
        removed = 1 - size / len(study.base_of(condition.split))
    cells = {test: _cell(inputs, condition, test) for test in study.tests}
    return Line(condition, size, removed, cells)


def _cell(inputs: Inputs, condition: Condition, test: str) -> Cell:
    outcome = inputs.study.outcomes[condition.name, test]
    difference = beside(inputs, condition, condition.controls, test)
    hits, count = float(outcome.top1_Q.sum()), len(outcome.top1_Q)
    return Cell(table.share(hits, count), float(outcome.top5_Q.mean()), count, difference)
