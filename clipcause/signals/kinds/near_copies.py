"""`near-copies`: how similar a row's image is to the most similar earlier one of its cluster.

SemDeDup (Abbas et al. 2023, arXiv 2303.09540; its code, `semdedup.py`): rows of a cluster are put
in an order, and a row goes by its greatest similarity to any earlier one, whether that one is kept
or not. So a share to keep is a cut of the lowest values at exactly N. Farthest from the centre
first keeps what it calls hard examples, nearest first the easy ones. The first row of a cluster
has -1, where their code has 0, as for negative similarities.

Shapes: R rows, K clusters, D dimensions.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Float16, Float64, Int64

from clipcause.search.earlier import greatest
from clipcause.search.vectors import double
from clipcause.signals.clustered import Clustered
from clipcause.signals.given import Given
from clipcause.signals.signal import Scored

Order = Literal["pool", "farthest", "nearest", "random"]
AT_ONCE = 8192
SAID = {
    "pool": "in pool order",
    "farthest": "farthest from the centre first",
    "nearest": "nearest to the centre first",
    "random": "in random order",
}


class NearCopies(Clustered):
    """The greatest similarity to any earlier row of the cluster; ``seed`` is the random order's
    too."""

    kind: Literal["near-copies"]
    order: Order

    def score(self, given: Given) -> Scored:
        """Exact: given the centres, no byte depends on anything else."""
        centre_KD, cluster_R, numbers = self.cluster(given)

        def take(places: np.ndarray) -> np.ndarray:
            return given.images.take(given.rows[places])

        place_R = place(take, cluster_R, centre_KD, self.order, self.seed)
        value_R = greatest(take, cluster_R, place_R)
        facts = {"comparison": "earlier"}
        arrays = {"centres": centre_KD, "cluster": cluster_R.astype(np.int32)}
        return Scored(value_R.astype(np.float32), numbers, facts, arrays)

    def sentence(self) -> str:
        """What is compared, in which order."""
        return (
            f"the greatest similarity to any earlier row of its cluster (of {self.clusters:,}; "
            f"{SAID[self.order]}), −1 for the first"
        )


def place(
    take: Callable[[np.ndarray], np.ndarray],
    cluster_R: Int64[np.ndarray, " R"],
    centre_KD: Float16[np.ndarray, "K D"],
    order: Order,
    seed: int,
) -> Float64[np.ndarray, " R"] | None:
    """By what rows of a cluster ascend, ties by row; None for the order of the pool.

    Similarities to the own centre are float64 sums of float16 vectors: exact, so not rounded.
    """
    if order == "pool":
        return None
    if order == "random":
        # not k-means' own numbers again
        return np.random.default_rng([seed, 1]).permutation(len(cluster_R)).astype(np.float64)
    centres = double("centres", centre_KD)
    near_R = np.empty(len(cluster_R))
    for a in range(0, len(cluster_R), AT_ONCE):
        own = np.arange(a, min(a + AT_ONCE, len(cluster_R)))
        rows = double("rows", take(own), own)
        near_R[own] = (rows * centres[cluster_R[own]]).sum(1).numpy()
    return near_R if order == "farthest" else -near_R
