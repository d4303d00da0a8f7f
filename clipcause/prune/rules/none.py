"""`none`: the base itself, what other splits are compared with."""

from typing import Literal

from clipcause.prune.inputs import Inputs
from clipcause.prune.rule import Decision, Sourceless


class Everything(Sourceless):
    """The base itself."""

    rule: Literal["none"]

    def decide(self, given: Inputs) -> Decision:
        """All rows of the base."""
        return Decision(given.base)

    def sentence(self) -> str:
        """What it does not do."""
        return "the base itself, nothing removed"
