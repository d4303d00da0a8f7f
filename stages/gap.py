"""gap SPLIT: the similarity gap of a split to every test set.

In: the split, the embeddings of the pool and of the test sets, the scores' similarities to the
reference. Out: `gap/<split>/<test>.parquet` and `metrics/gap/<split>.json`.

The gap of a training set D to a test set T is the set {s_i(D)}, the similarity of every test image
to its nearest neighbour in D (arXiv 2310.09562); here D is the split with the reference added.
After hull pruning with delta 0 that is the similarity to the reference, exactly.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64

from clipcause.config import engine, layout, section, study
from clipcause.config.engine import Engine
from clipcause.config.similarity import Similarity
from clipcause.embed.embeddings import Embeddings
from clipcause.prune import split
from clipcause.prune.split import Split
from clipcause.runtime import metrics, versions
from clipcause.runtime.entry import run
from clipcause.search import device, gap, scores, stores
from clipcause.search.tasks import Neighbours, threads


def to_split(
    pool: Embeddings,
    chosen: Split,
    tests: Mapping[str, Embeddings],
    block_rows: int,
    where: Engine,
) -> dict[str, tuple[Float64[np.ndarray, " Q"], Int64[np.ndarray, " Q"]]]:
    """Per test set the nearest similarities to the split's pool rows, and those rows, in one pass.

    A part of the pool in which two splits have the same rows is searched once for both.
    """
    if where.kind == "local":  # a cluster's head may have no GPU
        device.available(where.device)
    sets = {name: store.all() for name, store in tests.items()}
    task = Neighbours(sets, block_rows, where.device, threads(where))
    found = task.among(pool, where, "gap", chosen)
    return {name: (closest.similarity_Q, closest.row_Q) for name, closest in found.items()}


def table(
    split_Q: Float64[np.ndarray, " Q"],
    row_Q: Int64[np.ndarray, " Q"],
    reference_Q: Float64[np.ndarray, " Q"],
) -> pa.Table:
    """One test set's gap: to the split with the reference added, and to the split alone."""
    both_Q = np.maximum(split_Q, reference_Q)
    return pa.table([np.arange(len(split_Q)), both_Q, split_Q, row_Q], schema=gap.SCHEMA)


def numbers(
    of_split: pa.Table, reference_Q: Float64[np.ndarray, " Q"], pool_Q: Float64[np.ndarray, " Q"]
) -> dict[str, dict[str, float]]:
    """Mean and median of the similarities to split, split with reference, reference and pool."""
    series = {
        "split": of_split["split_similarity"].to_numpy(),
        "split_and_reference": of_split["similarity"].to_numpy(),
        "reference": reference_Q,
        "pool": pool_Q,
    }
    return {
        name: {"mean": float(np.mean(sim_Q)), "median": float(np.median(sim_Q))}
        for name, sim_Q in series.items()
    }


def main(name: str) -> str:
    """Measure the gap of the split ``name`` to every test set."""
    versions.check("torch", "numpy")
    settings, reference = section("similarity", Similarity), study.name("reference")
    encoder, names = stores.encoder_name(), study.suite()
    pool, *of_tests = stores.load(encoder, layout.POOL, *map(layout.test, names))
    chosen = split.read(layout.split(name))
    if not len(chosen):
        raise ValueError(f"{layout.split(name)}: the split has no rows, so nothing is nearest")
    pool_card = stores.source(pool, pool.dataset)
    if chosen.card.get("pool", pool_card) != pool_card:
        raise ValueError(
            f"{layout.split(name)}: made from another pool than {pool.folder}; make it again"
        )
    known = scores.read_all(layout.similarities(encoder, reference), names, pool=pool_card)
    if (last := int(chosen.bitmap.max())) >= len(pool):
        raise ValueError(f"{layout.split(name)}: row {last} is not among {len(pool)} pool rows")
    tests = dict(zip(names, of_tests, strict=True))
    found = to_split(pool, chosen, tests, settings.block_rows, engine.current())
    tables, stated = {}, {}
    for test, (split_Q, row_Q) in found.items():
        of_test = known[test].test
        if len(of_test.row) != len(split_Q):
            raise ValueError(
                f"{known[test].folder}: {len(of_test.row)} test images, the embeddings of {test} "
                f"have {len(split_Q)}; run the similarity stage again"
            )
        tables[test] = table(split_Q, row_Q, of_test.reference_sim)
        stated[test] = numbers(tables[test], of_test.reference_sim, of_test.pool_sim)
    gap.write(layout.gap(name), tables)
    metrics.write(layout.metrics("gap", name), stated)
    images = sum(table.num_rows for table in tables.values())
    return f"{images:,} images of {len(tables)} test sets against {len(chosen):,} rows"


if __name__ == "__main__":
    run(main)
