"""Curves over parts of a set: uniform shares of it, and the set without its tail.

A line is of one kind of model and one base; runs with the reference added are a kind of their own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from clipcause.prune.rules.scale import Scale
from clipcause.prune.rules.trim_tail import TrimTail
from clipcause.report.evaluated import CORR_ACC, CORR_PRED, Measured, measured
from clipcause.report.inputs import Inputs
from clipcause.report.outline import Outline
from clipcause.report.tables.table import Model, Seeds, Table, Test, rounded

SCALED = {
    "top1": ("top-1 accuracy / %", 100),
    CORR_ACC: ("corr_acc", 1),
    CORR_PRED: ("corr_pred", 1),
}
GROUPS = {"imbalance.trimmed": "trimmed", "imbalance.rest": "rest"}

Base = Annotated[str, "the split that it is a part of"]
Own = Annotated[str, "the split that the models learnt from"]
Low = Annotated[float, "the least of several seeds, or lower end of one's interval"]
High = Annotated[float, "the largest of several seeds, or upper end of one's interval"]
Value = Annotated[float, "the mean over seeds"]
Ends = tuple[float, float, float, int]


@dataclass(frozen=True)
class Scaled:
    """Models of a kind on a uniform share of a set."""

    test: Test
    measure: Annotated[str, "what `value` is"]
    kind: Model
    base: Base
    split: Own
    share: Annotated[float, "of the base's rows; 1 is the base itself"]
    rows: Annotated[int, "rows that the models learnt from"]
    value: Value
    low: Low
    high: High
    seeds: Seeds


@dataclass(frozen=True)
class Trimmed:
    """Models of a kind on a set whose rarest classes were cut."""

    test: Test
    shots: Annotated[str, "rows that each trimmed class kept"]
    kind: Model
    base: Base
    split: Own
    tail: Annotated[int, "classes that were trimmed"]
    group: Annotated[str, "accuracy of the `trimmed` classes, or of the `rest`"]
    value: Annotated[float, "that accuracy in %, mean over seeds"]
    low: Low
    high: High
    seeds: Seeds


def scaled(inputs: Inputs) -> list[Scaled]:
    """Accuracy and bias against the rows that a uniform share left, a line per kind and base.

    The base itself is the end of its line. A kind with one size has no line.
    """
    study, every, made = inputs.study, inputs.of(measured), []
    chosen = [one for one in every if isinstance(study.rules.get(one.condition.split), Scale)]
    for (base, kind, test), line in _lines(study, chosen).items():
        at = (base, kind, test)
        whole = [one for one in every if (one.condition.split, one.kind, one.test) == at]
        points = [(one, float(getattr(study.rules[one.condition.split], "share", 1.0)))
                  for one in line] + [(one, 1.0) for one in whole]  # fmt: skip
        if len({one.condition.split for one, _ in points}) < 2:
            continue
        made += [
            Scaled(
                test, label, kind, base, one.condition.split, share,
                study.training_rows(one.condition), *_point(one, path, factor),
            )
            for path, (label, factor) in SCALED.items()
            for one, share in points
            if one.mean(path) is not None
        ]  # fmt: skip
    return made


def trimmed(inputs: Inputs) -> list[Trimmed]:
    """Accuracy of the trimmed classes and of the rest against their number, a line per kind.

    Without the conditions of ``left_out``.
    """
    study, made = inputs.study, []
    chosen = [
        one
        for one in inputs.of(measured)
        if isinstance(study.rules.get(one.condition.split), TrimTail)
        and one.condition.without_reference
    ]
    for (base, kind, test), line in _lines(study, chosen).items():
        for one in line:
            rule = study.rules[one.condition.split]
            assert isinstance(rule, TrimTail)
            facts = test, f"{rule.most}-shot", kind, base, one.condition.split, rule.tail
            made += [
                Trimmed(*facts, group, *_point(one, path, 100))
                for path, group in GROUPS.items()
                if one.mean(path) is not None
            ]
    return made


def left_out(study: Outline, every: Iterable[Measured]) -> list[str]:
    """The conditions on trimmed tails that saw the trimmed classes after all: in the reference."""
    found = [
        one.condition
        for one in every
        if isinstance(study.rules.get(one.condition.split), TrimTail)
        and any(path in one.numbers for path in GROUPS)
    ]
    return list(dict.fromkeys(one.name for one in found if not one.without_reference))


TABLES = (Table("scale", Scaled, scaled, by="kind"), Table("tail", Trimmed, trimmed, by="kind"))


def _lines(study: Outline, chosen: list[Measured]) -> dict[tuple[str, str, str], list[Measured]]:
    lines: dict[tuple[str, str, str], list[Measured]] = {}
    for one in chosen:
        base = study.rules[one.condition.split].base
        lines.setdefault((base, one.kind, one.test), []).append(one)
    return lines


def _point(one: Measured, name: str, factor: int) -> Ends:
    value = one.mean(name)
    assert value is not None
    seeds = len(one.numbers[name])
    low, high = (one.spread(name) if seeds > 1 else None) or (value, value)
    return rounded(factor * value), rounded(factor * low), rounded(factor * high), seeds
