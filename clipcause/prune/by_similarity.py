"""What rules share that go by the similarity of pool rows to the images of some test sets.

They are those of "Does CLIP's Generalization Performance Mainly Stem from High Train-Test
Similarity?" (ICLR 2024, arXiv 2310.09562): hull, near and far pruning and the core set.

Shapes: N pool rows, M consecutive ones of them, a block.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float32
from pydantic import Field, model_serializer, model_validator

from clipcause.config import other_scores, unknown
from clipcause.config.layout import NONE
from clipcause.prune import split
from clipcause.prune.inputs import Blocks, Inputs, column
from clipcause.prune.rule import Decision, Keep, Sourceless
from clipcause.prune.sampling import target_size
from clipcause.prune.sentences import listed, percent
from clipcause.search.scores import Scores

SEVERAL = 3  # test sets that are told by their number

Choose = Callable[
    [Bool[np.ndarray, " N"], Float32[np.ndarray, " N"], int], Bool[np.ndarray, " N"]
]  # so many rows of a base, by similarity


class Scored(Sourceless):
    """A rule that reads the scores of some test sets: those of the study's encoder and reference,
    or those of the entry ``scores`` of the section of that name."""

    tests: Annotated[list[str], Field(min_length=1)]
    scores: str = NONE

    chosen: ClassVar[str] = "similarity to"  # which rows stay, before the test sets; for tables

    @model_validator(mode="after")
    def _once(self) -> "Scored":
        if len(set(self.tests)) != len(self.tests):
            raise ValueError("a test set comes twice in tests")
        return self

    @model_serializer(mode="wrap")
    def _stated(self, dump: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        # a card of a split by the study's own scores is what it was before there were others
        values = dump(self)
        return {key: value for key, value in values.items() if (key, value) != ("scores", NONE)}

    def check(self, content: Mapping[str, Any], where: str, path: str) -> None:  # noqa: ARG002
        """Test sets and scores exist."""
        known = content.get("tests") or ()
        for test in self.tests:
            if test not in known:
                raise unknown("test set", test, known, f"{where}.tests")
        if self.scores not in (NONE, *(others := other_scores.items(content))):
            raise unknown("scores", self.scores, others, f"{where}.scores")

    @property
    def subject(self) -> str:
        """Which rows by similarity, to what, and the rule; several test sets by their number."""
        which = listed(self.tests) if len(self.tests) < SEVERAL else f"{len(self.tests)} test sets"
        return f"{self.chosen} {which} ({self.rule}{self.measured()})"

    def measured(self) -> str:
        """By what a rule measures, where it is not the study's encoder and reference."""
        return "" if self.scores == NONE else f", measured by the scores “{self.scores}”"


class Ranked(Scored):
    """``keep`` rows by similarity to the nearest image of any of ``tests``."""

    keep: Keep

    def ranked(self, given: Inputs, choose: Choose) -> Decision:
        """The decision of a rule that cuts this order."""
        size = target_size(self.keep, len(given.base))
        found = given.scores(self.tests, self.scores)
        similarity_N = similarity_to_any(
            len(given.pool), (column(one, "max_sim") for one in found.values())
        )
        kept_N = choose(given.base_N, similarity_N, size)
        return Decision(split.from_mask(kept_N), facts=sources(found))

    def said(self, which: str) -> str:
        """The sentence of a rule that keeps the ``which`` similar rows."""
        kept = (
            f"{self.keep:,} rows"
            if isinstance(self.keep, int)
            else f"{percent(self.keep)} of the base"
        )
        near = f"similar to the nearest image of {listed(self.tests)}{self.measured()}"
        return f"{self.rule}: {kept} {which} {near}"


def similarity_to_any(count: int, max_sims: Iterable[Blocks]) -> Float32[np.ndarray, " N"]:
    """c(x): the similarity to the nearest image of any of several test sets, for ``count`` rows."""
    largest_N = np.full(count, -np.inf, np.float32)
    for blocks in max_sims:
        for start, max_sim_M in blocks:
            part_M = largest_N[start : start + len(max_sim_M)]
            np.maximum(part_M, max_sim_M, out=part_M)
    return largest_N


def sources(found: Mapping[str, Scores]) -> dict[str, str]:
    """The encoder's fingerprint and the reference's manifest hash, which all scores share."""
    card = next(iter(found.values())).card
    return {"encoder": card["encoder"], "reference": card["reference"]}
