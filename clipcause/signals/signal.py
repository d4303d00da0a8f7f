"""A signal: an entry of ``signals``, which gives every row of the pool's base one value.

A kind of signal is one module of ``clipcause.signals.kinds``: a model of its parameters, whose
``score`` asks what it needs of ``Given`` and calls a function on arrays. Values are computed in a
fixed order and rounded (``rounded``), so that the rank of a row depends on no library's choice of
threads or batches; the prune rule `signal` ranks by them.

Shapes: R rows of the base.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float, Float32
from pydantic import Field

from clipcause.config import Strict, layout, texts
from clipcause.signals.given import Given

DECIMALS = 6  # of values around one: float32 has seven digits, and float64's sums differ far beyond


@dataclass(frozen=True)
class Scored:
    """A value of every row of the base, NaN where a row has none, and what is said of them.

    ``numbers`` are metrics too, ``facts`` are for the card alone; ``arrays`` are stored beside the
    values, by name: centres, or the cluster of every row.
    """

    value_R: Float32[np.ndarray, " R"]
    numbers: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


class Signal(Strict, ABC):
    """What all signals have. ``kind`` is a literal in every one: what they are told apart by."""

    kind: str
    base: Literal["all", "dedup"] = Field(
        description="the rows that get a value, all or dedup: a split that a rule chose would be "
        "a circle, for every split may depend on a signal"
    )

    # beside torch and numpy: those whose versions decide values
    packages: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def score(self, given: Given) -> Scored:
        """The values. Raises ``ValueError`` where they cannot be had."""

    @property
    def title(self) -> str:
        """What the field calls it, for a table."""
        return self.kind.replace("-", " ")

    def chosen(self, stays: Literal["highest", "lowest"]) -> str:
        """What rows have that are chosen by it, for a table."""
        return f"{self.title}, {stays}"

    @abstractmethod
    def sentence(self) -> str:
        """What the value of a row is, for a reader of the report; without a full stop."""

    def check(self, content: Mapping[str, Any], where: str) -> None:
        """Raise ``ValueError`` where the entry, which is at ``where``, names something that the
        parameters ``content`` do not have."""


class Captioned(Signal):
    """A signal that compares pictures with captions."""

    def check(self, content: Mapping[str, Any], where: str) -> None:
        """The pool's captions are embedded."""
        if layout.POOL not in content[texts.SECTION]:
            raise ValueError(
                f"{where}: it compares pictures with captions; write `{texts.SECTION}: "
                f"{{{layout.POOL}: {{}}}}`, so that the captions are embedded too"
            )


def rounded(value_R: Float[np.ndarray, " R"]) -> Float32[np.ndarray, " R"]:
    """Values to ``DECIMALS`` decimals: what differs less is equal, and ranked by row."""
    return (np.round(value_R.astype(np.float64), DECIMALS) + 0.0).astype(np.float32)
