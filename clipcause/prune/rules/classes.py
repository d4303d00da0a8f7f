"""`classes`: the rows of some classes, listed or drawn.

A controlled factor of arXiv 2405.21070. Shapes: N pool rows, C classes, M matches.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Bool
from pydantic import BeforeValidator, model_validator

from clipcause.config import unknown
from clipcause.prune.by_class import ByClass, decision, digests, marked
from clipcause.prune.inputs import Inputs
from clipcause.prune.members import Members
from clipcause.prune.rule import Decision, Seed, Sourceless
from clipcause.runtime.notices import notice
from clipcause.runtime.splitmix64 import finalised, outputs


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


class Classes(ByClass, Sourceless):
    """Rows of some classes: of `any`, of so many or of a share of them (drawn), of those listed."""

    rule: Literal["classes"]
    take: Annotated[Literal["any"] | int | float | list[str], BeforeValidator(_taken)]
    seed: Seed | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Classes":
        if isinstance(self.take, int | float) and self.seed is None:
            raise ValueError("classes that are drawn need a seed")
        if isinstance(self.take, list) and len(set(self.take)) != len(self.take):
            raise ValueError("a class comes twice in take")
        return self

    @property
    def panel(self) -> str:
        """All choices together."""
        return "chosen classes"

    def decide(self, given: Inputs) -> Decision:
        """The card names the classes, and how many of the rows are of others too."""
        found = given.members(self.by)
        taken = chosen(found, self.take, self.seed)
        kept_N, others = of_classes(given.base_N, found, taken)
        if without := found.without_rows(taken):
            told = f"{len(without)} classes of take have no rows in the base, first {without[0]}"
            notice("prune", told)
        facts = {"rows_of_others_too": others, "taken_without_rows": without}
        return decision(kept_N, found, {"taken": taken}, facts)

    def sentence(self) -> str:
        """Which classes."""
        if isinstance(self.take, str):
            return f"rows of any class by {self.by}"
        if isinstance(self.take, list):
            return f"rows of {len(self.take)} named classes by {self.by}"
        many = (
            f"{self.take:,}" if isinstance(self.take, int) else f"a share of {self.take:g} of the"
        )
        return f"rows of {many} classes drawn with seed {self.seed} by {self.by}"


def chosen(found: Members, take: str | int | float | Sequence[str], seed: int | None) -> list[str]:
    """The class ids that ``take`` means: `any`, a number or share of those that the base has rows
    of, drawn, or a list. Draws of one seed are nested by size.

    A share is rounded half up. Raises ``ValueError`` for an unknown id, and where a number is more
    than the classes there are or a share is none of them.
    """
    listed = [found.classes[at] for at in np.flatnonzero(found.counts)]
    if take == "any":
        return listed
    if not isinstance(take, int | float):
        for key in take:
            if key not in found.classes:
                raise unknown("class", key, found.classes, "take")
        return sorted(take)
    size = take if isinstance(take, int) else math.floor(take * len(listed) + 0.5)
    if not 1 <= size <= len(listed):
        raise ValueError(f"take {take}: {size} of the {len(listed)} classes with rows in the base")
    if seed is None:
        raise ValueError("classes that are drawn need a seed")
    # a class's key depends on its id and not on which others there are
    key_C = finalised(digests(listed) ^ outputs(seed, np.zeros(1, np.int64)))
    order_C = np.argsort(key_C, kind="stable")
    return sorted(listed[at] for at in order_C[:size])


def of_classes(
    base_N: Bool[np.ndarray, " N"], found: Members, taken: Sequence[str]
) -> tuple[Bool[np.ndarray, " N"], int]:
    """Rows of any class of ``taken``, and how many of them are of another class too."""
    place = {key: at for at, key in enumerate(found.classes)}
    taken_C = marked(len(place), [place[key] for key in taken])
    taken_M = taken_C[found.class_M]
    kept_N = np.zeros_like(base_N)
    kept_N[found.row_M[taken_M]] = True
    others = found.row_M[~taken_M]
    return kept_N, len(np.unique(others[kept_N[others]]))
