"""`trim_tail`: the rarest classes are cut to so many rows each.

A controlled factor of arXiv 2405.21070. Shapes: N pool rows, C classes, T of the tail, M matches.
"""

from typing import Annotated, Literal

import numpy as np
from jaxtyping import Bool
from pydantic import Field

from clipcause.prune.by_class import ByClass, at_most, decision, marked
from clipcause.prune.inputs import Inputs
from clipcause.prune.members import Members
from clipcause.prune.rule import Decision, Rows, Seed, Sourceless


class TrimTail(ByClass, Sourceless):
    """The ``tail`` rarest classes of the base cut to at most ``most`` rows each."""

    rule: Literal["trim_tail"]
    tail: Rows
    most: Annotated[int, Field(ge=0)]
    seed: Seed

    @property
    def panel(self) -> str:
        """A panel for every size that tails are cut to."""
        return f"trimmed tail ({self.most}-shot)"

    def decide(self, given: Inputs) -> Decision:
        """The card names the classes of the tail."""
        found = given.members(self.by)
        kept_N, trimmed = trim_tail(given.base_N, found, self.tail, self.most, self.seed)
        return decision(kept_N, found, {"trimmed": trimmed})

    @property
    def subject(self) -> str:
        """As the imbalance study has it."""
        return "class frequency (tail trimmed)"

    def sentence(self) -> str:
        """How many classes, and to how many rows."""
        return (
            f"the {self.tail:,} rarest classes by {self.by} cut to at most {self.most:,} rows "
            f"each, seed {self.seed}"
        )


def trim_tail(
    base_N: Bool[np.ndarray, " N"], found: Members, tail: int, most: int, seed: int
) -> tuple[Bool[np.ndarray, " N"], list[str]]:
    """Cut the ``tail`` rarest classes to at most ``most`` rows each; what is kept, and their ids.

    Rarest are those with the fewest rows among the classes that the base has rows of; of equal
    ones, the first by id. A row of several of them stays where all have room (``at_most``); a row
    of none of them always stays. Raises ``ValueError`` for a tail of more classes than there are.
    """
    listed = np.flatnonzero(found.counts)
    if tail > len(listed):
        raise ValueError(
            f"a tail of {tail} classes is more than the {len(listed)} that the base has rows of"
        )
    # ids ascend, so that a stable sort leaves equal counts by id
    tail_T = listed[np.argsort(found.counts[listed], kind="stable")[:tail]]
    room_C = np.zeros(len(found.classes), np.int64)
    room_C[tail_T] = most
    among_M = marked(len(room_C), tail_T)[found.class_M]
    row_M, class_M = found.row_M[among_M], found.class_M[among_M]
    kept_N = base_N.copy()
    kept_N[row_M] = False
    kept_N[at_most(row_M, class_M, room_C, seed)] = True
    return kept_N, [found.classes[at] for at in np.sort(tail_T)]
