"""How splits and runs were made; who drew the icons."""

import csv
from typing import Any

from clipcause.icons import catalogue
from clipcause.prune import rules
from clipcause.report.content import Content
from clipcause.report.outline import Outline
from clipcause.report.sections.elements import NONE, Cell, Row

ATTRIBUTION = catalogue.FOLDER / catalogue.ATTRIBUTION
WORDS = "text"


def view(content: Content) -> dict[str, Any]:
    """Splits, runs, and what the template defines."""
    study = content.study
    runs = [run for one in study.conditions.values() for run in one.runs]
    return {
        "pool": study.pool.sha256[:12],
        "resamples": f"{content.parameters.resamples:,}",
        "rule": Cell("rule", kind=WORDS),
        "removed": Cell("removed by each test set", kind=WORDS),
        "splits": [_split(study, name) for name in study.rules],
        "terms": [term for rule in rules.RULES.models.values() for term in rule.terms],
        "runs": [_run(run, study.cards[run]) for run in runs],
    }


def _split(study: Outline, name: str) -> Row:
    rule, kept, base = study.rules[name], len(study.splits[name]), len(study.base_of(name))
    removed = study.splits[name].card.get("removed_per_test") or {}
    each = ", ".join(f"{test} {removed[test]:,}" for test in study.tests if test in removed)
    return Row(
        Cell(name, id=f"split-{name}"),
        [
            Cell(rule.sentence(), kind=WORDS),
            f"{rule.base}, {base:,}",
            f"{kept:,}",
            f"{base - kept:,}",
            Cell(each or NONE, kind=WORDS),
        ],
    )


def _run(name: str, card: dict[str, Any]) -> Row:
    recipe = card["training"]
    seen = recipe.get("optimiser", {}).get("samples_seen")
    return Row(
        name,
        [
            str(recipe.get("objective", NONE)),
            str(recipe.get("seed", NONE)),
            f"{seen:,}" if isinstance(seen, int) else NONE,
            Cell(card["fingerprint"][:12], kind="code"),
        ],
    )


def credits_view(_: Content) -> dict[str, Any] | None:
    """The icon sets; None where the images are no icons."""
    if not ATTRIBUTION.exists():
        return None
    with ATTRIBUTION.open(newline="", encoding="utf-8") as stream:
        sets = list(csv.DictReader(stream))
    return {
        "sets": len(sets),
        "licences": sorted({one["licence"] for one in sets}),
        "rows": [
            Row(
                one["title"],
                [
                    _linked(one["author"], one["author_url"]),
                    _linked(one["licence"], one["licence_url"]),
                    f"{int(one['icons']):,}",
                ],
            )
            for one in sets
        ],
    }


def _linked(text: str, address: str) -> Cell:
    return Cell(text, link=address if address.startswith(("https://", "http://")) else "")
