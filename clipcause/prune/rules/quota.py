"""`quota`: as many rows as another split has, of the same classes: a control of size and content.

Rows are drawn by seed, or with ``signal`` those with the best values are taken, which is a
curator's choice within classes and no control. Either way in strata: rows that are of exactly the
same classes, those of none being a stratum too. Where the base holds the other split, all of its
counts are met, of classes and of classes that come together; the sizes are equal in any case. A
stratum of few rows gives the control many of the very rows of the other split; the card says how
many they share.

Shapes: N pool rows, M matches, C classes, R rows of the base, S strata.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Bool, UInt64
from pydantic import Field, model_serializer, model_validator

from clipcause.config import unknown
from clipcause.prune.by_class import ByClass, decision, digests
from clipcause.prune.inputs import Inputs
from clipcause.prune.members import Members
from clipcause.prune.rule import NO_SLOT, Decision, Seed, Unused
from clipcause.prune.rules.signal import SECTION, stated
from clipcause.runtime.splitmix64 import finalised, outputs


class Quota(ByClass):
    """As many rows as the split ``of``, with its class counts. ``tolerance`` is the share of those
    counts that may differ, where the base lacks rows."""

    rule: Literal["quota"]
    of: str = Field(description="the split whose size and class counts are taken")
    with_: Unused = Field(alias="with", description=NO_SLOT)
    seed: Seed | None = None
    signal: str | None = None
    stays: Literal["highest", "lowest"] | None = None
    tolerance: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0

    @model_validator(mode="after")
    def _one_order(self) -> "Quota":
        if (self.seed is None) == (self.signal is None):
            raise ValueError("say which rows of a class are taken: by seed, or by a signal")
        if (self.signal is None) != (self.stays is None):
            raise ValueError("signal and stays (highest or lowest) belong together")
        return self

    @model_serializer(mode="wrap")
    def _stated(self, dump: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        # a card of a draw is what it was before there were signals
        return {key: value for key, value in dump(self).items() if value is not None}

    @property
    def is_control(self) -> bool:
        """Whether its rows are drawn, and chosen by nothing but size and classes."""
        return self.signal is None

    @property
    def panel(self) -> str:
        """All quotas together."""
        return "size and class counts"

    def check(self, content: Mapping[str, Any], where: str, path: str) -> None:  # noqa: ARG002
        """The signal exists."""
        if self.signal is not None and self.signal not in (known := content.get(SECTION) or {}):
            raise unknown("signal", self.signal, known, f"{where}.signal")

    def decide(self, given: Inputs) -> Decision:
        """The card has the difference that is left, by class, and the rows that both splits have;
        with a signal what that is, and how many rows have no value in it.

        Raises ``ValueError`` where the difference is above the tolerance, and for a draw that is
        the other split itself.
        """
        other = given.split(self.of)
        other_N = other.mask(len(given.pool))
        found, wanted = given.members(self.by), given.members(self.by, other)
        key_R, counts, facts = self._order(given)
        kept_N = quota(given.base_N, found, other_N, wanted, key_R)
        kept = dict(zip(found.classes, found.within(kept_N).tolist(), strict=True))
        aimed = dict(zip(wanted.classes, wanted.counts.tolist(), strict=True))
        more = {
            key: kept.get(key, 0) - aimed.get(key, 0)
            for key in sorted({*kept, *aimed})
            if kept.get(key, 0) != aimed.get(key, 0)
        }
        difference, total = sum(map(abs, more.values())), sum(aimed.values())
        if difference > self.tolerance * total:
            worst = max(more, key=lambda key: abs(more[key]))
            raise ValueError(
                f"the base cannot have the class counts of {self.of}: they differ by {difference:,}"
                f" of {total:,}, most at {worst} ({more[worst]:+,}); take a larger base, or raise "
                f"tolerance, which is {self.tolerance:g}"
            )
        is_it = self.is_control and np.array_equal(kept_N, other_N)
        if is_it and leaves(given.base_N, found, kept_N):
            raise ValueError(
                f"the draw of seed {self.seed} is {self.of} itself, row by row, though the base "
                "has others of its classes: a rule that draws by the same seed takes the same "
                "rows; take another seed"
            )
        shared = int(np.count_nonzero(kept_N & other_N))
        numbers = {"difference": difference, "shared_rows": shared, **counts}
        return decision(kept_N, found, numbers, {"difference_by_class": more, **facts})

    @property
    def subject(self) -> str:
        """Whose classes it has, and nothing else of it; or the signal that chose within them."""
        if self.signal is None:
            return f"class content of {self.of}"
        return self.chosen_by(f"{self.signal}, {self.stays}")

    def chosen_by(self, words: str) -> str:
        """The property, where that of the signal's rows is told in other words."""
        return f"{words}, within classes of {self.of}"

    def sentence(self) -> str:
        """Whose size and counts."""
        counts = f"as many rows as {self.of}, with its class counts by {self.by}"
        if self.signal is None:
            return f"{counts}, seed {self.seed}"
        return f"{counts}, those with the {self.stays} values of the signal “{self.signal}”"

    def _order(
        self, given: Inputs
    ) -> tuple[UInt64[np.ndarray, " R"], dict[str, Any], dict[str, Any]]:
        """A key for every row of the base, and what the card has of a signal."""
        row_R = np.flatnonzero(given.base_N)
        if self.signal is None:
            return outputs(self.seed or 0, row_R), {}, {}
        signal = given.signal(self.signal)
        value_R = signal.all()[row_R]
        counts = {"missing": int(np.count_nonzero(np.isnan(value_R)))}
        # rows without a value come last, whichever end stays; equal ones by row
        value_R = -value_R if self.stays == "highest" else value_R
        rank_R = np.empty(len(row_R), np.uint64)
        rank_R[np.argsort(value_R, kind="stable")] = np.arange(len(row_R), dtype=np.uint64)
        return rank_R, counts, stated(signal)


