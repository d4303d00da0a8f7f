"""`near-copies`: how similar a row's image is to the most similar earlier one of its cluster.

SemDeDup (Abbas et al. 2023, arXiv 2303.09540, section 3; its code, `semdedup.py`): rows of a
cluster are put in an order, and a row goes by its greatest similarity to any earlier one, whether
that one is kept or not. So a share to keep is a cut of the lowest values at exactly N. Farthest
from the centre first keeps what it calls hard examples, nearest first the easy ones. The first row
of a cluster has -1, where their code has 0, as for negative similarities.
"""

from typing import Literal

import numpy as np

from clipcause.config.deduplicate import Order
from clipcause.signals.clustered import Clustered
from clipcause.signals.given import Given
from clipcause.signals.signal import Scored

SAID = {
    "pool": "in pool order",
    "farthest": "farthest from the centre first",
    "nearest": "nearest to the centre first",
    "random": "in random order",
}
# which examples an order keeps
KEPT = {"pool": "first in the pool", "farthest": "hard", "nearest": "easy", "random": "random"}


class NearCopies(Clustered):
    """The greatest similarity to any earlier row of the cluster; ``seed`` is the random order's
    too."""

    kind: Literal["near-copies"]
    order: Order

    def score(self, given: Given) -> Scored:
        """Exact: given the centres, no byte depends on anything else."""
        # torch, which a check of the parameters does without
        from clipcause.search.centres import place
        from clipcause.search.earlier import greatest

        centre_KD, cluster_R, numbers = self.cluster(given)

        def take(places: np.ndarray) -> np.ndarray:
            return given.images.take(given.rows[places])

        place_R = place(take, cluster_R, centre_KD, self.order, self.seed)
        value_R = greatest(take, cluster_R, place_R)
        facts = {"comparison": "earlier"}
        arrays = {"centres": centre_KD, "cluster": cluster_R.astype(np.int32)}
        return Scored(value_R.astype(np.float32), numbers, facts, arrays)

    def chosen(self, stays: Literal["highest", "lowest"]) -> str:
        """SemDeDup's words."""
        return (
            f"{'few' if stays == 'lowest' else 'many'} near copies (SemDeDup, {KEPT[self.order]})"
        )

    def sentence(self) -> str:
        """What is compared, in which order."""
        return (
            f"the greatest similarity to any earlier row of its cluster (of {self.clusters:,}; "
            f"{SAID[self.order]}), −1 for the first"
        )
