"""gap SPLIT: the similarity gap of a split to every test set.

In: the split, the embeddings of the pool and of the test sets, the scores' similarities to the
reference. Out: `gap/<split>/<test>.parquet` and `metrics/gap/<split>.json`.
"""

from clipcause.config import engine, layout, section, study, versions
from clipcause.config.similarity import Similarity
from clipcause.prune import split
from clipcause.runtime import metrics
from clipcause.runtime.entry import run
from clipcause.search import gap, scores, stores
from clipcause.search.measure_gap import numbers, table, to_split


def main(name: str) -> str:
    """Measure the gap of the split ``name`` to every test set."""
    versions.check("torch", "numpy")
    settings, reference = section("similarity", Similarity), study.name("reference")
    encoder, names = stores.encoder_name(), study.suite()
    pool, *of_tests = stores.load(encoder, layout.POOL, *map(layout.test, names))
    chosen, pool_card = split.read(layout.split(name)), stores.source(pool, pool.dataset)
    if not len(chosen):
        raise ValueError(f"{layout.split(name)}: the split has no rows, so nothing is nearest")
    if chosen.card.get("pool", pool_card) != pool_card:
        raise ValueError(
            f"{layout.split(name)}: made from another pool than {pool.folder}; make it again"
        )
    known = scores.read_all(layout.similarities(encoder, reference), names, pool=pool_card)
    if (last := int(chosen.bitmap.max())) >= len(pool):
        raise ValueError(f"{layout.split(name)}: row {last} is not among {len(pool)} pool rows")
    tests = dict(zip(names, of_tests, strict=True))
    found = to_split(pool, chosen, tests, settings.block_rows, engine.current())
    tables = {test: table(nearest, known[test]) for test, nearest in found.items()}
    stated = {test: numbers(of_test, known[test]) for test, of_test in tables.items()}
    gap.write(layout.gap(name), tables)
    metrics.write(layout.metrics("gap", name), stated)
    images = sum(of_test.num_rows for of_test in tables.values())
    return f"{images:,} images of {len(tables)} test sets against {len(chosen):,} rows"


if __name__ == "__main__":
    run(main)
