"""Signals that look within clusters of the base's rows, or at the clusters themselves.

Shapes: R rows of the base, K clusters, D dimensions.
"""

from typing import Annotated, ClassVar

import numpy as np
from jaxtyping import Float16, Int64
from pydantic import Field

from clipcause.config.deduplicate import THREADS, Threads
from clipcause.runtime.progress import progress
from clipcause.signals.given import Given
from clipcause.signals.signal import Signal


class Clustered(Signal):
    """Spherical k-means of the base's rows, or of a seeded sample of them where it is large."""

    clusters: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]  # faiss takes no larger one
    iterations: Annotated[int, Field(ge=1)]
    threads: Threads = THREADS

    packages: ClassVar = ("faiss",)

    def cluster(
        self, given: Given
    ) -> tuple[Float16[np.ndarray, "K D"], Int64[np.ndarray, " R"], dict[str, int]]:
        """The centres, the nearest of every row, and how many rows the clusters have.

        Raises ``ValueError`` for more clusters than rows. Given the centres, which are stored, all
        is exact; faiss may find other ones on another machine.
        """
        from clipcause.search import centres  # torch, which a check of the parameters does without

        rows = len(given.rows)
        if self.clusters > rows:
            raise ValueError(f"clusters: {self.clusters:,} of the {rows:,} rows of {self.base}")
        try:
            centre_KD = centres.spherical(
                given.images, given.rows, self.clusters, self.seed, self.iterations, self.threads
            )
        except ImportError:
            raise ValueError(
                "k-means needs the module faiss: install clipcause[cpu] or clipcause[gpu]"
            ) from None
        blocks = progress(given.blocks(), label="assign")
        cluster_R = centres.assign(blocks, centre_KD, rows)
        size_K = np.bincount(cluster_R, minlength=self.clusters)
        numbers = {"clusters": self.clusters, "largest": int(size_K.max())}
        return centre_KD, cluster_R, numbers | {"empty": int(np.count_nonzero(size_K == 0))}
