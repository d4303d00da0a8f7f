"""Splits of whole domains: what they kept, how sure that is, and accuracy by their mix."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from clipcause.prune.rules.domain import ByDomain
from clipcause.report.inputs import Inputs
from clipcause.report.outline import Outline
from clipcause.report.tables import accuracy
from clipcause.report.tables.table import High, Low, Split, Table, Test, percent, rounded


@dataclass(frozen=True)
class Row:
    """A condition on a split of whole domains, on a test set."""

    test: Test
    domains: Annotated[str, "the classifier of domains"]
    split: Split
    rows: Annotated[int, "rows of the split"]
    ambiguous: Annotated[int, "those that the classifier calls neither"]
    share: Annotated[float, "of the second domain among those that are called one of two, in %"]
    top1: Annotated[float, "top-1 accuracy in %"]
    low: Low
    high: High


def chosen(study: Outline) -> dict[str, Mapping[str, Any]]:
    """The cards of the splits that the rule `domain` made, by name."""
    return {
        name: study.splits[name].card
        for name, rule in study.rules.items()
        if isinstance(rule, ByDomain)
    }


def rows(inputs: Inputs) -> list[Row]:
    """Top-1 in % with its Wilson interval per condition and test set, beside the mix."""
    cards, found = chosen(inputs.study), []
    for line in inputs.of(accuracy.lines):
        if line.condition.split not in cards:
            continue
        card = cards[line.condition.split]
        first, second, ambiguous = card["classifier"]["names"]
        after = card["domains"]["after"]
        if not (both := after[first] + after[second]):
            continue
        facts = (
            card["parameters"]["domain"],
            line.condition.name,
            sum(after.values()),
            after[ambiguous],
            rounded(100 * after[second] / both),
        )
        found += [Row(test, *facts, *percent(cell.top1)) for test, cell in line.cells.items()]
    return found


TABLES = (Table("domains", Row, rows),)
