"""Parameters of ``splits``: one item per split, told apart by ``rule``.

Every item has the same scalar slots (``rule``, ``base``, ``of``, ``with``), because the DAG turns
them into file dependencies; a slot that a rule does not use says ``none``.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from stages.parameters import FILE, Strict, parse, read, unknown

NONE = "none"
SECTION = "splits"
BASES = ("all", "dedup")  # written by de-duplication, not by a rule

Unused = Literal["none"]
Rows = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Keep = Rows | Share
Names = Annotated[list[str], Field(min_length=1)]


class Slots(Strict):
    """The slots that every item has, and what every rule starts from."""

    base: Literal["all", "dedup"]
    of: str
    with_: str = Field(alias="with")


class Sourceless(Slots):
    """A rule that reads no other split."""

    of: Unused
    with_: Unused = Field(alias="with")


class Scored(Sourceless):
    """A rule that reads the scores of some test sets."""

    tests: Names

    @model_validator(mode="after")
    def _once(self) -> "Scored":
        if len(set(self.tests)) != len(self.tests):
            raise ValueError("a test set comes twice in tests")
        return self


class Everything(Sourceless):
    """The base itself."""

    rule: Literal["none"]


class Hull(Scored):
    """Rows whose margin is at most ``delta`` for every one of ``tests``."""

    rule: Literal["hull"]
    delta: float = 0.0


class Ranked(Scored):
    """``keep`` rows by similarity to the nearest image of any of ``tests``: the least similar
    (near: the nearest are dropped) or the most similar ones (far, core)."""

    rule: Literal["near", "far", "core"]
    keep: Keep


class Random(Slots):
    """A uniform sample, as large as ``keep`` or as the split ``of``."""

    rule: Literal["random"]
    with_: Unused = Field(alias="with")
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    keep: Keep | None = None

    @model_validator(mode="after")
    def _one_size(self) -> "Random":
        if (self.keep is None) == (self.of == NONE):
            raise ValueError("a random split has a size from either keep or of, not both")
        return self


class Combined(Slots):
    """A set operation on the splits ``of`` and ``with``."""

    rule: Literal["union", "intersection", "difference"]

    @model_validator(mode="after")
    def _two_splits(self) -> "Combined":
        if NONE in (self.of, self.with_):
            raise ValueError("a set operation names two splits, of and with")
        return self


Rule = Everything | Hull | Ranked | Random | Combined

MODELS: dict[str, type[Rule]] = {
    "none": Everything,
    "hull": Hull,
    "near": Ranked,
    "far": Ranked,
    "core": Ranked,
    "random": Random,
    "union": Combined,
    "intersection": Combined,
    "difference": Combined,
}


def load(name: str, path: Path = FILE) -> Rule:
    """The rule of one split, checked together with the names that it refers to.

    Raises ``ValueError`` for an unknown split, rule, parameter, test set or referenced split, with
    the nearest valid name.
    """
    content = read(path)
    items = content.get(SECTION)
    if not isinstance(items, dict) or name not in items:
        raise unknown("split", name, items if isinstance(items, dict) else (), f"{path}: {SECTION}")
    if name in (NONE, *BASES):
        raise ValueError(f"{path}: {SECTION}.{name}: the name is taken; choose another")
    rule = parse_rule(items[name], f"{path}: {SECTION}.{name}")
    check_names(rule, name, items, content.get("tests") or (), f"{path}: {SECTION}.{name}")
    return rule


def load_all(path: Path = FILE) -> dict[str, Rule]:
    """The rules of all splits; splits that refer to each other in a circle are an error."""
    items = read(path).get(SECTION)
    if not isinstance(items, dict) or not items:
        raise ValueError(f"{path}: section {SECTION!r} is missing or empty")
    rules = {name: load(name, path) for name in items}
    for name in rules:
        trail = [name]
        _walk(rules, trail, f"{path}: {SECTION}.{name}")
    return rules


def parse_rule(values: Any, where: str) -> Rule:
    """One item of the section as the model of its rule."""
    if not isinstance(values, dict) or "rule" not in values:
        raise ValueError(f"{where}: rule is missing")
    if values["rule"] not in MODELS:
        raise unknown("rule", values["rule"], MODELS, where)
    return parse(values, MODELS[values["rule"]], where)


def check_names(rule: Rule, name: str, splits: Any, tests: Any, where: str) -> None:
    """Raise where ``rule`` names a test set or a split that is not in the parameters."""
    for test in getattr(rule, "tests", ()):
        if test not in tests:
            raise unknown("test set", test, tests, f"{where}.tests")
    for slot, other in (("of", rule.of), ("with", rule.with_)):
        if other == NONE:
            continue
        if other == name:
            raise ValueError(f"{where}.{slot}: a split cannot refer to itself")
        if other not in (*splits, *BASES):
            raise unknown("split", other, (*splits, *BASES), f"{where}.{slot}")


def _walk(rules: dict[str, Rule], trail: list[str], where: str) -> None:
    rule = rules[trail[-1]]
    for other in (rule.of, rule.with_):
        if other in (NONE, *BASES):
            continue
        if other in trail:
            raise ValueError(f"{where}: refers to itself: {' -> '.join([*trail, other])}")
        _walk(rules, [*trail, other], where)
