"""`core`: far-pruning for several test sets at once, the core set of arXiv 2310.09562.

How the study merged the rankings was not found; here a row's similarity is that to the nearest
image of all test sets (``by_similarity.similarity_to_any``).
"""

from typing import ClassVar, Literal

from clipcause.prune.by_similarity import Ranked
from clipcause.prune.inputs import Inputs
from clipcause.prune.rule import Decision
from clipcause.prune.rules.far import far


class Core(Ranked):
    """``keep`` rows, those most similar to the nearest image of any of ``tests``."""

    rule: Literal["core"]
    chosen: ClassVar = "most similar to"

    def decide(self, given: Inputs) -> Decision:
        """The last rows by (similarity, row)."""
        return self.ranked(given, far)

    def sentence(self) -> str:
        """How many, and by what order."""
        return self.said("most")
