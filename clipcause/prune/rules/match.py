"""`match`: the class counts of another set, as far as the base has the rows.

A controlled factor of arXiv 2405.21070. Shapes: N pool rows, C classes.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64
from pydantic import Field, model_validator

from clipcause.config import nearest
from clipcause.config.layout import NONE
from clipcause.prune.by_class import ByClass, at_most, decision
from clipcause.prune.inputs import Inputs
from clipcause.prune.members import Members
from clipcause.prune.rule import NO_SLOT, Decision, Rows, Seed, Unused
from clipcause.runtime.notices import notice


class Match(ByClass):
    """The class counts of the split ``of``, or of the labelled data that the study calls
    `reference`, scaled to ``keep`` rows."""

    rule: Literal["match"]
    with_: Unused = Field(alias="with", description=NO_SLOT)
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

    @property
    def panel(self) -> str:
        """All matched sets together."""
        return "matched class counts"

    def decide(self, given: Inputs) -> Decision:
        """The card has the target and what lacks where; a line on stderr says so too."""
        found = given.members(self.by)
        other = (
            given.reference() if self.of == NONE else given.members(self.by, given.split(self.of))
        )
        wanted = dict(zip(other.classes, other.counts.tolist(), strict=True))
        target_C = targets(found, wanted, self.keep)
        unknown = sorted(wanted.keys() - set(found.classes))
        if unknown:
            notice(
                "prune",
                f"{len(unknown)} of {len(wanted)} classes to match are no classes of the pool, "
                f"first {unknown[0]}",
            )
        kept_N, short_C = match(given.base_N, found, target_C, self.seed)
        short = {found.classes[at]: int(short_C[at]) for at in np.flatnonzero(short_C)}
        if short:
            aimed = np.count_nonzero(target_C)
            told = f"{len(short)} of {aimed} classes are {short_C.sum()} rows short of their"
            notice("prune", f"{told} targets")
        return decision(
            kept_N,
            found,
            {"target": int(target_C.sum()), "shortfall": int(short_C.sum())},
            {"short_classes": short, "unknown_classes": len(unknown)},
        )

    @property
    def subject(self) -> str:
        """As the imbalance study has it."""
        return "class frequency (matched)"

    def sentence(self) -> str:
        """Whose counts, and how many rows."""
        of = "the reference" if self.of == NONE else self.of
        size = "" if self.keep is None else f", scaled to {self.keep:,} rows"
        return f"the class counts by {self.by} of {of}{size}, seed {self.seed}"


def match(
    base_N: Bool[np.ndarray, " N"], found: Members, target_C: Int64[np.ndarray, " C"], seed: int
) -> tuple[Bool[np.ndarray, " N"], Int64[np.ndarray, " C"]]:
    """At most ``target_C`` rows of each class; what is kept, and what each class lacks.

    Where a row has one class, a class lacks only what the base has not. A row of several is kept
    while all have room (``at_most``), so that none has more rows than its target; rows without a
    class are not kept.
    """
    kept_N = np.zeros_like(base_N)
    kept_N[at_most(found.row_M, found.class_M, target_C, seed)] = True
    return kept_N, target_C - found.within(kept_N)


def targets(found: Members, wanted: Mapping[str, int], keep: int | None) -> Int64[np.ndarray, " C"]:
    """The counts ``wanted`` by class id, in the order of the classes of ``found``; where ``keep``
    is given, scaled to that sum by largest remainder (of equal ones, the first by id).

    Classes that are wanted and that ``found`` does not know are the caller's to count. Raises
    ``ValueError`` where no class is known, or ``keep`` is more than the base has rows with one.
    """
    count_C = np.array([wanted.get(key, 0) for key in found.classes], np.int64)
    if not count_C.any():
        some = sorted(key for key, count in wanted.items() if count)
        hint = f"{some[0]!r}: {nearest(some[0], found.classes)}" if some else "they have no rows"
        raise ValueError(f"none of the {len(some)} classes to match is a class here ({hint})")
    if keep is None:
        return count_C
    rows = int(np.count_nonzero(np.diff(found.row_M, prepend=-1)))
    if keep > rows:
        raise ValueError(f"keep {keep} is more than the {rows} rows of the base with a class")
    # plain integers: products of two counts of rows may pass 64 bits
    total = int(count_C.sum())
    parts = [divmod(keep * count, total) for count in count_C.tolist()]
    target_C = np.array([whole for whole, _ in parts], np.int64)
    order = sorted(range(len(parts)), key=lambda at: -parts[at][1])
    target_C[order[: keep - int(target_C.sum())]] += 1
    return target_C
