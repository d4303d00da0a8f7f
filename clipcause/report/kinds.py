"""Kinds of model, whatever data they were trained on, for what compares them on one split."""

from collections import Counter

from clipcause.config.runs import NONE
from clipcause.report import factors
from clipcause.report.outline import Outline

SUPERVISED = factors.OBJECTIVES["supervised"]
WITH = "with the reference"


def kinds_of(study: Outline) -> dict[str, str]:
    """The kind of model of every condition; conditions of one split never share one.

    Where runs on splits differ in whether they saw the reference, those that did say so.
    """
    found = study.every.values()
    is_mixed = len({one.without_reference for one in found if one.split != NONE}) > 1
    short = {one.name: factors.kind(study.runs[one.runs[0]]) for one in found}
    count = Counter((one.split, short[one.name], one.without_reference) for one in found)
    twice = {kind for (_, kind, _), many in count.items() if many > 1}
    kinds = {}
    for one in found:
        # the length of training and whose text tower it is are said only where nothing else tells
        # two apart
        in_full = short[one.name] in twice
        kind = factors.kind(study.runs[one.runs[0]], in_full=in_full)
        is_added = is_mixed and one.split != NONE and not one.without_reference
        kinds[one.name] = f"{kind}, {WITH}" if is_added else kind
    return kinds
