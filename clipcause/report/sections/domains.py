"""Splits of whole domains: what they kept, how sure that is, and accuracy by their mix."""

from collections.abc import Mapping
from typing import Any

from clipcause.report.content import Content
from clipcause.report.sections.conditions import split_name
from clipcause.report.sections.elements import Cell, Mark, Row, panels, ranged
from clipcause.report.tables.domains import chosen

Card = Mapping[str, Any]


def view(content: Content) -> dict[str, Any] | None:
    """None where no split is of whole domains."""
    study, cards = content.study, chosen(content.study)
    if not cards:
        return None
    drawn = content.rows("domains")
    # how good a classifier is, once for all splits that it made
    classifiers = {card["parameters"]["domain"]: card for card in cards.values()}
    return {
        "kept": [Row(split_name(study, name), _kept(card)) for name, card in cards.items()],
        "sure": [row for name, card in classifiers.items() for row in _sure(name, card)],
        "marks": [(Mark(row["colour"]), row["split"]) for row in
                  {row["split"]: row for row in drawn}.values()],
        "panels": panels(content, "domains"),
    }  # fmt: skip


def _kept(card: Card) -> list[str]:
    after, before = card["domains"]["after"], card["domains"]["before"]
    told = [f"{name} {after[name]:,} of {before[name]:,}" for name in card["classifier"]["names"]]
    return [f"{sum(after.values()):,}", *told]


def _sure(name: str, card: Card) -> list[Row]:
    first, second, _ = card["classifier"]["names"]
    limits = card["classifier"]["thresholds"]
    made = []
    for domain, limit in (first, f"> {limits['first']:.2f}"), (second, f"< {limits['second']:.2f}"):
        stated = card["domains"]["stated"][domain]
        shares = [_share(stated[measure]) for measure in ("precision", "recall")]
        counts = [f"{stated['right']:,} + {stated['wrong']:,}", f"{stated['rows']:,}"]
        made.append(Row(name, [domain, limit, *shares, *counts]))
    return made


def _share(one: Mapping[str, float]) -> Cell:
    value, low, high = (f"{100 * one[name]:.1f}" for name in ("value", "low", "high"))
    return ranged(value, low, high)
