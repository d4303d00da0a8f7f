"""The table by which two runs may differ: old path, column, key or word to the new one, and why.

A line is one of `to` (renamed), `gone`, `new`, `changes` (its value may be another) and `values`
(words that became others), for files of a pattern or, with `key`, for something inside them. In a
pattern `*` stands for anything up to the next separator (a slash in paths, a dot in keys),
`{name}` for the same but not for nothing, `**` for anything. `to` may use them again.

What has the same name on both sides is compared under that name, whatever the table says: so one
table serves every commit of a change, and a line that is not needed yet is only an unused one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from itertools import chain, count
from pathlib import Path
from typing import Any

import yaml

WILD = re.compile(r"\*\*|\*|\{\w+\}")
ACTIONS = ("to", "gone", "new", "changes", "values")


@dataclass(frozen=True, eq=False)
class Rule:
    """One line of the table; ``file`` is a pattern of old paths, with `new` of new ones."""

    file: str
    why: str
    key: str | None = None
    to: str | None = None
    gone: bool = False
    new: bool = False
    changes: bool = False
    values: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        action = next(name for name in ACTIONS if getattr(self, name))
        value = getattr(self, action)
        what = action if value is True else f"{action} {value}"
        place = f"{self.file} [{self.key}]" if self.key else self.file
        return f"{place} {what}: {self.why}"

    def covers(self, *names: str) -> bool:
        """Whether one of a file's names, old and new, is of the pattern."""
        return any(match(self.file, name, "/") for name in names)

    def takes(self, key: str) -> bool:
        """Whether the rule is about something inside a file, and this is it."""
        return self.key is not None and match(self.key, key, ".") is not None


def read(path: Path) -> list[Rule]:
    """The table of a file; a line that is not understood is an error with its number."""
    lines = yaml.safe_load(path.read_text()) or []
    return [_rule(line, f"{path}: line {number}") for number, line in enumerate(lines, 1)]


def match(pattern: str, text: str, separator: str) -> re.Match[str] | None:
    """A match of the whole text, with a group for each wildcard."""
    return re.fullmatch(_expression(pattern, separator), text)


def renamed(pattern: str, to: str, text: str, separator: str) -> str | None:
    """The new name of ``text``, None where it is not of the pattern."""
    found = match(pattern, text, separator)
    if not found:
        return None
    unnamed = iter(name for name in found.re.groupindex if name.startswith("_"))
    return WILD.sub(lambda wild: found[_group(wild[0], unnamed)], to)


def file_target(name: str, new: Iterable[str], rules: Sequence[Rule]) -> tuple[str, Rule] | None:
    """The new path of a file by the first line that leads to one that is there."""
    there = set(new)
    for rule in rules:
        if rule.key is None and rule.to is not None:
            target = renamed(rule.file, rule.to, name, "/")
            if target in there:
                return target, rule
    return None


def key_target(key: str, new: Iterable[str], rules: Sequence[Rule]) -> tuple[str, Rule] | None:
    """The new name of something inside a file; ``rules`` are those that cover the file."""
    there = set(new)
    for rule in rules:
        if rule.key is not None and rule.to is not None:
            target = renamed(rule.key, rule.to, key, ".")
            if target in there:
                return target, rule
    return None


def spelt(value: Any, words: Mapping[str, str]) -> Any:
    """A value, or a list of them, in which some words are written as others."""
    if isinstance(value, list):
        return [spelt(each, words) for each in value]
    return words.get(value, value) if isinstance(value, str) else value


def _expression(pattern: str, separator: str) -> str:
    """The regular expression of a pattern; groups of `*` and `**` are numbered, `_0` first."""
    other = f"[^{re.escape(separator)}]"
    inner = {"*": f"{other}*", "**": ".*"}
    numbers = count()
    seen: set[str] = set()

    def group(wild: str) -> str:
        name = wild.strip("{}*") or f"_{next(numbers)}"
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>{inner.get(wild, f'{other}+')})"

    texts, wilds = WILD.split(pattern), [group(wild) for wild in WILD.findall(pattern)]
    return "".join(chain(*zip(map(re.escape, texts), [*wilds, ""], strict=True)))


def _group(wild: str, unnamed: Iterator[str]) -> str:
    return wild.strip("{}*") or next(unnamed)


def _rule(line: Any, where: str) -> Rule:
    """A line of the table, checked: a misspelt one would silently explain nothing."""
    if not isinstance(line, dict):
        raise ValueError(f"{where}: expected `{{file: …, why: …}}`")  # noqa: TRY004 - a file's fault
    known = [each.name for each in fields(Rule)]
    for name in line:
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            hint = f", did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
            raise ValueError(f"{where}: {name!r} is unknown{hint}")
    for name in ("file", "why"):
        if not line.get(name):
            raise ValueError(f"{where}: {name!r} is missing")
    if sum(bool(line.get(name)) for name in ACTIONS) != 1:
        raise ValueError(f"{where}: one of {', '.join(ACTIONS)} says what became of {line['file']}")
    if line.get("values") and not line.get("key"):
        raise ValueError(f"{where}: values need a key")
    pattern, to = line.get("key") or line["file"], line.get("to") or ""
    if not _fills(WILD.findall(pattern), WILD.findall(to)):
        raise ValueError(f"{where}: {to!r} names what {pattern!r} does not hold")
    return Rule(**line)


def _fills(known: list[str], used: list[str]) -> bool:
    """Whether the wildcards of a pattern give what those of a new name stand for."""
    stars = [sum("*" in wild for wild in wilds) for wilds in (known, used)]
    return stars[1] <= stars[0] and all("*" in wild or wild in known for wild in used)
