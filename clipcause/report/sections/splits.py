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
    said, by_test = (Cell(text, kind=WORDS) for text in (rule.sentence(), each or NONE))
    counts = f"{rule.base}, {base:,}", f"{kept:,}", f"{base - kept:,}"
    return Row(Cell(name, id=f"split-{name}"), [said, *counts, by_test])


def _run(name: str, card: dict[str, Any]) -> Row:
    recipe = card["training"]
    seen = recipe.get("optimiser", {}).get("samples_seen")
    stated = [str(recipe.get(key, NONE)) for key in ("objective", "seed")]
    count = f"{seen:,}" if isinstance(seen, int) else NONE
    return Row(name, [*stated, count, Cell(card["fingerprint"][:12], kind="code")])


def credits_view(_: Content) -> dict[str, Any] | None:
    """The icon sets; None where the images are no icons."""
    if not ATTRIBUTION.exists():
        return None
    with ATTRIBUTION.open(newline="", encoding="utf-8") as stream:
        sets = list(csv.DictReader(stream))
    rows = []
    for one in sets:
        linked = [_linked(one[what], one[f"{what}_url"]) for what in ("author", "licence")]
        rows.append(Row(one["title"], [*linked, f"{int(one['icons']):,}"]))
    licences = sorted({one["licence"] for one in sets})
    return {"sets": len(sets), "licences": licences, "rows": rows}


def _linked(text: str, address: str) -> Cell:
    return Cell(text, link=address if address.startswith(("https://", "http://")) else "")
