"""The prune rules, a module each: parameters, decision, and the sentence that the report says.

A rule is a subclass of ``clipcause.prune.rule.Rule`` in a module of this folder; adding the file is
enough. Here are the union of all of them, told apart by ``rule``, and the section ``splits``.
"""

from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from clipcause.config import FILE, kinds, look_up, read, unknown
from clipcause.config.layout import BASES, NONE
from clipcause.prune.rule import Rule

SECTION = "splits"
RENAMED = {"column": "where"}  # words that rules had, and what they say now
RULES = kinds.find(__name__, iter_modules(__path__), Rule, "rule")


def parse(values: Any, where: str) -> Rule:
    """One item of the section as the model of its rule."""
    old = values.get("rule") if isinstance(values, dict) else None
    if isinstance(old, str) and (now := RENAMED.get(old)):
        raise ValueError(f"{where}: the rule {old!r} is called {now} now, with the same parameters")
    return RULES.parse(values, where)


def load(name: str, path: Path = FILE) -> Rule:
    """The rule of one split, checked together with the names that it refers to.

    Raises ``ValueError`` for an unknown split, rule, parameter, test set or referenced split, with
    the nearest valid name.
    """
    return _load(name, read(path), path)


def load_all(path: Path = FILE) -> dict[str, Rule]:
    """The rules of all splits. Splits that refer to each other in a circle are an error."""
    content = read(path)
    items = content.get(SECTION)
    if not isinstance(items, dict) or not items:
        raise ValueError(f"{path}: section {SECTION!r} is missing or empty")
    rules = {name: _load(name, content, path) for name in items}
    walked: set[str] = set()
    for name in rules:
        _walk(rules, [name], walked, f"{path}: {SECTION}.{name}")
    return rules


def _load(name: str, content: dict[str, Any], path: Path) -> Rule:
    values = look_up(SECTION, name, content, path)
    where = f"{path}: {SECTION}.{name}"
    if name in (NONE, *BASES):
        raise ValueError(f"{where}: the name is taken; choose another")
    rule = parse(values, where)
    rule.check(content, where, str(path))
    for slot, other in (("base", rule.base), ("of", rule.of), ("with", rule.with_)):
        if other == NONE and slot != "base":
            continue
        if other == name:
            raise ValueError(f"{where}.{slot}: a split cannot refer to itself")
        if other not in (known := (*content[SECTION], *BASES)):
            raise unknown("split", other, known, f"{where}.{slot}")
    return rule


def _walk(rules: dict[str, Rule], trail: list[str], walked: set[str], where: str) -> None:
    """Follow what the last split of the trail refers to; ``walked`` has no circles behind it."""
    rule = rules[trail[-1]]
    for other in dict.fromkeys((rule.base, rule.of, rule.with_)):
        if other in (NONE, *BASES) or other in walked:
            continue
        if other in trail:
            raise ValueError(f"{where}: refers to itself: {' -> '.join([*trail, other])}")
        _walk(rules, [*trail, other], walked, where)
    walked.add(trail[-1])
