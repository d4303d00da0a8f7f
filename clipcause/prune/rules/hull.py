"""`hull`: no image that is nearer to a test image than the reference's nearest one.

The definition is that of arXiv 2310.09562; of several test sets the removed rows are united, which
is the study's combined split.

Shapes: N pool rows, M consecutive ones of them, a block.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float32

from clipcause.prune import split
from clipcause.prune.by_similarity import Scored, sources
from clipcause.prune.inputs import Blocks, Inputs, column
from clipcause.prune.rule import Decision, Term
from clipcause.prune.sentences import listed


class Hull(Scored):
    """Rows whose margin is at most ``delta`` for every one of ``tests``."""

    rule: Literal["hull"]
    chosen: ClassVar = "not nearer than the reference to"
    delta: float = 0.0

    terms: ClassVar = (
        Term(
            "hull",
            "Hull pruning, margin",
            "For a test image t, s(t, R) is its cosine similarity to the nearest image of the "
            "reference R. The margin of a pool image x is the largest s(t, x) − s(t, R); x is "
            "removed if that is above the split's delta. With delta 0, as where none is named, no "
            "test image has a nearer neighbour in split and reference than it has in the "
            "reference; a positive delta leaves images that are nearer by at most delta. A split "
            "that names other scores is measured by their encoder and reference instead: for "
            "it all this holds by these, not by the study's own.",
        ),
    )

    def decide(self, given: Inputs) -> Decision:
        """The union over the test sets is removed; the card has what each removes by itself."""
        found = given.scores(self.tests, self.scores)
        margins = {test: column(one, "margin") for test, one in found.items()}
        kept_N, per_test = hull(given.base_N, margins, self.delta)
        return Decision(split.from_mask(kept_N), {"removed_per_test": per_test}, sources(found))

    def sentence(self) -> str:
        """What goes, and by what that is measured."""
        shifted = f" + {self.delta:g}" if self.delta else ""
        return (
            f"hull pruning for {listed(self.tests)}: a row goes if it is more similar to some test "
            f"image than that image's nearest reference image{shifted}{self.measured()}"
        )


def beyond(margin_M: Float32[np.ndarray, " M"], delta: float) -> Bool[np.ndarray, " M"]:
    """Rows that hull pruning removes for one test set: margin > delta, strictly.

    ``delta`` 0 is the definition of the similarity study: a row at exactly the threshold stays.
    """
    # a float64 scalar, lest delta be rounded to float32 before the comparison
    return margin_M > np.float64(delta)


def hull(
    base_N: Bool[np.ndarray, " N"], margins: Mapping[str, Blocks], delta: float
) -> tuple[Bool[np.ndarray, " N"], dict[str, int]]:
    """Base rows that no test set removes, and the number that each test set removes by itself."""
    kept_N, per_test = base_N.copy(), {}
    for test, blocks in margins.items():
        per_test[test] = 0
        for start, margin_M in blocks:
            rows = slice(start, start + len(margin_M))
            removed_M = beyond(margin_M, delta) & base_N[rows]
            per_test[test] += int(np.count_nonzero(removed_M))
            kept_N[rows] &= ~removed_M
    return kept_N, per_test
