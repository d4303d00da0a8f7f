"""What `evaluate` measured, by condition.

All of it is optional: a study whose runs were evaluated without class frequencies has little.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import mean

from clipcause.config import layout
from clipcause.report import factors
from clipcause.report.conditions import Condition
from clipcause.report.inputs import Inputs
from clipcause.runtime import metrics

Evaluated = Mapping[str, Mapping[str, int | float]]  # test set to path to number
CORR_ACC, CORR_PRED = "imbalance.corr_acc", "imbalance.corr_pred"


@dataclass(frozen=True)
class Measured:
    """One condition on one test set: every number, a value per run that has it."""

    condition: Condition
    test: str
    kind: str
    numbers: dict[str, list[int | float]]

    def mean(self, name: str) -> int | float | None:
        """The mean over seeds; None where it was not measured."""
        values = self.numbers.get(name)
        return mean(values) if values else None

    def spread(self, name: str) -> tuple[int | float, int | float] | None:
        """The least and the largest of several seeds; of one, the ends of its interval."""
        values = self.numbers.get(name, [])
        if len(values) > 1:
            return min(values), max(values)
        group, dot, last = name.rpartition(".")
        ends = (f"{group}{dot}{end}{f'.{last}' if dot else ''}" for end in ("low", "high"))
        low, high = (self.numbers.get(end, []) for end in ends)
        return (low[0], high[0]) if low and high else None


def evaluated(inputs: Inputs) -> dict[str, Evaluated]:
    """By run and test set, numbers by their path with dots, such as `imbalance.corr_acc`. Empty
    where nothing was measured."""
    paths = {run: layout.metrics("evaluate", run) for run in inputs.study.runs}
    return {
        run: {test: factors.flat(found) for test, found in metrics.read(path).items()}
        if path.exists()
        else {}
        for run, path in paths.items()
    }


def measured(inputs: Inputs) -> list[Measured]:
    """All conditions with all numbers of their runs, in the order of the conditions."""
    study, found, made = inputs.study, inputs.of(evaluated), []
    kinds = study.models
    for one in study.every.values():
        for test in study.tests:
            numbers: dict[str, list[int | float]] = {}
            for run in one.runs:
                for name, value in found[run].get(test, {}).items():
                    numbers.setdefault(name, []).append(value)
            if numbers:
                made.append(Measured(one, test, kinds[one.name], numbers))
    return made
