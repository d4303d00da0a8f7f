"""deduplicate: the pool without near-duplicates, the base of the study's splits.

In: the embeddings of the pool. Out: `splits/all`, `splits/dedup`, and `deduplicate/`: the k-means
centres and, for every removed row, the row that it duplicates.

The rule is keep-first (arXiv 2310.09562): within a cluster, in pool order, a row stays iff its
similarity to every earlier row, kept or not, is at most the threshold. Given the centres, which
are stored, every result is exact: the same bytes for any blocks, threads and engine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Float16, Float64, Int, Int64

from clipcause.config import engine, layout, section
from clipcause.config.deduplicate import Deduplicate
from clipcause.config.similarity import Similarity
from clipcause.data import duplicates as artifact
from clipcause.embed.embeddings import Embeddings
from clipcause.prune import split
from clipcause.runtime import metrics, versions
from clipcause.runtime.entry import run
from clipcause.runtime.progress import progress
from clipcause.search import device, stores
from clipcause.search.earlier import first_above
from clipcause.search.neighbour import nearest
from clipcause.search.vectors import check

POINTS_PER_CLUSTER = 256
"""k-means learns from a sample: more rows per centre move the centres very little."""


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
    """Spherical k-means by faiss on a seeded sample; normalised, float16."""
    try:
        import faiss
    except ImportError:
        raise ValueError(
            "deduplicate.method kmeans needs the module faiss: install clipcause[cpu] or "
            "clipcause[gpu], or set deduplicate.method to exact"
        ) from None
    count = settings.clusters
    if count > len(store):
        raise ValueError(f"deduplicate.clusters: {count} clusters of {len(store)} pool rows")
    size = min(len(store), POINTS_PER_CLUSTER * count)
    chance = np.random.default_rng(settings.seed)
    sample = np.sort(chance.choice(len(store), size, replace=False))
    kmeans = faiss.Kmeans(
        store.dim,
        count,
        niter=settings.iterations,
        spherical=True,
        seed=settings.seed,
        min_points_per_centroid=1,
        max_points_per_centroid=POINTS_PER_CLUSTER,
    )
    kmeans.train(store.take(sample).astype(np.float32))
    centre_KD = np.asarray(kmeans.centroids, np.float32)
    return (centre_KD / np.linalg.norm(centre_KD, axis=1, keepdims=True)).astype(np.float16)


def assign(
    store: Embeddings, centre_KD: Float16[np.ndarray, "K D"], block_rows: int, on: str = "cpu"
) -> Int64[np.ndarray, " N"]:
    """The nearest centre of every row, the lowest on ties; ``on`` is the device that searches."""
    cluster_N = np.empty(len(store), np.int64)
    total = -(-len(store) // block_rows)
    blocks = progress(store.blocks(block_rows), label="assign", total=total)
    if on != "cpu":
        scan = device.Scan(device.queries(centre_KD, np.zeros(len(centre_KD)), on), len(store))
        scan.read(blocks)
        return scan.nearest_N.astype(np.int64)
    for start, block_ND in blocks:
        cluster_N[start : start + len(block_ND)] = nearest(block_ND, centre_KD)[1]
    return cluster_N


def card(store: Embeddings, rule: str, parameters: dict[str, Any], kept: int) -> dict[str, Any]:
    """The card of one of the two base splits."""
    rows = len(store)
    return {
        "pool": stores.source(store, store.dataset),
        "pool_rows": rows,
        "encoder": stores.source(store, store.encoder),
        "rule": rule,
        "parameters": parameters,
        "base": "all",
        "base_rows": rows,
        "kept": kept,
        "removed": rows - kept,
        "share_of_base": round(kept / rows, 6),
        "share_of_pool": round(kept / rows, 6),
    }


def table(found: Duplicates) -> pa.Table:
    """The removed rows as they are stored."""
    removed = found.removed
    columns = [removed, found.of_N[removed], found.similarity_N[removed]]
    return pa.table(columns, schema=artifact.SCHEMA)


def main() -> str:
    """De-duplicate the pool."""
    settings, stream = section("deduplicate", Deduplicate), section("similarity", Similarity)
    versions.check("torch", "numpy", *(["faiss"] if settings.method == "kmeans" else []))
    (store,) = stores.load(stores.encoder_name(), layout.POOL)
    on = device.here(engine.current())
    if settings.method == "kmeans":
        centre_KD = centres(store, settings)
        cluster_N = assign(store, centre_KD, stream.block_rows, on)
    else:
        centre_KD = np.empty((0, store.dim), np.float16)
        cluster_N = np.zeros(len(store), np.int64)
    found = Duplicates(*first_above(store.take, cluster_N, settings.threshold))
    kept = len(found.kept)
    stated = settings.used
    split.write(
        layout.split("all"), split.everything(len(store)), card=card(store, "all", {}, len(store))
    )
    split.write(layout.split("dedup"), found.kept, card=card(store, "deduplicate", stated, kept))
    artifact.write(layout.deduplicate(), table(found), centre_KD)
    numbers = {"pool": len(store), "kept": kept, "removed": len(store) - kept}
    numbers["share_removed"] = (len(store) - kept) / len(store)
    metrics.write(Path("metrics/deduplicate.json"), numbers)
    return f"{kept:,} of {len(store):,} rows kept, {len(store) - kept:,} near-duplicates dropped"


if __name__ == "__main__":
    run(main)
