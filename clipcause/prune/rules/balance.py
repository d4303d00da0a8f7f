"""`balance`: MetaCLIP's balancing (arXiv 2309.16671), classes with many rows are thinned.

Shapes: N pool rows, C classes, B matches of a block.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool

from clipcause.prune.by_class import ByClass, blocks, decision, digests
from clipcause.prune.inputs import Inputs
from clipcause.prune.members import Members
from clipcause.prune.rule import Decision, Rows, Seed, Sourceless
from clipcause.runtime.splitmix64 import finalised, outputs

UNIT = 2.0**-53


class Balance(ByClass, Sourceless):
    """MetaCLIP's balancing: classes of more than ``most`` rows are thinned to about that many."""

    rule: Literal["balance"]
    most: Rows
    seed: Seed

    @property
    def panel(self) -> str:
        """All balanced sets together."""
        return "balanced"

    def decide(self, given: Inputs) -> Decision:
        """The card has how many classes are kept whole."""
        found = given.members(self.by)
        kept_N = balance(given.base_N, found, self.most, self.seed)
        whole_C = (found.counts > 0) & (found.counts <= self.most)
        return decision(kept_N, found, {"classes_kept_whole": int(np.count_nonzero(whole_C))})

    @property
    def subject(self) -> str:
        """As MetaCLIP calls it."""
        return "balance of classes"

    def sentence(self) -> str:
        """To how many rows."""
        return f"classes by {self.by} thinned to about {self.most:,} rows each, seed {self.seed}"


def balance(
    base_N: Bool[np.ndarray, " N"], found: Members, most: int, seed: int
) -> Bool[np.ndarray, " N"]:
    """MetaCLIP's balancing: each match fires with probability min(1, ``most`` / rows of its class),
    and a row stays if any of its matches fires (algorithm 1 there).

    Classes of at most ``most`` rows stay whole; rows without a class go. Members fire each by its
    own key, whatever other classes there are.
    """
    probability_C = np.minimum(1.0, most / np.maximum(found.counts, 1))
    digest_C = digests(found.classes)
    kept_N = np.zeros_like(base_N)
    for row_B, class_B in blocks(found):
        key_B = finalised(outputs(seed, row_B) ^ digest_C[class_B])
        # 53 bits: a uniform float64 in [0, 1)
        fires_B = (key_B >> np.uint64(11)).astype(np.float64) * UNIT < probability_C[class_B]
        kept_N[row_B[fires_B]] = True
    return kept_N
