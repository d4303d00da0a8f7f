"""The numbers of the imbalance study: what `evaluate` measured, by condition, and the data of its
plots in long form.

All of it is optional: a study whose runs were evaluated without class frequencies has no such rows.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import mean
from typing import Any

from clipcause.config import layout
from clipcause.config.runs import NONE
from clipcause.config.splits import Scale, TrimTail
from clipcause.evaluate import predictions
from clipcause.report import factors
from clipcause.report.colours import colours, marks
from clipcause.report.conditions import Condition
from clipcause.report.kinds import every, kinds_of, sees_reference
from clipcause.report.study import Study
from clipcause.runtime import metrics

Rows = list[dict[str, Any]]
Evaluated = Mapping[str, Mapping[str, int | float]]  # test set to path to number
PARTS = (Scale, TrimTail)  # rules that make a set smaller and have curves of their own
LEAST = 5  # classes of a group
TENTHS = 10  # groups of classes by frequency, whose mean accuracy is drawn
LEFT_EDGE = 0.5  # where classes without a row stand on a logarithmic axis
COLUMNS = {
    "bias": (
        "test", "number", "part", "condition", "kind", "split", "against", "value", "corr_acc",
        "low", "high", "colour", "shape",
    ),
    "scale": (
        "test", "measure", "kind", "base", "split", "share", "rows", "value", "low", "high",
        "seeds", "colour",
    ),
    "tail": (
        "test", "shots", "kind", "base", "split", "tail", "group", "value", "low", "high", "seeds",
        "colour",
    ),
    "perclass": (
        "test", "condition", "kind", "role", "class", "name", "frequency", "shown", "n", "accuracy",
        "colour",
    ),
}  # fmt: skip
TOP1 = "top-1 accuracy / %"
CORR_ACC, CORR_PRED = "imbalance.corr_acc", "imbalance.corr_pred"


@dataclass(frozen=True)
class Measured:
    """One condition on one test set: every number, a value per run that has it."""

    condition: Condition
    test: str
    kind: str
    numbers: Mapping[str, list[int | float]]

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


def evaluated(run: str) -> Evaluated:
    """What `evaluate` measured of a run: by test set, numbers by their path with dots, such as
    `imbalance.corr_acc`. Empty where nothing was."""
    path = layout.metrics("evaluate", run)
    if not path.exists():
        return {}
    return {test: factors.flat(found) for test, found in metrics.read(path).items()}


def collect(study: Study, found: Mapping[str, Evaluated]) -> list[Measured]:
    """All conditions with all numbers of their runs, in the order of the conditions."""
    kinds = kinds_of(study)
    measured = []
    for one in every(study).values():
        for test in study.tests:
            numbers: dict[str, list[int | float]] = {}
            for run in one.runs:
                for name, value in found.get(run, {}).get(test, {}).items():
                    numbers.setdefault(name, []).append(value)
            if numbers:
                measured.append(Measured(one, test, kinds[one.name], numbers))
    return measured


def training_rows(study: Study, one: Condition) -> int:
    """The rows that its models learnt from: those of its split, and the reference's where it was
    added."""
    own = len(study.splits[one.split]) if one.split != NONE else 0
    return own + (len(study.reference) if sees_reference(one) else 0)


def bias_rows(study: Study, measured: Iterable[Measured]) -> Rows:
    """corr_acc against corr_pred and against top-1; ``number`` is the condition's in the table."""
    looks, rows = marks(study), []
    number = {name: at for at, name in enumerate(every(study), 1)}
    for one in measured:
        value = one.mean(CORR_ACC)
        if value is None:
            continue
        low, high = one.spread(CORR_ACC) or (value, value)
        is_part = "part" if isinstance(study.rules.get(one.condition.split), PARTS) else "whole"
        for name, (label, factor) in ((CORR_PRED, ("corr_pred", 1)), ("top1", (TOP1, 100))):
            other = one.mean(name)
            if other is not None:
                rows.append({
                    "test": one.test,
                    "number": number[one.condition.name],
                    "part": is_part,
                    "condition": one.condition.name,
                    "kind": one.kind,
                    "split": one.condition.split,
                    "against": label,
                    "value": rounded(factor * other),
                    "corr_acc": rounded(value),
                    "low": rounded(low),
                    "high": rounded(high),
                    "colour": looks[one.kind][0],
                    "shape": looks[one.kind][1],
                })  # fmt: skip
    return rows


def class_rows(study: Study) -> Rows:
    """Every class's accuracy with its frequency, by condition, means over seeds; and the mean of
    each tenth of the classes by frequency, in the row of role `mean`.

    Classes without test images are left out; `evaluate` counts them.
    """
    colour, kinds, rows = colours(study), kinds_of(study), []
    for name, one in study.conditions.items():
        for test in study.tests:
            found = [_classes(run, test) for run in one.runs]
            tables = [table for table in found if table]
            shared = {
                "test": test,
                "condition": name,
                "kind": kinds[name],
                "colour": colour[name],
            }
            points = [
                {
                    **shared,
                    "role": "class",
                    "class": key,
                    "name": lines[0]["name"],
                    "frequency": rounded(mean(line["frequency"] for line in lines)),
                    "n": lines[0]["n"],
                    "accuracy": rounded(100 * mean(line["accuracy"] for line in lines)),
                }
                for key, lines in _by_class(tables).items()
            ]
            for point in points:
                point["shown"] = max(point["frequency"], LEFT_EDGE)
            rows += points + means(points, shared)
    return rows


def _classes(run: str, test: str) -> list[dict[str, Any]]:
    folder = layout.predictions(run)
    if not (folder / f"{test}.classes.csv").exists():
        return []
    lines = predictions.read_classes(folder, test).to_pylist()
    return [line for line in lines if None not in (line["accuracy"], line["frequency"])]


def _by_class(tables: list[list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for table in tables:
        for line in table:
            found.setdefault(line["class"], []).append(line)
    return found


def means(points: Rows, shared: Mapping[str, Any]) -> Rows:
    """Tenths of the classes by frequency, the rarest first; few classes make few groups."""
    ordered = sorted(points, key=lambda point: (point["frequency"], point["class"]))
    size = max(LEAST, math.ceil(len(ordered) / TENTHS))
    rows = []
    for start in range(0, len(ordered), size):
        some = ordered[start : start + size]
        middle = math.exp(mean(math.log(point["shown"]) for point in some))
        rows.append({
            **shared,
            "role": "mean",
            "class": "",
            "name": f"{len(some)} classes",
            "frequency": rounded(mean(point["frequency"] for point in some)),
            "shown": rounded(middle),
            "n": sum(point["n"] for point in some),
            "accuracy": rounded(mean(point["accuracy"] for point in some)),
        })  # fmt: skip
    return rows


def rounded(value: int | float) -> float:
    return round(float(value), 4) + 0.0
