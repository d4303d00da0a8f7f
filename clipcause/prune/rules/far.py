"""`far`: the rows that are farthest from the test images are dropped, the most similar ones stay.

Shapes: N pool rows.
"""

from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float32

from clipcause.prune.by_similarity import Ranked
from clipcause.prune.inputs import Inputs
from clipcause.prune.rule import Decision
from clipcause.prune.selection import extreme


class Far(Ranked):
    """``keep`` rows, those most similar to the nearest image of any of ``tests``."""

    rule: Literal["far"]
    chosen: ClassVar = "most similar to"

    def decide(self, given: Inputs) -> Decision:
        """The last rows by (similarity, row)."""
        return self.ranked(given, far)

    def sentence(self) -> str:
        """How many, and by what order."""
        return self.said("most")


def far(
    base_N: Bool[np.ndarray, " N"], similarity_N: Float32[np.ndarray, " N"], size: int
) -> Bool[np.ndarray, " N"]:
    """Far-pruning drops the farthest: the last ``size`` rows by (similarity, row) are kept.

    ``near`` with n rows and ``far`` with B - n are complements, also under ties.
    """
    return extreme(base_N, similarity_N, size, highest=True)
