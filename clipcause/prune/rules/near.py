"""`near`: the rows that are nearest to the test images are dropped, the least similar ones stay.

Shapes: N pool rows.
"""

from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float32

from clipcause.prune.by_similarity import Ranked
from clipcause.prune.inputs import Inputs
from clipcause.prune.rule import Decision
from clipcause.prune.selection import extreme


class Near(Ranked):
    """``keep`` rows, those least similar to the nearest image of any of ``tests``."""

    rule: Literal["near"]
    chosen: ClassVar = "least similar to"

    def decide(self, given: Inputs) -> Decision:
        """The first rows by (similarity, row)."""
        return self.ranked(given, near)

    def sentence(self) -> str:
        """How many, and by what order."""
        return self.said("least")


def near(
    base_N: Bool[np.ndarray, " N"], similarity_N: Float32[np.ndarray, " N"], size: int
) -> Bool[np.ndarray, " N"]:
    """Near-pruning drops the nearest: the first ``size`` rows by (similarity, row) are kept."""
    return extreme(base_N, similarity_N, size, highest=False)
