"""`difference`: the rows of a split without those of another."""

from typing import Literal

from clipcause.prune import split
from clipcause.prune.inputs import Inputs
from clipcause.prune.rule import Decision
from clipcause.prune.set_operation import Combined


class Difference(Combined):
    """Rows of the split ``of`` that ``with`` does not have, as far as the base reaches."""

    rule: Literal["difference"]

    def decide(self, given: Inputs) -> Decision:
        """The operation of ``clipcause.prune.split``."""
        return self.combined(given, split.difference)
