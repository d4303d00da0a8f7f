"""Which property? Every rule by the property that it goes by, and what choosing rows by it did.

The effect is the difference of accuracy from controls of the same size, and from those of the same
size and class content, averaged over the test sets, each of which counts as much, and on each. The
averages are a family of their own, over which p values are corrected; those of single test sets are
of the family of all comparisons.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Annotated

import numpy as np

from clipcause.config import layout
from clipcause.prune import split
from clipcause.prune.by_similarity import Scored
from clipcause.prune.rule import Rule
from clipcause.prune.rules.quota import Quota
from clipcause.prune.rules.signal import BySignal
from clipcause.prune.set_operation import Combined
from clipcause.report.conditions import Condition
from clipcause.report.inputs import Inputs
from clipcause.report.outline import Sized
from clipcause.report.tables import accuracy, comparisons, table
from clipcause.report.tables.comparisons import SURE, UNSURE, Compared
from clipcause.signals.kinds import SIGNALS

AVERAGE = "average"  # over the test sets, in the column that names them
SHARE_DIGITS = 6  # of a share that is shown in % and one digit, and is rounded once for that
RANDOM, ALIKE = "size", "size and class content"  # what a control has in common with its split


@dataclass(frozen=True)
class Row:
    """A property beside a control, averaged over the test sets or on one."""

    on: Annotated[str, "`average` over the test sets, each counting the same, or one of them"]
    property_: Annotated[str, "what rows were chosen by"]
    split: table.Split
    line: Annotated[str, "property and share kept, as a line of the figure is called"]
    kept: Annotated[float, "share of its base that the split keeps"]
    sees: Annotated[str, "test sets whose images the rule, or one that it builds on, looked at"]
    control: Annotated[str, "what it is compared with"]
    alike: Annotated[str, "what controls have in common with the split: size, or classes too"]
    shared: Annotated[float, "share of a control's rows that are the split's, mean over draws"]
    runs: Annotated[int, "of the condition"]
    control_runs: Annotated[int, "of the control, or the number of controls"]
    difference: Annotated[float, "top-1 accuracy minus that of the control, in points"]
    low: table.Low
    high: table.High
    p: Annotated[float, "p value of no difference, for this comparison alone"]
    p_holm: Annotated[float, "after Holm's correction over all averages; over all test sets"]
    detectable: Annotated[
        float | None, "smallest true difference found with probability 80 %, in points"
    ]
    kind: Annotated[str, "`beyond noise` where runs are covered and the corrected p is below 0.05"]


def averaged(inputs: Inputs) -> list[Compared]:
    """Every condition with its controls, over all test sets at once: a family of its own."""
    found = []
    for one in inputs.study.conditions.values():
        for others in _controls(one):
            beside = accuracy.on_average(inputs, one, others)
            if beside is not None:
                found.append((one.name, " ".join(others), AVERAGE, beside))
    return comparisons.corrected(found)


def rows(inputs: Inputs) -> list[Row]:
    """The averages, the largest effect first, then every test set in the same order."""
    study, averages = inputs.study, inputs.of(averaged)
    on_test = {(one.name, one.other, one.test): one for one in inputs.of(comparisons.family)}
    largest: dict[str, float] = {}
    for one in averages:
        # beside random rows, or the first control that there is
        largest.setdefault(one.name, one.found.difference.value)
    known = study.conditions
    order = sorted(
        averages, key=lambda one: (-largest[one.name], one.other in known[one.name].alike)
    )
    names = _lines(inputs, dict.fromkeys(one.name for one in order))
    made = []
    for test in (AVERAGE, *study.tests):
        for one in order:
            found = one if test == AVERAGE else on_test[one.name, one.other, test]
            made.append(_row(inputs, found, names[one.name]))
    return made


def sees(name: str, rules: Mapping[str, Rule], splits: Mapping[str, Sized]) -> Iterator[str]:
    """The test sets whose images the rule of a split looked at, its signal, or the rules of the
    splits whose rows it takes: its base, and what a set operation is of. One may come again."""
    if (rule := rules.get(name)) is None:  # all or dedup
        return
    if isinstance(rule, Scored):
        yield from rule.tests
    by = splits[name].card.get("signal") or {}
    yield from (one.removeprefix(layout.test("")) for one in by.get("seen_tests", ()))
    sources = (rule.base, rule.of, rule.with_) if isinstance(rule, Combined) else (rule.base,)
    for source in sources:
        yield from sees(source, rules, splits)


def _row(inputs: Inputs, one: Compared, line: str) -> Row:
    study, condition = inputs.study, inputs.study.conditions[one.name]
    kept = len(study.splits[condition.split])
    is_alike = one.other in condition.alike
    others = (one.other,) if is_alike else condition.controls
    return Row(
        one.test,
        _subject(inputs, condition.split),
        one.name,
        line,
        table.rounded(kept / max(len(study.base_of(condition.split)), 1), SHARE_DIGITS),
        " ".join(dict.fromkeys(sees(condition.split, study.rules, study.splits))),
        one.other,
        ALIKE if is_alike else RANDOM,
        table.rounded(_shared(inputs, condition, others), SHARE_DIGITS),
        *one.found.runs,
        *table.percent(one.found.difference),
        *(float(f"{p:.4g}") for p in (one.found.p, one.p_holm)),
        None if one.found.detectable is None else table.rounded(100 * one.found.detectable),
        SURE if one.is_sure else UNSURE,
    )


def _controls(one: Condition) -> list[tuple[str, ...]]:
    """The conditions that it is compared with, together or one by one."""
    return [*([one.controls] if one.controls else []), *((other,) for other in one.alike)]


def _lines(inputs: Inputs, names: Iterable[str]) -> dict[str, str]:
    """Conditions to property and share; where two would be called the same, with their names."""
    study, found = inputs.study, {}
    for name in names:
        of = study.conditions[name].split
        share = 100 * len(study.splits[of]) / max(len(study.base_of(of)), 1)
        # a blank that does not break keeps a number and its sign together
        found[name] = f"{_subject(inputs, of)}, {share:.0f}\u00a0%"
    said = list(found.values())
    return {
        name: line if said.count(line) == 1 else f"{line}: {name}" for name, line in found.items()
    }


def _subject(inputs: Inputs, name: str) -> str:
    """The property that a split was chosen by; what rules of this package cut by a signal, in the
    field's words for that. Another rule that reads a signal says itself what it chooses by."""
    rule, by = inputs.study.rules[name], inputs.study.splits[name].card.get("signal")
    if by and isinstance(rule, BySignal | Quota):
        stated = {"kind": by["kind"], **by["parameters"]}
        signal = SIGNALS.parse(stated, f"splits/{name}/card.json: signal")
        assert rule.stays, rule
        return rule.chosen_by(signal.chosen(rule.stays))
    return rule.subject


def _shared(inputs: Inputs, condition: Condition, others: Iterable[str]) -> float:
    """The share of the controls' rows that the split has too, a mean over draws: as runs are
    compared, draw by draw where both sides have as many, else all with all."""
    splits, parts = inputs.study.sources.splits, []
    for other in others:
        theirs = inputs.study.conditions[other].splits
        alike = len(condition.splits) == len(theirs)
        pairs = zip(condition.splits, theirs, strict=True)
        for mine, name in pairs if alike else product(condition.splits, theirs):
            both = len(split.intersection(splits[mine], splits[name]))
            parts.append(both / max(len(splits[name]), 1))
    return float(np.mean(parts))


TABLES = (table.Table("properties", Row, rows),)
