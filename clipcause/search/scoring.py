"""The scores of a pool against a test set and a reference: thresholds, margins, neighbours.

Definitions (arXiv 2310.09562): s_i(D) is the similarity of test image i to its nearest neighbour
in D. The threshold of i is s_i(reference); the hull margin of a pool row x is
max_i [s(t_i, x) - s_i(reference)], and hull pruning removes x iff it is positive.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from clipcause.config.engine import Engine
from clipcause.embed.embeddings import Embeddings
from clipcause.search import device, scores, stores
from clipcause.search.scores import PoolScores, TestScores
from clipcause.search.tasks import Closest, Neighbours, Scoring, threads


def measure(
    pool: Embeddings,
    reference: Embeddings,
    test: Embeddings,
    add: Callable[[PoolScores], object],
    block_rows: int,
    where: Engine,
) -> TestScores:
    """Thresholds from the reference, then one pass over the pool for rows and test images alike.

    ``add`` is given the scores of the pool's rows, part by part, in their order. Memory holds the
    test set, a few blocks of the pool, and the answer for a few parts.
    """
    if where.kind == "local":  # a cluster's head may have no GPU
        device.available(where.device)
    test_QD, settings = test.all(), (block_rows, where.device, threads(where))
    thresholds = Neighbours({"test": test_QD}, *settings).among(reference, where, "thresholds")[
        "test"
    ]
    scoring, closest = Scoring(test_QD, thresholds.similarity_Q, *settings), Closest(len(test_QD))
    for portion, found in scoring.over(pool, where, "similarity"):
        add(PoolScores(found["max_sim"], found["nearest"], found["margin"]))
        closest.add(found["similarity"], found["row"], portion.start)
    return TestScores(
        np.arange(len(test_QD)),
        thresholds.similarity_Q,
        thresholds.row_Q,
        closest.similarity_Q,
        closest.row_Q,
    )


def write(
    folder: Path,
    pool: Embeddings,
    reference: Embeddings,
    test: Embeddings,
    block_rows: int,
    where: Engine,
) -> int:
    """Measure and write the scores of one test set; how many pool rows lie in its hull."""
    card = {
        "encoder": stores.source(pool, pool.encoder),
        "pool": stores.source(pool, pool.dataset),
        "reference": stores.source(reference, reference.dataset),
        "test": stores.source(test, test.dataset),
    }
    inside = 0
    with scores.writing(folder, card, len(test)) as out:

        def add(part: PoolScores) -> None:
            nonlocal inside
            inside += int((part.margin > 0).sum())
            out.add(part)

        out.finish(measure(pool, reference, test, add, block_rows, where))
    return inside
