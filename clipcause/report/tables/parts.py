"""Curves over parts of a set: uniform shares of it, and the set without its tail.

A line is of one kind of model and one base; runs with the reference added are a kind of their own.
"""

from typing import Any

from clipcause.config.splits import Scale, TrimTail
from clipcause.report.colours import marks
from clipcause.report.kinds import sees_reference
from clipcause.report.study import Study
from clipcause.report.tables.imbalance import (
    CORR_ACC,
    CORR_PRED,
    TOP1,
    Measured,
    Rows,
    rounded,
    training_rows,
)

SCALED = {"top1": (TOP1, 100), CORR_ACC: ("corr_acc", 1), CORR_PRED: ("corr_pred", 1)}
GROUPS = {"imbalance.trimmed": "trimmed", "imbalance.rest": "rest"}


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
                    "rows": training_rows(study, one.condition),
                    **_point(one, measure, factor),
                    "colour": marks(study)[kind][0],
                }
                for one in points
                if one.mean(measure) is not None
            ]
    return rows


def tail_rows(study: Study, measured: list[Measured]) -> Rows:
    """Accuracy of the trimmed classes and of the rest against their number, a line per kind.

    Without the conditions of ``left_out``.
    """
    chosen = [
        one
        for one in measured
        if isinstance(study.rules.get(one.condition.split), TrimTail)
        and not sees_reference(one.condition)
    ]
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


def left_out(study: Study, measured: list[Measured]) -> list[str]:
    """The conditions on trimmed tails that saw the trimmed classes after all: in the reference."""
    found = [
        one.condition
        for one in measured
        if isinstance(study.rules.get(one.condition.split), TrimTail)
        and any(path in one.numbers for path in GROUPS)
    ]
    return list(dict.fromkeys(one.name for one in found if sees_reference(one)))


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
        "value": rounded(factor * value),
        "low": rounded(factor * low),
        "high": rounded(factor * high),
        "seeds": len(one.numbers[name]),
    }
