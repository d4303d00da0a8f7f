"""The similarity gap of a split to test sets.

The gap of a training set D to a test set T is the set {s_i(D)}, the similarity of every test image
to its nearest neighbour in D (arXiv 2310.09562); here D is the split with the reference added.
After hull pruning with delta 0 that is the similarity to the reference, exactly.

Shapes: Q test images.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64

from clipcause.config.engine import Engine
from clipcause.embed.embeddings import Embeddings
from clipcause.prune.split import Split
from clipcause.search import device, gap
from clipcause.search.scores import Scores
from clipcause.search.tasks import Neighbours, threads

Nearest = tuple[Float64[np.ndarray, " Q"], Int64[np.ndarray, " Q"]]  # similarities, and rows


def to_split(
    pool: Embeddings,
    chosen: Split,
    tests: Mapping[str, Embeddings],
    block_rows: int,
    where: Engine,
) -> dict[str, Nearest]:
    """Per test set the nearest similarities to the split's pool rows, and those rows, in one pass.

    A part of the pool in which two splits have the same rows is searched once for both.
    """
    if where.kind == "local":  # a cluster's head may have no GPU
        device.available(where.device)
    sets = {name: store.all() for name, store in tests.items()}
    task = Neighbours(sets, block_rows, where.device, threads(where))
    found = task.among(pool, where, "gap", chosen)
    return {name: (closest.similarity_Q, closest.row_Q) for name, closest in found.items()}


def table(found: Nearest, scores: Scores) -> pa.Table:
    """One test set's gap: to the split with the reference added, and to the split alone.

    Raises ``ValueError`` where its scores are of another number of images.
    """
    split_Q, row_Q = found
    if len(scores.test.row) != len(split_Q):
        raise ValueError(
            f"{scores.folder}: {len(scores.test.row)} test images, the embeddings of "
            f"{scores.folder.name} have {len(split_Q)}; run the similarity stage again"
        )
    both_Q = np.maximum(split_Q, scores.test.reference_sim)
    return pa.table([np.arange(len(split_Q)), both_Q, split_Q, row_Q], schema=gap.SCHEMA)


def numbers(of_split: pa.Table, scores: Scores) -> dict[str, dict[str, float]]:
    """Mean and median of the similarities to split, split with reference, reference and pool."""
    series = {
        "split": of_split["split_similarity"].to_numpy(),
        "split_and_reference": of_split["similarity"].to_numpy(),
        "reference": scores.test.reference_sim,
        "pool": scores.test.pool_sim,
    }
    return {
        name: {"mean": float(np.mean(sim_Q)), "median": float(np.median(sim_Q))}
        for name, sim_Q in series.items()
    }