def quota(
    base_N: Bool[np.ndarray, " N"],
    found: Members,
    other_N: Bool[np.ndarray, " N"],
    wanted: Members,
    key_R: UInt64[np.ndarray, " R"],
) -> Bool[np.ndarray, " N"]:
    """As many base rows as ``other_N`` has; of each stratum as many as it has, by ascending key.

    ``key_R`` has a key of every row of the base, none twice. ``found`` are the classes of the
    base's rows, ``wanted`` those of the other rows. What a stratum of the base lacks is made up for
    by rows of no class, then by any. Raises ``ValueError`` where the base has fewer rows.
    """
    row_R, size = np.flatnonzero(base_N), int(np.count_nonzero(other_N))
    if size > len(row_R):
        raise ValueError(f"{size:,} rows are wanted, and the base has {len(row_R):,}")
    signature_R = _signatures(found, len(base_N))[row_R]
    stratum_S, count_S = np.unique(_signatures(wanted, len(base_N))[other_N], return_counts=True)
    order_R = np.lexsort((key_R, signature_R))
    sorted_R = signature_R[order_R]
    start_S, stop_S = (np.searchsorted(sorted_R, stratum_S, side) for side in ("left", "right"))
    kept_N = np.zeros_like(base_N)
    for start, stop in zip(start_S, np.minimum(stop_S, start_S + count_S), strict=True):
        kept_N[row_R[order_R[start:stop]]] = True
    left_R = ~kept_N[row_R]
    spare = row_R[left_R][np.lexsort((key_R[left_R], signature_R[left_R] != 0))]
    kept_N[spare[: size - int(np.count_nonzero(kept_N))]] = True
    return kept_N


def leaves(base_N: Bool[np.ndarray, " N"], found: Members, kept_N: Bool[np.ndarray, " N"]) -> bool:
    """Whether the base has rows of a stratum that is kept in part: others could be drawn."""
    signature_N = _signatures(found, len(base_N))
    return bool(np.isin(signature_N[base_N & ~kept_N], signature_N[kept_N]).any())


def _signatures(members: Members, count: int) -> UInt64[np.ndarray, " N"]:
    """A number for the set of classes of every row, 0 for none.

    Sums of 64-bit digests of class ids, modulo 2**64: two sets have the same number with a
    probability of 2**-64.
    """
    signature_N = np.zeros(count, np.uint64)
    np.add.at(signature_N, members.row_M, finalised(digests(members.classes))[members.class_M])
    return signature_N
