"""`union`: the rows of two splits together."""

from typing import Literal

from clipcause.prune import split
from clipcause.prune.inputs import Inputs
from clipcause.prune.rule import Decision
from clipcause.prune.set_operation import Combined


class Union(Combined):
    """Rows of either of the splits ``of`` and ``with``, as far as the base reaches."""

    rule: Literal["union"]

    def decide(self, given: Inputs) -> Decision:
        """The operation of ``clipcause.prune.split``."""
        return self.combined(given, split.union)
