"""A prune rule: an entry of ``splits``, what it decides, and what is said of it.

A rule is one module of ``clipcause.prune.rules``: a model of its parameters, whose ``decide`` reads
what it needs of its ``Inputs`` and calls a function on arrays. Every item has the same scalar slots
(``base``, ``of``, ``with``), because the DAG turns them into file dependencies; a slot that a rule
does not use says ``none``. Every result is a subset of the base.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BeforeValidator, Field

from clipcause.config import Strict
from clipcause.prune.inputs import Inputs
from clipcause.prune.split import Split

DIGITS = 6
PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
SLOT = "another split, or none where the rule reads none"
NO_SLOT = "write none, since the rule reads no other split here"


def _kept(value: Any) -> Any:
    """One explanation instead of one for every type that it could be."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and (0 < value < 1 or (isinstance(value, int) and value >= 1)):
        return value
    hint = ""
    if isinstance(value, str) and (share := PERCENT.fullmatch(value)):
        hint = f"; write {float(share[1]) / 100:g}"
    raise ValueError(
        "keep is a number of rows, or a share of the base greater than 0 and less than 1, but was "
        f"{value!r}{hint}"
    )


Unused = Literal["none"]
Rows = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Keep = Annotated[int | float, BeforeValidator(_kept)]


class Term(NamedTuple):
    """What a word of the report means; ``key`` is its anchor on the page."""

    key: str
    title: str
    meaning: str


@dataclass(frozen=True)
class Decision:
    """The rows that a rule keeps, and what the split's card has to say of it.

    ``numbers`` are metrics too; of a list its length is one. ``facts`` are for the card alone:
    hashes of what the rule read, lists that are too long for a table.
    """

    kept: Split
    numbers: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


class Rule(Strict, ABC):
    """What all rules have: the slots; each starts from ``base``: all, dedup or a split.

    ``rule`` is a literal in every rule: what its items are told apart by.
    """

    rule: str
    base: str = Field(description="all, dedup or another split")
    of: str = Field(description=SLOT)
    with_: str = Field(alias="with", description=SLOT)

    # what the report explains of the rule, beside the sentence of every split
    terms: ClassVar[tuple[Term, ...]] = ()

    @abstractmethod
    def decide(self, given: Inputs) -> Decision:
        """Which rows of the base stay. Raises ``ValueError`` where the rule cannot be met."""

    @abstractmethod
    def sentence(self) -> str:
        """How the rows are chosen, for a reader of the report; without a full stop."""

    def check(self, content: Mapping[str, Any], where: str, path: str) -> None:
        """Raise ``ValueError`` where the rule names something, beside other splits, that the
        parameters ``content`` of the file ``path`` do not have; ``where`` is the rule's place."""

    @property
    def subject(self) -> str:
        """The property of rows that it chooses by, as the field calls it, for the table that sets
        properties beside one another."""
        return self.rule.replace("_", " ")

    @property
    def classes_by(self) -> Literal["label", "mention"] | None:
        """What a row's classes are for the rule; None: it does not look at classes."""
        return None

    @property
    def panel(self) -> str:
        """Under what the report draws splits that look at classes together."""
        return self.rule


class Sourceless(Rule):
    """A rule that reads no other split."""

    of: Unused = Field(description=NO_SLOT)
    with_: Unused = Field(alias="with", description=NO_SLOT)


def card(rule: Rule, given: Inputs, made: Decision) -> dict[str, Any]:
    """What a split is: pool, rule, parameters, counts and shares (of the base and of the pool)."""
    kept, base, pool = len(made.kept), len(given.base), given.pool
    return {
        "pool": pool.sha256,
        "pool_rows": len(pool),
        "rule": rule.rule,
        "parameters": rule.model_dump(by_alias=True, exclude_none=True),
        "base": rule.base,
        "base_rows": base,
        "kept": kept,
        "removed": base - kept,
        "share_of_base": round(kept / base, DIGITS),
        "share_of_pool": round(kept / len(pool), DIGITS),
        **made.facts,
        **made.numbers,
    }


def numbers(card: Mapping[str, Any], made: Decision) -> dict[str, Any]:
    """The card's counts and shares, as metrics; of lists their lengths."""
    common = ("kept", "removed", "share_of_base", "share_of_pool")
    lengths = {
        name: len(value) if isinstance(value, list) else value
        for name, value in made.numbers.items()
    }
    return {name: card[name] for name in common} | lengths
