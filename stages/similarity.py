"""similarity TEST: how similar every pool row is to a test set, and every test image to the pool.

In: the embeddings of pool, reference and test set. Out: `similarity/<encoder>/<reference>/<test>`.

Definitions (arXiv 2310.09562): s_i(D) is the similarity of test image i to its nearest neighbour
in D. The threshold of i is s_i(reference); the hull margin of a pool row x is
max_i [s(t_i, x) - s_i(reference)], and hull pruning removes x iff it is positive.
"""

import numpy as np

from stages import versions
from stages.artifacts import layout, scores
from stages.artifacts.embeddings import Embeddings
from stages.artifacts.scores import PoolScores, TestScores
from stages.entry import run
from stages.parameters import FILE, section, study, unknown
from stages.parameters.similarity import Similarity
from stages.progress import progress
from stages.search import stores
from stages.search.neighbour import Nearest, nearest
from stages.search.pool import Scan, queries, score_pool

__all__ = ["measure", "nearest", "score_pool"]


def measure(
    pool: Embeddings, reference: Embeddings, test: Embeddings, block_rows: int
) -> tuple[PoolScores, TestScores]:
    """Thresholds from the reference, then one pass over the pool for rows and test images alike.

    Memory holds the test set, one block of the pool, and the answer.
    """
    test_QD = test.all()
    to_reference = Nearest(test_QD)
    for _, block_ND in reference.blocks(block_rows):
        to_reference.update(block_ND)
    threshold_Q, reference_row_Q = to_reference.result()

    scan = Scan(queries(test_QD, threshold_Q), len(pool))
    blocks = -(-len(pool) // block_rows)
    scan.read(
        progress(
            pool.blocks(block_rows), label="similarity", unit="rows", total=blocks, scale=block_rows
        )
    )
    pool_sim_Q, pool_row_Q = scan.neighbours()
    row_Q = np.arange(len(test_QD))
    return (
        PoolScores(scan.max_sim_N, scan.nearest_N, scan.margin_N),
        TestScores(row_Q, threshold_Q, reference_row_Q, pool_sim_Q, pool_row_Q),
    )


def main(name: str) -> str:
    """Score the pool against the test set ``name`` of the section `tests`."""
    versions.check("torch", "numpy")
    settings, reference_name = section("similarity", Similarity), study.name("reference")
    if name not in (known := study.suite()):
        raise unknown("test set", name, known, f"{FILE}: tests")
    encoder = stores.encoder_name()
    pool, reference, test = stores.load(encoder, layout.POOL, reference_name, layout.test(name))
    of_pool, of_test = measure(pool, reference, test, settings.block_rows)
    card = {
        "encoder": stores.source(pool, pool.encoder),
        "pool": stores.source(pool, pool.dataset),
        "reference": stores.source(reference, reference.dataset),
        "test": stores.source(test, test.dataset),
    }
    folder = layout.similarity(encoder, reference_name, name)
    scores.write(folder, of_pool, of_test, card)
    inside = int((of_pool.margin > 0).sum())
    return f"{folder}, {inside} of {len(pool)} pool rows lie in the hull of {name}"


if __name__ == "__main__":
    run(main)
