"""Two runs of a study, file by file: what is the same, what differs, what has no counterpart.

Bytes first; where they differ, the values that the files hold (`benchmarks.same_files`), through
the table of what may be otherwise (`benchmarks.same_rules`).
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import yaml

from benchmarks.same_files import Column, Facts, difference, facts
from benchmarks.same_rules import Rule, file_target, key_target, spelt

LOCK = "dvc.lock"
KEPT = ("metrics", "report")  # looked at whole, whether or not a stage names them
PLACEHOLDER = ".gitkeep"  # keeps an empty folder in git
SHOWN = 20  # places that a line of the report names


@dataclass
class Comparison:
    """What was found; what a line of the table explains is listed under it."""

    same: Counter[str] = field(default_factory=Counter)
    rewritten: list[str] = field(default_factory=list)  # the same values in other bytes
    differs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    only_old: list[str] = field(default_factory=list)
    only_new: list[str] = field(default_factory=list)
    explained: dict[Rule, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def holds(self) -> bool:
        """Whether nothing differs but for what the table explains."""
        return not (self.differs or self.only_old or self.only_new)


def listing(folder: Path) -> dict[str, Path]:
    """Every file of a run's outputs by name; an output that is locked and not there is an error.

    ``folder`` is that of the `dvc.lock`. What a study has outside it, above, is named from there.
    """
    lock = yaml.safe_load((folder / LOCK).read_text())["stages"]
    outs = [out["path"] for stage in lock.values() for out in stage.get("outs", ())]
    if absent := [out for out in outs if not (folder / out).exists()]:
        raise FileNotFoundError(f"{folder}: {absent[0]} is in {LOCK} and not here; `dvc checkout`")
    found: dict[str, Path] = {}
    for name in sorted({*outs, *KEPT}):
        top = folder / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and path.name != PLACEHOLDER:
                parts = [name, *path.relative_to(top).parts]
                place = PurePosixPath(*parts)
                found["/".join(part for part in place.parts if part != "..")] = path
    return found


def compare(old: Mapping[str, Path], new: Mapping[str, Path], rules: Sequence[Rule]) -> Comparison:
    """Compare two listings through the table."""
    found = Comparison()
    reached = set()
    for name, path in old.items():
        if name in new:
            target = name
        elif moved := file_target(name, new, rules):
            target, rule = moved
            found.explained[rule].append(name)
        else:
            gone = [rule for rule in rules if rule.gone]
            _without(found, found.only_old, name, gone)
            continue
        reached.add(target)
        _pair(found, (name, path), (target, new[target]), rules)
    for name in sorted(new.keys() - reached):
        _without(found, found.only_new, name, [rule for rule in rules if rule.new])
    return found


def compare_facts(
    old: Facts, new: Facts, rules: Sequence[Rule]
) -> tuple[list[tuple[str, str]], list[tuple[Rule, str]]]:
    """What differs inside a file (key, words), and what its ``rules`` explained."""
    differs: list[tuple[str, str]] = []
    used: list[tuple[Rule, str]] = []
    reached = set()
    for key, value in old.items():
        if key in new:
            target = key
        elif moved := key_target(key, new, rules):
            target, rule = moved
            used.append((rule, key))
        else:
            rule = next((rule for rule in rules if rule.gone and rule.takes(key)), None)
            used += [(rule, key)] if rule else []
            differs += [] if rule else [(key, "only in the old one")]
            continue
        reached.add(target)
        words = difference(value, new[target])
        if words is None:
            continue
        if rule := _allowed(key, value, new[target], rules):
            used.append((rule, key))
        else:
            differs.append((key if key == target else f"{key} -> {target}", words))
    for key in new:
        if key not in reached:
            rule = next((rule for rule in rules if rule.new and rule.takes(key)), None)
            used += [(rule, key)] if rule else []
            differs += [] if rule else [(key, "only in the new one")]
    return differs, used


def report(found: Comparison, rules: Sequence[Rule]) -> str:
    """All of it in words: counts, differences with their first value, unused lines of the table."""
    total = sum(found.same.values())
    lines = [f"same bytes: {total} files"]
    lines += [f"  {kind}: {count}" for kind, count in sorted(found.same.items())]
    lines += _block("same values in other bytes", found.rewritten)
    for rule in (rule for rule in rules if rule in found.explained):
        places = found.explained[rule]
        lines += [f"explained, {len(places)} times: {rule}", f"  {_few(places)}"]
    unused = [str(rule) for rule in rules if rule not in found.explained]
    lines += _block("lines of the table that nothing needed", unused)
    differs = [f"{place}: {words}" for place, each in found.differs.items() for words in each]
    lines += _block("DIFFERS", differs)
    lines += _block("ONLY IN THE OLD", found.only_old)
    lines += _block("ONLY IN THE NEW", found.only_new)
    end = "nothing moved" if found.holds else "NOT the same, and no line of the table says why"
    return "\n".join([*lines, end])


def _pair(
    found: Comparison, old: tuple[str, Path], new: tuple[str, Path], rules: Sequence[Rule]
) -> None:
    """Compare two files, and add what that gives to ``found``."""
    (name, path), (target, other) = old, new
    if path.read_bytes() == other.read_bytes():
        found.same[name.split("/")[0]] += 1
        return
    own = [rule for rule in rules if rule.covers(name, target)]
    differs, used = compare_facts(facts(path), facts(other), own)
    for rule, key in used:
        found.explained[rule].append(f"{name} [{key}]")
    whole = next((rule for rule in own if rule.changes and rule.key is None), None)
    if not differs and not used:
        found.rewritten.append(name)
    elif differs and whole:
        found.explained[whole].append(name)
    elif differs:
        place = name if name == target else f"{name} -> {target}"
        found.differs[place] += [f"[{key}] {words}" for key, words in differs]


def _allowed(key: str, old: object, new: object, rules: Sequence[Rule]) -> Rule | None:
    """The rule by which a value may differ: any, or these words for those."""
    for rule in rules:
        if not rule.takes(key):
            continue
        if rule.changes:
            return rule
        if rule.values and difference(_spelt(old, rule), new) is None:
            return rule
    return None


def _spelt(value: object, rule: Rule) -> object:
    if isinstance(value, Column):
        return Column(value.kind, spelt(list(value.values), rule.values))
    return spelt(value, rule.values)


def _without(found: Comparison, unexplained: list[str], name: str, rules: Sequence[Rule]) -> None:
    """A file without a counterpart: by a line of the table that says so, or unexplained."""
    rule = next((rule for rule in rules if rule.key is None and rule.covers(name)), None)
    (found.explained[rule] if rule else unexplained).append(name)


def _block(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{title}: {len(lines)}", *(f"  {line}" for line in lines)] if lines else []


def _few(places: Sequence[str]) -> str:
    rest = len(places) - SHOWN
    return ", ".join(places[:SHOWN]) + (f", and {rest} more" if rest > 0 else "")
