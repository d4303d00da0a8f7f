"""The numbers of the imbalance study: what `evaluate` measured, by condition, and the data of its
plots in long form.

All of it is optional: a study whose runs were evaluated without class frequencies has no such rows.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import mean
from typing import Any

from stages.artifacts import layout, metrics, predictions
from stages.parameters.splits import Scale, TrimTail
from stages.report import factors
from stages.report.conditions import Condition
from stages.report.series import PALETTE
from stages.report.study import Study

Rows = list[dict[str, Any]]
Evaluated = Mapping[str, Mapping[str, int | float]]  # test set to path to number

SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down")
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
SCALED = {"top1": (TOP1, 100), CORR_ACC: ("corr_acc", 1), CORR_PRED: ("corr_pred", 1)}
GROUPS = {"imbalance.trimmed": "trimmed", "imbalance.rest": "rest"}


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


def every(study: Study) -> dict[str, Condition]:
    """All conditions; those whose models name no class come last."""
    return {**study.conditions, **study.unnamed}


def kinds_of(study: Study) -> dict[str, str]:
    """The kind of model of every condition; conditions of one split never share one."""
    found = every(study).values()
    short = {one.name: factors.kind(study.runs[one.runs[0]]) for one in found}
    count = Counter((one.split, short[one.name], one.without_reference) for one in found)
    twice = {kind for (_, kind, _), many in count.items() if many > 1}
    # the length of training and the donor are said only where nothing else tells two apart
    return {
        one.name: factors.kind(study.runs[one.runs[0]], in_full=True)
        if short[one.name] in twice
        else short[one.name]
        for one in found
    }


def marks(study: Study) -> dict[str, tuple[str, str]]:
    """The colour and the shape of every kind of model: the same in all plots."""
    kinds = dict.fromkeys(kinds_of(study).values())
    return {
        kind: (PALETTE[at % len(PALETTE)], SHAPES[at // len(PALETTE) % len(SHAPES)])
        for at, kind in enumerate(kinds)
    }


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
                    "value": _round(factor * other),
                    "corr_acc": _round(value),
                    "low": _round(low),
                    "high": _round(high),
                    "colour": looks[one.kind][0],
                    "shape": looks[one.kind][1],
                })  # fmt: skip
    return rows


def scale_rows(study: Study, measured: list[Measured]) -> Rows:
    """Accuracy and bias against the rows that a uniform share left, a line per kind and base.

    The base itself is the end of its line. A kind with one size has no line.
    """
    chosen = [one for one in measured if isinstance(study.rules.get(one.condition.split), Scale)]
    rows: Rows = []
    for (base, kind, test), line in _lines(study, chosen).items():
        whole = [one for one in measured if (one.condition.split, one.kind, one.test)
                 == (base, kind, test)]  # fmt: skip
        points = [*line, *whole]
        if len({one.condition.split for one in points}) < 2:
            continue
        for measure, (label, factor) in SCALED.items():
            rows += [
                {
                    "test": test,
                    "measure": label,
                    "kind": kind,
                    "base": base,
                    "split": one.condition.split,
                    "share": getattr(study.rules[one.condition.split], "share", 1.0)
                    if one in line
                    else 1.0,
                    "rows": len(study.splits[one.condition.split]),
                    **_point(one, measure, factor),
                    "colour": marks(study)[kind][0],
                }
                for one in points
                if one.mean(measure) is not None
            ]
    return rows


def tail_rows(study: Study, measured: list[Measured]) -> Rows:
    """Accuracy of the trimmed classes and of the rest against their number, a line per kind."""
    chosen = [one for one in measured if isinstance(study.rules.get(one.condition.split), TrimTail)]
    rows: Rows = []
    for (base, kind, test), line in _lines(study, chosen).items():
        for one in line:
            rule = study.rules[one.condition.split]
            assert isinstance(rule, TrimTail)
            rows += [
                {
                    "test": test,
                    "shots": f"{rule.most}-shot",
                    "kind": kind,
                    "base": base,
                    "split": one.condition.split,
                    "tail": rule.tail,
                    "group": group,
                    **_point(one, path, 100),
                    "colour": marks(study)[kind][0],
                }
                for path, group in GROUPS.items()
                if one.mean(path) is not None
            ]
    return rows


def class_rows(study: Study) -> Rows:
    """Every class's accuracy with its frequency, by condition, means over seeds; and the mean of
    each tenth of the classes by frequency, in the row of role `mean`.

    Classes without test images are left out; `evaluate` counts them.
    """
    looks, kinds, rows = marks(study), kinds_of(study), []
    for name, one in study.conditions.items():
        for test in study.tests:
            found = [_classes(run, test) for run in one.runs]
            tables = [table for table in found if table]
            shared = {
                "test": test,
                "condition": name,
                "kind": kinds[name],
                "colour": looks[kinds[name]][0],
            }
            points = [
                {
                    **shared,
                    "role": "class",
                    "class": key,
                    "name": lines[0]["name"],
                    "frequency": _round(mean(line["frequency"] for line in lines)),
                    "n": lines[0]["n"],
                    "accuracy": _round(100 * mean(line["accuracy"] for line in lines)),
                }
                for key, lines in _by_class(tables).items()
            ]
            for point in points:
                point["shown"] = max(point["frequency"], LEFT_EDGE)
            rows += points + means(points, shared)
    return rows


def _lines(study: Study, chosen: list[Measured]) -> dict[tuple[str, str, str], list[Measured]]:
    lines: dict[tuple[str, str, str], list[Measured]] = {}
    for one in chosen:
        base = study.rules[one.condition.split].base
        lines.setdefault((base, one.kind, one.test), []).append(one)
    return lines


def _point(one: Measured, name: str, factor: int) -> dict[str, Any]:
    value = one.mean(name)
    assert value is not None
    several = len(one.numbers[name]) > 1
    low, high = (one.spread(name) if several else None) or (value, value)
    return {
        "value": _round(factor * value),
        "low": _round(factor * low),
        "high": _round(factor * high),
        "seeds": len(one.numbers[name]),
    }


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
            "frequency": _round(mean(point["frequency"] for point in some)),
            "shown": _round(middle),
            "n": sum(point["n"] for point in some),
            "accuracy": _round(mean(point["accuracy"] for point in some)),
        })  # fmt: skip
    return rows


def _round(value: int | float) -> float:
    return round(float(value), 4) + 0.0
