"""A study in outline: its names, sizes and cards, as far as tables, figures and page tell of them.

It is stored with the analysis, so that what draws reads no split and no prediction.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, PlainSerializer, PlainValidator

from clipcause.config import Strict, objectives
from clipcause.config.runs import NONE, Run
from clipcause.prune import rules
from clipcause.prune.rule import Rule
from clipcause.report import factors
from clipcause.report.conditions import Condition, controls

RANDOM, SUPERVISED, SPLIT = "random", "supervised", "split"  # kinds of marks
Key = TypeVar("Key")
Value = TypeVar("Value")


def _stated(items: Mapping[str, Strict]) -> dict[str, Any]:
    return {name: one.model_dump(mode="json", by_alias=True) for name, one in items.items()}


def _parsed(room: Any) -> PlainValidator:
    """By the parser of a room, ``rules`` or ``objectives``."""

    def parse(stated: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: one if isinstance(one, Strict) else room.parse(one, f"{room.SECTION}.{name}")
            for name, one in stated.items()
        }

    return PlainValidator(parse)


def _entries(found: dict[Any, Any]) -> list[tuple[Any, Any]]:
    return list(found.items())


def _dictionary(stored: Any) -> Any:
    if isinstance(stored, list):
        return {tuple(key) if isinstance(key, list) else key: value for key, value in stored}
    return stored


# JSON's own keys are text alone: a list of key and value
Keyed = Annotated[dict[Key, Value], PlainSerializer(_entries), BeforeValidator(_dictionary)]
Pairs = Keyed[tuple[str, str], Value]  # by condition and test set
# each has the type of its rule or objective; what is stored is what the parameters state
Rules = Annotated[dict[str, Rule], PlainSerializer(_stated), _parsed(rules)]
Runs = Annotated[dict[str, Run], PlainSerializer(_stated), _parsed(objectives)]


@dataclass(frozen=True)
class Sized:
    """An artifact: how many rows it has, the hash of its manifest or what its card says."""

    rows: int
    sha256: str = ""
    card: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.rows


@dataclass(frozen=True)
class Outline:
    """Names are in the order of the parameters."""

    encoder: str
    fingerprints: list[str]  # of the models that measured similarity
    pool: Sized
    reference: Sized
    suite: dict[str, Sized]  # all test sets
    tests: dict[str, Sized]  # those whose images have classes
    rules: Rules
    splits: dict[str, Sized]
    runs: Runs  # one on a base is on the split that is all of it
    conditions: dict[str, Condition]  # whose models name a class
    unnamed: dict[str, Condition]  # self-supervised ones, which do not, and published ones
    cards: dict[str, dict[str, Any]]  # of every run's checkpoint

    @cached_property
    def controls(self) -> dict[str, tuple[str, ...]]:
        """A random split's name to those of the splits that are compared with it."""
        return controls(self.rules, {name: len(found) for name, found in self.splits.items()})

    @cached_property
    def every(self) -> dict[str, Condition]:
        """All conditions; those whose models name no class come last."""
        return {**self.conditions, **self.unnamed}

    @cached_property
    def models(self) -> dict[str, str]:
        """The kind of model of every condition, whatever data it was trained on; conditions of one
        split never share one.

        Where runs on splits differ in whether they saw the reference, those that did say so.
        """
        found = self.every.values()
        run = {one.name: self.runs[one.runs[0]] for one in found}
        is_mixed = len({one.without_reference for one in found if one.split != NONE}) > 1
        short = {name: factors.kind(one) for name, one in run.items()}
        count = Counter((one.split, short[one.name], one.without_reference) for one in found)
        twice = {kind for (_, kind, _), many in count.items() if many > 1}
        kinds = {}
        for one in found:
            # the length of training and whose text tower it is are said only where nothing else
            # tells two apart
            kind = factors.kind(run[one.name], in_full=short[one.name] in twice)
            is_added = is_mixed and one.split != NONE and not one.without_reference
            kinds[one.name] = f"{kind}, with the reference" if is_added else kind
        return kinds

    def is_encoder(self, condition: Condition) -> bool:
        """Whether one of its models is the encoder that measures similarity."""
        return any(self.cards[run]["fingerprint"] in self.fingerprints for run in condition.runs)

    def base_of(self, name: str) -> Sized:
        """The split that a split was made from."""
        return self.splits[self.rules[name].base]

    def kind(self, condition: Condition) -> str:
        """What a condition's mark looks like: of a split, of a random split, or supervised."""
        if condition.is_supervised:
            return SUPERVISED
        return RANDOM if condition.split in self.controls else SPLIT

    def beside(self, condition: Condition) -> list[str]:
        """The conditions whose lines in a plot a condition shares: a random split those of all that
        are compared with it, any other its own."""
        found = [name for name, one in self.conditions.items() if condition.name in one.controls]
        return found or [condition.name]

    def training_rows(self, condition: Condition) -> int:
        """The rows that its models learnt from: those of its split, and the reference's where it
        was added."""
        own = len(self.splits[condition.split]) if condition.split != NONE else 0
        return own + (0 if condition.without_reference else len(self.reference))
