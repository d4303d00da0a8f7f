"""density TEST: how many pool rows lie above every test image's threshold, and just under it.

In: the embeddings of the pool and of the test set, the thresholds of its scores, the split `dedup`.
Out: `density/<encoder>/<reference>/<test>` and `metrics/density/<test>.json`.

What is counted and what is not: `clipcause.search.measure_density`.
"""

from clipcause.config import FILE, engine, layout, section, study, unknown, versions
from clipcause.config.density import Density
from clipcause.config.similarity import Similarity
from clipcause.prune import split
from clipcause.runtime import metrics
from clipcause.runtime.entry import run
from clipcause.search import density, scores, stores
from clipcause.search.measure_density import check_above, check_sources, measure, numbers

BASE = "dedup"  # of the study's splits; counted beside the whole pool


def main(name: str) -> str:
    """Count the pool's rows about the thresholds of the test set ``name``."""
    versions.check("torch", "numpy")
    settings, reference = section("similarity", Similarity), study.name("reference")
    bands, where = section("density", Density).bands, engine.current()
    if name not in (known := study.suite()):
        raise unknown("test set", name, known, f"{FILE}: tests")
    encoder = stores.encoder_name()
    pool, test = stores.load(encoder, layout.POOL, layout.test(name))
    root = layout.similarities(encoder, reference)
    found = scores.read_all(root, [name], pool=stores.source(pool, pool.dataset))[name]
    base = split.read(layout.split(BASE))
    check_sources(found, layout.split(BASE), base, pool, test)
    threshold_Q = found.test.reference_sim
    of_pool, of_base = measure(pool, test, threshold_Q, bands, base, settings.block_rows, where)
    check_above(found, of_pool)
    card = {
        **{source: found.card[source] for source in density.SOURCES},
        "bands": bands,
        "base": BASE,
        "pool_rows": len(pool),
        "base_rows": len(base),
    }
    folder = layout.density(encoder, reference, name)
    density.write(folder, of_pool, of_base, card)
    stated = {"pool": numbers(of_pool), BASE: numbers(of_base)}
    metrics.write(layout.metrics("density", name), stated)
    widest = float(of_pool[density.columns(bands)[-1]].mean())
    return (
        f"{folder}, {widest:.1f} of {len(pool):,} pool rows lie within {bands[-1]:g} under the "
        f"threshold of a test image, on average"
    )


if __name__ == "__main__":
    run(main)
