"""`clusters`: whether a row lies in a cluster that some image of a target lies in.

DataComp's image-based filter (arXiv 2304.14108, section 4.1; its code, `image_filter_helper` of
`baselines/apply_filter.py`): the base's rows are clustered, and a row stays if its nearest centre
is the nearest centre of an image of the target. There the images of ImageNet are the target, and
rows are filtered by caption first: here, an intersection of splits.

Shapes: R rows, K clusters, T images of the target.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64

from clipcause.signals.clustered import Clustered
from clipcause.signals.given import Given
from clipcause.signals.signal import Scored
from clipcause.signals.target import Targeted


class Clusters(Clustered, Targeted):
    """1 in a cluster of the target, 0 elsewhere: a split takes the former by `threshold: 1`."""

    kind: Literal["clusters"]

    def score(self, given: Given) -> Scored:
        """The centres and every row's cluster are stored beside."""
        from clipcause.search.neighbour import nearest  # torch, which a check does without

        target_TD, facts = self.vectors(given)
        centre_KD, cluster_R, numbers = self.cluster(given)
        hit_K = hit(nearest(target_TD, centre_KD)[1], self.clusters)
        kept_R = hit_K[cluster_R]
        numbers |= {
            "target_rows": len(target_TD),
            "hit": int(hit_K.sum()),
            "hit_empty": int(
                np.count_nonzero(hit_K & (np.bincount(cluster_R, minlength=len(hit_K)) == 0))
            ),
            "kept": int(kept_R.sum()),
        }
        arrays = {"centres": centre_KD, "cluster": cluster_R.astype(np.int32)}
        return Scored(kept_R.astype(np.float32), numbers, facts, arrays)

    def chosen(self, stays: Literal["highest", "lowest"]) -> str:
        """Whose clusters: there is no third value."""
        return f"clusters {'with' if stays == 'highest' else 'without'} images of {self.target}"

    def sentence(self) -> str:
        """Which rows have which value."""
        return (
            f"1 where the nearest of {self.clusters:,} centres is that of any of {self.named()}, "
            "0 elsewhere"
        )


def hit(cluster_T: Int64[np.ndarray, " T"], count: int) -> Bool[np.ndarray, " K"]:
    """Which of ``count`` clusters any image of the target is in."""
    return np.bincount(cluster_T, minlength=count) > 0
