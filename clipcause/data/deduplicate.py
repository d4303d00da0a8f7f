"""Near-duplicates of the pool by keep-first: what `deduplicate` decides, for notebooks too.

The rule (arXiv 2310.09562): within a cluster, in pool order, a row stays iff its similarity to
every earlier row, kept or not, is at most the threshold. Given the centres, which are stored, every
result is exact: the same bytes for any blocks, threads and engine.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Float16, Float64, Int, Int64

from clipcause.config.deduplicate import Deduplicate
from clipcause.data import duplicates as artifact
from clipcause.embed.embeddings import Embeddings
from clipcause.runtime.progress import progress
from clipcause.search import centres as clusters
from clipcause.search import device
from clipcause.search.earlier import first_above
from clipcause.search.vectors import check


@dataclass(frozen=True)
class Duplicates:
    """For every pool row: the earlier row it duplicates, or -1, and how similar that is, or 0."""

    of_N: Int64[np.ndarray, " N"]
    similarity_N: Float64[np.ndarray, " N"]

    @property
    def kept(self) -> Int64[np.ndarray, " K"]:
        """The rows that stay."""
        return np.flatnonzero(self.of_N < 0)

    @property
    def removed(self) -> Int64[np.ndarray, " R"]:
        """The rows that go."""
        return np.flatnonzero(self.of_N >= 0)


def keep_first(
    embeddings_ND: Float[np.ndarray, "N D"],
    clusters_N: Int[np.ndarray, " N"],
    threshold: float,
    *,
    engine: str | None = None,
    threads: int | None = None,
) -> Bool[np.ndarray, " N"]:
    """True for rows whose similarity to every earlier row of their cluster is <= ``threshold``.

    Unit vectors in float16 or float32; clusters are any integers. Order dependent by definition:
    a removed row still suppresses later ones. Decided in float64 on the stored vectors.
    """
    found = duplicates(embeddings_ND, clusters_N, threshold, engine=engine, threads=threads)
    return found.of_N < 0


def duplicates(
    embeddings_ND: Float[np.ndarray, "N D"],
    clusters_N: Int[np.ndarray, " N"],
    threshold: float,
    *,
    engine: str | None = None,
    threads: int | None = None,
) -> Duplicates:
    """As ``keep_first``, with the lowest earlier row above the threshold."""
    check("embeddings", embeddings_ND)
    if clusters_N.shape != (len(embeddings_ND),):
        raise ValueError(
            f"{len(embeddings_ND)} embeddings, but clusters of shape {clusters_N.shape}"
        )
    take: Callable[[np.ndarray], np.ndarray] = embeddings_ND.__getitem__
    return Duplicates(*first_above(take, clusters_N, threshold, engine=engine, threads=threads))


def centres(store: Embeddings, settings: Deduplicate) -> Float16[np.ndarray, "K D"]:
    """The centres of a seeded sample of the whole pool."""
    if settings.clusters > len(store):
        raise ValueError(
            f"deduplicate.clusters: {settings.clusters} clusters of {len(store)} pool rows"
        )
    try:
        return clusters.spherical(
            store, None, settings.clusters, settings.seed, settings.iterations, settings.threads
        )
    except ImportError:
        raise ValueError(
            "deduplicate.method kmeans needs the module faiss: install clipcause[cpu] or "
            "clipcause[gpu], or set deduplicate.method to exact"
        ) from None


def assign(
    store: Embeddings, centre_KD: Float16[np.ndarray, "K D"], block_rows: int, on: str = "cpu"
) -> Int64[np.ndarray, " N"]:
    """The nearest centre of every row, the lowest on ties; ``on`` is the device that searches."""
    total = -(-len(store) // block_rows)
    blocks = progress(store.blocks(block_rows), label="assign", total=total)
    if on != "cpu":
        scan = device.Scan(device.queries(centre_KD, np.zeros(len(centre_KD)), on), len(store))
        scan.read(blocks)
        return scan.nearest_N.astype(np.int64)
    return clusters.assign(blocks, centre_KD, len(store))


def find(
    store: Embeddings, settings: Deduplicate, block_rows: int, on: str = "cpu"
) -> tuple[Duplicates, Float16[np.ndarray, "K D"]]:
    """The duplicates of a whole store, and the centres that they were found within: none where
    all pairs are compared. ``on`` is the device that assigns rows to centres."""
    if settings.method == "kmeans":
        centre_KD = centres(store, settings)
        cluster_N = assign(store, centre_KD, block_rows, on)
    else:
        centre_KD = np.empty((0, store.dim), np.float16)
        cluster_N = np.zeros(len(store), np.int64)
    return Duplicates(*first_above(store.take, cluster_N, settings.threshold)), centre_KD


def table(found: Duplicates) -> pa.Table:
    """The removed rows as they are stored."""
    removed = found.removed
    columns = [removed, found.of_N[removed], found.similarity_N[removed]]
    return pa.table(columns, schema=artifact.SCHEMA)
