"""`random`: a uniform sample, what a chosen split of the same size is compared with."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from clipcause.config.layout import NONE
from clipcause.prune import split
from clipcause.prune.inputs import Inputs
from clipcause.prune.rule import NO_SLOT, Decision, Keep, Rule, Seed, Term, Unused
from clipcause.prune.sampling import sample, target_size


class Random(Rule):
    """A uniform sample, as large as ``keep`` or as the split ``of``."""

    rule: Literal["random"]
    with_: Unused = Field(alias="with", description=NO_SLOT)
    seed: Seed
    keep: Keep | None = None

    terms: ClassVar = (
        Term(
            "control",
            "Random split of the same size",
            "A uniform sample of the same base with as many rows. What the smaller size costs is "
            "in both; the difference is what the choice of rows did, and the noise of training.",
        ),
    )

    @model_validator(mode="after")
    def _one_size(self) -> "Random":
        if (self.keep is None) == (self.of == NONE):
            raise ValueError("a random split has a size from either keep or of, not both")
        return self

    def decide(self, given: Inputs) -> Decision:
        """The rows with the smallest keys: samples of one seed are nested by size."""
        keep = len(given.split(self.of)) if self.keep is None else self.keep
        size = target_size(keep, len(given.base))
        return Decision(split.from_mask(sample(given.base_N, size, self.seed)))

    def sentence(self) -> str:
        """Its size and seed."""
        size = f"as many as {self.of}" if self.keep is None else f"keep {self.keep:,}"
        return f"random: a uniform sample, {size}, seed {self.seed}"
