"""The imbalance study: whether accuracy and predictions follow class frequency."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import mean
from typing import Annotated, Any

from clipcause.prune.rules.scale import Scale
from clipcause.prune.rules.trim_tail import TrimTail
from clipcause.report import seen
from clipcause.report.evaluated import CORR_ACC, CORR_PRED, measured
from clipcause.report.inputs import Inputs
from clipcause.report.tables.table import Model, Table, Test, rounded

PARTS = (Scale, TrimTail)  # rules that make a set smaller and have curves of their own
AGAINST = {CORR_PRED: ("corr_pred", 1), "top1": ("top-1 accuracy / %", 100)}
LEAST = 5  # classes of a group
TENTHS = 10  # groups of classes by frequency, whose mean accuracy is drawn
LEFT_EDGE = 0.5  # where classes without a row stand on a logarithmic axis


@dataclass(frozen=True)
class Row:
    """A condition on a test set: corr_acc against one other number."""

    test: Test
    number: Annotated[int, "the condition's in the table of the page"]
    part: Annotated[str, "`part` of a share of a set or one without its tail, else `whole`"]
    condition: Annotated[str, "the condition"]
    kind: Model
    split: Annotated[str, "the split that its models learnt from"]
    against: Annotated[str, "what `value` is"]
    value: Annotated[float, "`corr_pred`, or top-1 accuracy in %; mean over seeds"]
    corr_acc: Annotated[float, "Spearman's correlation of class frequency and accuracy; 0: no bias"]
    low: Annotated[float, "lower end of its interval, or the least of several seeds"]
    high: Annotated[float, "upper end of its interval, or the largest of several seeds"]


@dataclass(frozen=True)
class Class:
    """A class, or the mean of a tenth of the classes by frequency."""

    test: Test
    condition: Annotated[str, "the condition"]
    kind: Model
    role: Annotated[str, "`class`, or `mean` of a tenth of the classes by frequency"]
    class_: Annotated[str, "the class id"]
    name: Annotated[str, "its name"]
    frequency: Annotated[int | float, "training rows of the class, mean over seeds"]
    shown: Annotated[float, "where it stands on a logarithmic axis: no row at one half"]
    n: Annotated[int, "test images of the class"]
    accuracy: Annotated[float, "accuracy on them in %, mean over seeds"]


def rows(inputs: Inputs) -> list[Row]:
    """corr_acc against corr_pred and against top-1."""
    study, made = inputs.study, []
    number = {name: at for at, name in enumerate(study.every, 1)}
    for one in inputs.of(measured):
        value, name = one.mean(CORR_ACC), one.condition.name
        if value is None:
            continue
        ends = map(rounded, (value, *(one.spread(CORR_ACC) or (value, value))))
        bias, low, high = ends
        part = "part" if isinstance(study.rules.get(one.condition.split), PARTS) else "whole"
        facts = one.test, number[name], part, name, one.kind, one.condition.split
        made += [
            Row(*facts, label, rounded(factor * other), bias, low, high)
            for path, (label, factor) in AGAINST.items()
            if (other := one.mean(path)) is not None
        ]
    return made


def classes(inputs: Inputs) -> list[Class]:
    """Every class's accuracy with its frequency, by condition, means over seeds; and the mean of
    each tenth of the classes by frequency.

    Classes without test images are left out; `evaluate` counts them.
    """
    study, made = inputs.study, []
    kinds = study.models
    for name, one in study.conditions.items():
        for test in study.tests:
            by_class: dict[str, list[dict[str, Any]]] = {}
            for line in (line for run in one.runs for line in seen.by_class(run, test)):
                if None not in (line["accuracy"], line["frequency"]):
                    by_class.setdefault(line["class"], []).append(line)
            points, facts = [], (test, name, kinds[name])
            for key, lines in by_class.items():
                frequency = rounded(mean(line["frequency"] for line in lines))
                accuracy = rounded(100 * mean(line["accuracy"] for line in lines))
                first = lines[0]
                points.append(point(facts, key, first["name"], frequency, first["n"], accuracy))
            made += [*points, *means(points)]
    return made


def means(points: Iterable[Class]) -> list[Class]:
    """Tenths of the classes by frequency, the rarest first; few classes make few groups."""
    ordered = sorted(points, key=lambda point: (point.frequency, point.class_))
    size = max(LEAST, math.ceil(len(ordered) / TENTHS))
    groups = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    return [
        replace(
            some[0],
            role="mean",
            class_="",
            name=f"{len(some)} classes",
            frequency=rounded(mean(point.frequency for point in some)),
            shown=rounded(math.exp(mean(math.log(point.shown) for point in some))),
            n=sum(point.n for point in some),
            accuracy=rounded(mean(point.accuracy for point in some)),
        )
        for some in groups
    ]


def point(
    facts: tuple[str, str, str],
    key: str,
    name: str,
    frequency: int | float,
    n: int,
    accuracy: float,
) -> Class:
    """A class; ``facts`` are test set, condition and kind, the accuracy is in %."""
    shown = max(float(frequency), LEFT_EDGE)
    return Class(*facts, "class", key, name, frequency, shown, n, accuracy)


TABLES = (
    Table("bias", Row, rows, looks=("colour", "shape"), by="kind"),
    Table("perclass", Class, classes, by="condition"),
)
