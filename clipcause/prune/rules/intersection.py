"""`intersection`: the rows that two splits have in common."""

from typing import Literal

from clipcause.prune import split
from clipcause.prune.inputs import Inputs
from clipcause.prune.rule import Decision
from clipcause.prune.set_operation import Combined


class Intersection(Combined):
    """Rows of both splits ``of`` and ``with``, as far as the base reaches."""

    rule: Literal["intersection"]

    def decide(self, given: Inputs) -> Decision:
        """The operation of ``clipcause.prune.split``."""
        return self.combined(given, split.intersection)
