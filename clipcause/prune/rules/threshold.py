"""`threshold`: rows whose caption is similar enough to the definition of a class it mentions.

A controlled factor of arXiv 2405.21070, after LAIONet (arXiv 2306.15769). Shapes: N pool rows, M
matches of row and class.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Bool
from pydantic import Field, model_validator

from clipcause.config.layout import NONE
from clipcause.prune import split
from clipcause.prune.inputs import Inputs, Similarities
from clipcause.prune.rule import NO_SLOT, Decision, Rows, Rule, Seed, Unused
from clipcause.prune.sampling import sample


class Threshold(Rule):
    """Rows whose caption is more similar than ``above`` to the definition of a class that it
    mentions: all of them, ``keep`` of them, or as many as the split ``of`` has."""

    rule: Literal["threshold"]
    with_: Unused = Field(alias="with", description=NO_SLOT)
    above: Annotated[float, Field(ge=-1, le=1)]
    keep: Rows | None = None
    seed: Seed | None = None

    @model_validator(mode="after")
    def _one_size(self) -> "Threshold":
        if self.keep is not None and self.of != NONE:
            raise ValueError("a threshold split has a size from keep or of, not both")
        if self.seed is None and (self.keep is not None or self.of != NONE):
            raise ValueError("a sample of the rows above the threshold needs a seed")
        return self

    def check(self, content: Mapping[str, Any], where: str, path: str) -> None:  # noqa: ARG002
        """The study compares captions with definitions."""
        relevance = content.get("relevance")
        if isinstance(relevance, dict) and relevance.get("definitions") == NONE:
            raise ValueError(
                f"{where}: a threshold needs the definitions of classes, but relevance.definitions "
                "is none; set it to wordnet"
            )

    @property
    def classes_by(self) -> Literal["mention"]:
        """The threshold is on the classes that a caption mentions."""
        return "mention"

    @property
    def panel(self) -> str:
        """All thresholds together."""
        return "similarity threshold"

    def decide(self, given: Inputs) -> Decision:
        """A similarity to a definition, and then a uniform sample where the rule has a size."""
        of = None if self.of == NONE else given.split(self.of)
        made, similarities = given.relevance()
        kept_N, scored_N = above(given.base_N, similarities, self.above)
        counts = {"scored": int(np.count_nonzero(scored_N)), "above": int(np.count_nonzero(kept_N))}
        keep = self.keep if of is None else len(of)
        if keep is not None and self.seed is not None:
            if keep > counts["above"]:
                raise ValueError(
                    f"{keep} rows are to stay, {counts['above']} are above {self.above}"
                )
            kept_N = sample(kept_N, keep, self.seed)
        return Decision(split.from_mask(kept_N), counts, {"relevance": made})

    @property
    def subject(self) -> str:
        """Of caption and definition."""
        return "similarity of caption and definition"

    def sentence(self) -> str:
        """The similarity, and how many rows."""
        size = "" if self.keep is None else f", {self.keep:,} of them"
        size = size if self.of == NONE else f", as many as {self.of}"
        return (
            f"rows whose caption is more similar than {self.above:g} to the definition of a class "
            f"that it mentions{size}"
        )


def above(
    base_N: Bool[np.ndarray, " N"], scores: Similarities, threshold: float
) -> tuple[Bool[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """Base rows with a class to whose definition the caption's similarity is > ``threshold``, and
    those that have a similarity at all.

    ``scores`` are the rows and similarities of matches, in parts, of which memory holds one.
    """
    kept_N, scored_N = np.zeros_like(base_N), np.zeros_like(base_N)
    for row_M, similarity_M in scores:
        scored_N[row_M] = True
        # the largest is above it where any is; a float64 scalar, lest it be rounded to float32
        kept_N[row_M[similarity_M > np.float64(threshold)]] = True
    kept_N &= base_N
    scored_N &= base_N
    return kept_N, scored_N
