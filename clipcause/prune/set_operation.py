"""What the rules `union`, `intersection` and `difference` share."""

from collections.abc import Callable

from pydantic import model_validator

from clipcause.config.layout import NONE
from clipcause.prune import split
from clipcause.prune.inputs import Inputs
from clipcause.prune.rule import Decision, Rule
from clipcause.prune.split import Split


class Combined(Rule):
    """A set operation on the splits ``of`` and ``with``, as far as the base reaches."""

    @model_validator(mode="after")
    def _two_splits(self) -> "Combined":
        if NONE in (self.of, self.with_):
            raise ValueError("a set operation names two splits, of and with")
        return self

    def combined(self, given: Inputs, operation: Callable[[Split, Split], Split]) -> Decision:
        """The decision of the operation."""
        made = operation(given.split(self.of), given.split(self.with_))
        return Decision(split.intersection(made, given.base))

    def sentence(self) -> str:
        """Its name and the two splits."""
        return f"{self.rule} of {self.of} and {self.with_}, as far as the base reaches"
