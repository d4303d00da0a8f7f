"""similarity TEST: how similar every pool row is to a test set, and every test image to the pool.

In: the embeddings of pool, reference and test set. Out: `similarity/<encoder>/<reference>/<test>`.

Definitions (arXiv 2310.09562): s_i(D) is the similarity of test image i to its nearest neighbour
in D. The threshold of i is s_i(reference); the hull margin of a pool row x is
max_i [s(t_i, x) - s_i(reference)], and hull pruning removes x iff it is positive.
"""

from clipcause import lazy
from clipcause.config import FILE, engine, layout, section, study, unknown, versions
from clipcause.config.similarity import Similarity
from clipcause.runtime.entry import run
from clipcause.search import scoring, stores

# what notebooks imported from here
__getattr__ = lazy.again(__name__, "clipcause.search", "nearest", "score_pool")


def main(name: str) -> str:
    """Score the pool against the test set ``name`` of the section `tests`."""
    versions.check("torch", "numpy")
    settings, reference_name = section("similarity", Similarity), study.name("reference")
    where = engine.current()
    if name not in (known := study.suite()):
        raise unknown("test set", name, known, f"{FILE}: tests")
    encoder = stores.encoder_name()
    pool, reference, test = stores.load(encoder, layout.POOL, reference_name, layout.test(name))
    folder = layout.similarity(encoder, reference_name, name)
    inside = scoring.write(folder, pool, reference, test, settings.block_rows, where)
    return f"{folder}, {inside:,} of {len(pool):,} pool rows lie in the hull of {name}"


if __name__ == "__main__":
    run(main)
