"""Parts of a store past test images and their edges: what `density` does with a shard."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float16, Float64, Int64

from clipcause.config.engine import Engine
from clipcause.embed.embeddings import Embeddings
from clipcause.prune.split import Split
from clipcause.search import counts, device_counts
from clipcause.search.tasks import Arrays, Portion, ahead, by_portion, digest, portions


@dataclass(frozen=True)
class Counting:
    """Task: per test image and edge, how many of a part's rows lie above, of all and of those of a
    split."""

    query_QD: Float16[np.ndarray, "Q D"]
    edge_QE: Float64[np.ndarray, "Q E"]
    block_rows: int
    device: str
    threads: int

    def start(self) -> None:
        """Bring the test images to their device."""
        _ = self._columns

    def __call__(self, portion: Portion, /) -> Arrays:
        """``above``: [of all rows, of those that count] x test images x edges."""
        scan = (
            counts.Scan(self._columns, self.threads)
            if isinstance(self._columns, counts.Columns)
            else device_counts.Scan(self._columns)
        )
        scan.read(ahead(portion.blocks(self.block_rows)), portion.mask())
        return {"above": scan.result()}

    def name(self, portion: Portion, /) -> str:
        """The part's file, or files."""
        return portion.name

    def over(
        self, store: Embeddings, chosen: Split, where: Engine, label: str
    ) -> Int64[np.ndarray, "2 Q E"]:
        """The counts over a whole store, of all its rows and of those in ``chosen``."""
        total = np.zeros((2, *self.edge_QE.shape), np.int64)
        items = list(portions(store, chosen))
        decided = "counting", digest(self.query_QD), digest(self.edge_QE)
        for _, found in by_portion(self, items, where, label, *decided):
            total += found["above"]
        return total

    @cached_property
    def _columns(self) -> counts.Columns | device_counts.Columns:
        if self.device == "cpu":
            return counts.columns(self.query_QD, self.edge_QE)
        return device_counts.Columns(self.query_QD, self.edge_QE, self.device)
