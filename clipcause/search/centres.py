"""Clusters of embeddings: k-means centres of some rows of a store, and the nearest one of a row.

The centres are stored as float16, and every row's cluster is the exact nearest of them: given the
centres, nothing depends on blocks, threads or the engine. The centres themselves are faiss's, in
float32: another machine or number of threads finds others. The number of threads is therefore a
parameter, and neither that of the machine's cores nor what its environment says.
"""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float, Float16, Float64, Int64
from threadpoolctl import threadpool_limits

from clipcause.config.deduplicate import THREADS, Order
from clipcause.embed.embeddings import Embeddings
from clipcause.search.neighbour import nearest
from clipcause.search.vectors import double

POINTS_PER_CLUSTER = 256
"""k-means learns from a sample: more rows per centre move the centres very little."""

AT_ONCE = 8192  # rows that are compared with their centres


def spherical(
    store: Embeddings,
    rows: Int64[np.ndarray, " R"] | None,
    count: int,
    seed: int,
    iterations: int,
    threads: int = THREADS,
) -> Float16[np.ndarray, "K D"]:
    """Spherical k-means by faiss on a seeded sample of ``rows`` (None: all); normalised, float16.

    Raises ``ImportError`` without faiss, ``ValueError`` for fewer rows than centres.
    """
    import faiss

    total = len(store) if rows is None else len(rows)
    if count > total:
        raise ValueError(f"{count} clusters of {total} rows")
    chance = np.random.default_rng(seed)
    size = min(total, POINTS_PER_CLUSTER * count)
    sample = np.sort(chance.choice(total, size, replace=False))
    kmeans = faiss.Kmeans(
        store.dim,
        count,
        niter=iterations,
        spherical=True,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=POINTS_PER_CLUSTER,
    )
    sample_ND = store.take(sample if rows is None else rows[sample]).astype(np.float32)
    # faiss divides a product by threads, and so its sums
    with threadpool_limits(threads):
        kmeans.train(sample_ND)
    centre_KD = np.asarray(kmeans.centroids, np.float32)
    return (centre_KD / np.linalg.norm(centre_KD, axis=1, keepdims=True)).astype(np.float16)


def assign(
    blocks: Iterable[tuple[int, Float[np.ndarray, "_ D"]]],
    centre_KD: Float16[np.ndarray, "K D"],
    count: int,
) -> Int64[np.ndarray, " N"]:
    """The nearest centre, the lowest on ties, of ``count`` vectors in (first place, block)s."""
    cluster_N = np.empty(count, np.int64)
    for start, block_ND in blocks:
        cluster_N[start : start + len(block_ND)] = nearest(block_ND, centre_KD)[1]
    return cluster_N


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
