"""The page's section on splits of whole domains."""

from collections.abc import Mapping
from html import escape
from typing import Any

from clipcause.report import charts, colours, domain_charts
from clipcause.report.content import Content
from clipcause.report.domains_figures import axis_title
from clipcause.report.markup import chip, data_table, key, panels, paragraph, table_row
from clipcause.report.tables.domains import chosen, rows

TITLE = "Whole domains"
NONE = "–"


def part(content: Content) -> str:
    """The section; empty where no split is of whole domains."""
    cards = chosen(content.study)
    if not cards:
        return ""
    return (
        _kept(content, cards)
        + _sure(cards)
        + paragraph(
            "Precision and recall are those of labelled rows that neither fitted the classifier "
            "nor chose its thresholds, at the balance of the two domains among them (or at the "
            "prior that is stated); 95 % Wilson intervals. They are not those of the pool: rows of "
            "neither domain have no label, are not among them, and may still be called one.",
            "soft",
        )
        + _plots(content)
    )


def _kept(content: Content, cards: Mapping[str, Mapping[str, Any]]) -> str:
    """What every split kept of each domain."""
    made, colour = [], colours.colours(content.study)
    for name, card in cards.items():
        facts, names = card["domains"], card["classifier"]["names"]
        told = [
            f"{escape(domain)} {facts['after'][domain]:,} of {facts['before'][domain]:,}"
            for domain in names
        ]
        cells = [f"{sum(facts['after'].values()):,}", *told]
        made.append(table_row(f"{chip(colour[name])}{escape(name)}", cells))
    head = ["split", "rows", "first domain", "second domain", "between"]
    caption = (
        "Rows of each domain that a split kept, of those of its base, as a classifier calls them."
    )
    return data_table(caption, head, made)


def _sure(cards: Mapping[str, Mapping[str, Any]]) -> str:
    """How good every classifier is, once."""
    found = {card["parameters"]["domain"]: card for card in cards.values()}
    made = []
    for name, card in found.items():
        first, second, _ = card["classifier"]["names"]
        limits = card["classifier"]["thresholds"]
        for domain, limit in ((first, f"> {limits['first']:.2f}"),
                              (second, f"< {limits['second']:.2f}")):  # fmt: skip
            stated = card["domains"]["stated"][domain]
            cells = [
                escape(domain),
                limit,
                _percent(stated["precision"]),
                _percent(stated["recall"]),
                f"{stated['right']:,} + {stated['wrong']:,}",
                f"{stated['rows']:,}",
            ]
            made.append(table_row(escape(name), cells))
    head = ["classifier", "domain", "log-odds", "precision", "recall", "called so: right + wrong",
            "labelled rows"]  # fmt: skip
    caption = "Precision and recall in % on held-out labelled rows."
    return data_table(caption, head, made)


def _percent(share: Mapping[str, float]) -> str:
    low, high = 100 * share["low"], 100 * share["high"]
    return f"{100 * share['value']:.1f}<small>[{low:.1f}, {high:.1f}]</small>"


def _plots(content: Content) -> str:
    """Accuracy by share, a plot per test set."""
    drawn = rows(content.study, content.lines)
    if not drawn:
        return paragraph("No model has learnt from one of these splits.", "soft")
    panel = domain_charts.panel(axis_title(content.study))
    shown = {row["split"]: row["colour"] for row in drawn}
    found = []
    for test in content.study.tests:
        label = f"Top-1 accuracy on {test} by the mix of domains; the table of accuracies has them."
        own = [row for row in drawn if row["test"] == test]
        found.append((test, charts.inline(panel, own, label)))
    return (
        paragraph(
            "Accuracy by the share of the second domain among rows of the two. A grey line joins "
            "splits of one size without ambiguous rows; others differ in more than their mix.",
        )
        + key([(chip(colour), name) for name, colour in shown.items()])
        + panels(found)
    )
