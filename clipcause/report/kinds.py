"""Kinds of model, whatever data they were trained on, for what compares them on one split."""

from collections import Counter

from clipcause.config.runs import NONE
from clipcause.report import factors
from clipcause.report.conditions import Condition
from clipcause.report.study import Study

SUPERVISED = factors.OBJECTIVES["supervised"]
WITH = "with the reference"


def every(study: Study) -> dict[str, Condition]:
    """All conditions; those whose models name no class come last."""
    return {**study.conditions, **study.unnamed}


def kinds_of(study: Study) -> dict[str, str]:
    """The kind of model of every condition; conditions of one split never share one.

    Where runs on splits differ in whether they saw the reference, those that did say so.
    """
    found = every(study).values()
    is_mixed = len({one.without_reference for one in found if one.split != NONE}) > 1
    short = {one.name: factors.kind(study.runs[one.runs[0]]) for one in found}
    count = Counter((one.split, short[one.name], one.without_reference) for one in found)
    twice = {kind for (_, kind, _), many in count.items() if many > 1}
    # the length of training and the donor are said only where nothing else tells two apart
    kinds = {
        one.name: factors.kind(study.runs[one.runs[0]], in_full=True)
        if short[one.name] in twice
        else short[one.name]
        for one in found
    }
    added = {one.name for one in found if is_mixed and one.split != NONE and sees_reference(one)}
    return {name: f"{kind}, {WITH}" if name in added else kind for name, kind in kinds.items()}


def sees_reference(one: Condition) -> bool:
    """Whether its models learnt from the reference, too."""
    return not one.without_reference
