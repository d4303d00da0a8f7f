"""`scale`: a uniform share of the base in which no class is lost.

A controlled factor of arXiv 2405.21070. Shapes: N pool rows, C classes, B matches of a block.
"""

import math
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Bool, Int64
from pydantic import Field

from clipcause.prune.by_class import ByClass, blocks, decision
from clipcause.prune.inputs import Inputs
from clipcause.prune.members import Members
from clipcause.prune.rule import Decision, Seed, Sourceless
from clipcause.prune.sampling import sample
from clipcause.runtime.splitmix64 import outputs


class Scale(ByClass, Sourceless):
    """A uniform share of the base; each class that the base has rows of keeps one."""

    rule: Literal["scale"]
    share: Annotated[float, Field(gt=0, le=1)]
    seed: Seed

    @property
    def panel(self) -> str:
        """All shares together."""
        return "scale"

    def decide(self, given: Inputs) -> Decision:
        """The card has how many rows were added for classes that the share has none of."""
        found = given.members(self.by)
        kept_N, added = scale(given.base_N, found, self.share, self.seed)
        return decision(kept_N, found, {"added_for_classes": added})

    def sentence(self) -> str:
        """The share."""
        return f"a uniform share of {self.share:g}, one row at least of every class by {self.by}"


def scale(
    base_N: Bool[np.ndarray, " N"], found: Members, share: float, seed: int
) -> tuple[Bool[np.ndarray, " N"], int]:
    """A uniform ``share`` of the base (rounded half up), and of each class its row with the
    smallest key, so that none is lost; what is kept, and how many rows that added.

    The share has the smallest keys too: results of one seed are nested by share, and contain the
    split ``random`` of the same seed and share.
    """
    size = math.floor(share * int(np.count_nonzero(base_N)) + 0.5)
    kept_N = sample(base_N, size, seed)
    kept_N[_first_rows(found, seed)] = True
    return kept_N, int(np.count_nonzero(kept_N)) - size


def _first_rows(found: Members, seed: int) -> Int64[np.ndarray, " listed"]:
    """Of each class that has rows, the one with the smallest key."""
    smallest_C = np.full(len(found.classes), np.iinfo(np.uint64).max, np.uint64)
    row_C = np.full(len(found.classes), -1, np.int64)
    for row_B, class_B in blocks(found):
        key_B = outputs(seed, row_B)
        np.minimum.at(smallest_C, class_B, key_B)
        # keys differ, so that a class's smallest so far is one row's
        first_B = key_B == smallest_C[class_B]
        row_C[class_B[first_B]] = row_B[first_B]
    return row_C[row_C >= 0]
