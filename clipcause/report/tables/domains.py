"""Splits of whole domains: what they kept, how sure that is, and accuracy by their mix."""

from collections.abc import Mapping, Sequence
from typing import Any

from clipcause.config.splits import ByDomain
from clipcause.report import colours
from clipcause.report.study import Study
from clipcause.report.tables.accuracy import Line
from clipcause.report.tables.tabular import Rows

COLUMNS = {
    "domains": (
        "test", "domains", "split", "rows", "ambiguous", "share", "top1", "low", "high", "colour",
    ),
}  # fmt: skip


def chosen(study: Study) -> dict[str, Mapping[str, Any]]:
    """The cards of the splits that the rule `domain` made, by name."""
    return {
        name: study.splits[name].card
        for name, rule in study.rules.items()
        if isinstance(rule, ByDomain)
    }


def rows(study: Study, lines: Sequence[Line]) -> Rows:
    """Top-1 in % with its Wilson interval per condition and test set, beside the share in % of the
    second domain among the rows that are called one of the two."""
    cards, colour = chosen(study), colours.colours(study)
    found: Rows = []
    for line in lines:
        one = line.condition
        if one.split not in cards:
            continue
        card = cards[one.split]
        first, second, ambiguous = card["classifier"]["names"]
        after = card["domains"]["after"]
        both = after[first] + after[second]
        for test, cell in line.cells.items() if both else ():
            found.append(
                {
                    "test": test,
                    "domains": card["parameters"]["domain"],
                    "split": one.name,
                    "rows": sum(after.values()),
                    "ambiguous": after[ambiguous],
                    "share": round(100 * after[second] / both, 4),
                    "top1": round(100 * cell.top1.value, 4),
                    "low": round(100 * cell.top1.low, 4),
                    "high": round(100 * cell.top1.high, 4),
                    "colour": colour[one.name],
                }
            )
    return found
