"""Parameters of ``splits``: one item per split, told apart by ``rule``.

Every item has the same scalar slots (``rule``, ``base``, ``of``, ``with``), because the DAG turns
them into file dependencies; a slot that a rule does not use says ``none``.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    model_serializer,
    model_validator,
)

from clipcause.config import FILE, domain_rule, other_scores, parse, read, unknown
from clipcause.config.domain_rule import ByDomain
from clipcause.config.slots import NONE, Rows, Seed, Slots, Sourceless, Unused

SECTION = "splits"
ALL = "all"
BASES = (ALL, "dedup")  # written by `prepare` and `deduplicate`, not by a rule

Share = Annotated[float, Field(gt=0, lt=1)]
Keep = Rows | Share
By = Literal["label", "mention"]
Names = Annotated[list[str], Field(min_length=1)]


class Scored(Sourceless):
    """A rule that reads the scores of some test sets: those of the study's encoder and reference,
    or those of the entry ``scores`` of the section of that name."""

    tests: Names
    scores: str = NONE

    @model_validator(mode="after")
    def _once(self) -> "Scored":
        if len(set(self.tests)) != len(self.tests):
            raise ValueError("a test set comes twice in tests")
        return self

    @model_serializer(mode="wrap")
    def _stated(self, dump: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        # a card of a split by the study's own scores is what it was before there were others
        values = dump(self)
        return {key: value for key, value in values.items() if (key, value) != ("scores", NONE)}


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
    seed: Seed
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


class TrimTail(Sourceless):
    """The ``tail`` rarest classes of the base cut to at most ``most`` rows each.

    ``by`` says what a row's classes are, here and below: the label of its manifest, or the classes
    that its caption mentions, of which it may have several.
    """

    rule: Literal["trim_tail"]
    by: By
    tail: Rows
    most: Annotated[int, Field(ge=0)]
    seed: Seed


class Scale(Sourceless):
    """A uniform share of the base; each class that the base has rows of keeps one."""

    rule: Literal["scale"]
    by: By
    share: Annotated[float, Field(gt=0, le=1)]
    seed: Seed


class Match(Slots):
    """The class counts of the split ``of``, or of the labelled data that the study calls
    `reference`, scaled to ``keep`` rows."""

    rule: Literal["match"]
    with_: Unused = Field(alias="with")
    by: By
    to: Literal["reference"] | None = None
    keep: Rows | None = None
    seed: Seed

    @model_validator(mode="after")
    def _one_source(self) -> "Match":
        if (self.to is None) == (self.of == NONE):
            raise ValueError(
                "class counts come from either a split (of) or to: reference, not both"
            )
        return self


class Threshold(Slots):
    """Rows whose caption is more similar than ``above`` to the definition of a class that it
    mentions: all of them, ``keep`` of them, or as many as the split ``of`` has."""

    rule: Literal["threshold"]
    with_: Unused = Field(alias="with")
    above: Annotated[float, Field(ge=-1, le=1)]
    keep: Rows | None = None
    seed: Seed | None = None

    @model_validator(mode="after")
    def _one_size(self) -> "Threshold":
        if self.keep is not None and self.of != NONE:
            raise ValueError("a threshold split has a size from keep or of, not both")
        if self.seed is None and (self.keep is not None or self.of != NONE):
            raise ValueError("a sample of the rows above the threshold needs a seed")
        return self


def _taken(value: Any) -> Any:
    """One explanation instead of one for every type that it could be."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if (
        value == "any"
        or (number and (0 < value < 1 or (isinstance(value, int) and value >= 1)))
        or (isinstance(value, list) and value and all(isinstance(key, str) for key in value))
    ):
        return value
    raise ValueError(
        "take is any, a number of classes, a share of them between 0 and 1, or a list of class "
        f"ids, but was {value!r}"
    )


class Classes(Sourceless):
    """Rows of some classes: of `any`, of so many or of a share of them (drawn), of those listed."""

    rule: Literal["classes"]
    by: By
    take: Annotated[Literal["any"] | int | float | list[str], BeforeValidator(_taken)]
    seed: Seed | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Classes":
        if isinstance(self.take, int | float) and self.seed is None:
            raise ValueError("classes that are drawn need a seed")
        if isinstance(self.take, list) and len(set(self.take)) != len(self.take):
            raise ValueError("a class comes twice in take")
        return self


class Balance(Sourceless):
    """MetaCLIP's balancing: classes of more than ``most`` rows are thinned to about that many."""

    rule: Literal["balance"]
    by: By
    most: Rows
    seed: Seed


Classwise = TrimTail | Scale | Match | Classes | Balance
Rule = Everything | Hull | Ranked | Random | Combined | Threshold | ByDomain | Classwise

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
    "trim_tail": TrimTail,
    "scale": Scale,
    "match": Match,
    "threshold": Threshold,
    "classes": Classes,
    "balance": Balance,
    "domain": ByDomain,
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
    if isinstance(rule, Scored) and rule.scores not in (
        NONE,
        *(known := other_scores.items(content)),
    ):
        raise unknown("scores", rule.scores, known, f"{path}: {SECTION}.{name}.scores")
    if isinstance(rule, ByDomain):
        domain_rule.check(rule, content, f"{path}: {SECTION}.{name}", str(path))
    return rule


def load_all(path: Path = FILE) -> dict[str, Rule]:
    """The rules of all splits.

    Splits that refer to each other in a circle are an error, and so is a threshold in a study
    that compares captions with no definitions.
    """
    content = read(path)
    items = content.get(SECTION)
    if not isinstance(items, dict) or not items:
        raise ValueError(f"{path}: section {SECTION!r} is missing or empty")
    rules = {name: load(name, path) for name in items}
    walked: set[str] = set()
    for name in rules:
        _walk(rules, [name], walked, f"{path}: {SECTION}.{name}")
    by_definition = [name for name, rule in rules.items() if isinstance(rule, Threshold)]
    relevance = content.get("relevance")
    if by_definition and isinstance(relevance, dict) and relevance.get("definitions") == NONE:
        raise ValueError(
            f"{path}: {SECTION}.{by_definition[0]}: a threshold needs the definitions of classes, "
            "but relevance.definitions is none; set it to wordnet"
        )
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
    known = (*splits, *BASES)
    for slot, other in (("base", rule.base), ("of", rule.of), ("with", rule.with_)):
        if other == NONE and slot != "base":
            continue
        if other == name:
            raise ValueError(f"{where}.{slot}: a split cannot refer to itself")
        if other not in known:
            raise unknown("split", other, known, f"{where}.{slot}")


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
