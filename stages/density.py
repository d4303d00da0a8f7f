"""density TEST: how many pool rows lie above every test image's threshold, and just under it.

In: the embeddings of the pool and of the test set, the thresholds of its scores, the split `dedup`.
Out: `density/<encoder>/<reference>/<test>` and `metrics/density/<test>.json`.

Hull pruning (arXiv 2310.09562) removes what is above a threshold and keeps the nearest row under
it. What is counted here are the rows about one image's own threshold, before the thresholds of
other images remove rows: a row is within band b where threshold - b < similarity <= threshold, and
it is removed all the same where it is above the threshold of another test image. It is no count of
what pruning leaves. Equal is under: such a row is not removed on account of this image.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64, Int64

from clipcause.config import FILE, engine, layout, section, study, unknown
from clipcause.config.density import Density
from clipcause.config.engine import Engine
from clipcause.config.similarity import Similarity
from clipcause.embed.embeddings import Embeddings
from clipcause.prune import split
from clipcause.prune.split import Split
from clipcause.runtime import metrics, versions
from clipcause.runtime.entry import run
from clipcause.search import density, device, scores, stores
from clipcause.search.counting import Counting
from clipcause.search.tasks import threads

BASE = "dedup"  # of the study's splits; counted beside the whole pool

Counts = dict[str, Int64[np.ndarray, " Q"]]


def measure(
    pool: Embeddings,
    test: Embeddings,
    threshold_Q: Float64[np.ndarray, " Q"],
    bands: Sequence[float],
    base: Split,
    block_rows: int,
    where: Engine,
) -> tuple[Counts, Counts]:
    """The counts by column, over the whole pool and over the rows of ``base``, in one pass.

    Memory holds the test set, a few blocks of the pool, and the counts.
    """
    if where.kind == "local":  # a cluster's head may have no GPU
        device.available(where.device)
    edge_QE = np.stack([threshold_Q, *(threshold_Q - band for band in bands)], axis=1)
    task = Counting(test.all(), edge_QE, block_rows, where.device, threads(where))
    above_2QE = task.over(pool, base, where, "density")
    names = density.columns(bands)
    # rows above an edge: of a band, those that are not above the threshold
    above_2QE[:, :, 1:] -= above_2QE[:, :, :1]
    of_pool, of_base = (
        {name: above_QE[:, e].copy() for e, name in enumerate(names)} for above_QE in above_2QE
    )
    return of_pool, of_base


def numbers(counts: Counts) -> dict[str, dict[str, float]]:
    """Per column the mean and the median over test images, and the share of them with no row."""
    return {
        name: {
            "mean": float(count_Q.mean()),
            "median": float(np.median(count_Q)),
            "none": float((count_Q == 0).mean()),
        }
        for name, count_Q in counts.items()
    }


def main(name: str) -> str:
    """Count the pool's rows about the thresholds of the test set ``name``."""
    versions.check("torch", "numpy")
    settings, reference = section("similarity", Similarity), study.name("reference")
    bands = section("density", Density).bands
    if name not in (known := study.suite()):
        raise unknown("test set", name, known, f"{FILE}: tests")
    encoder = stores.encoder_name()
    pool, test = stores.load(encoder, layout.POOL, layout.test(name))
    root = layout.similarities(encoder, reference)
    found = scores.read_all(root, [name], pool=stores.source(pool, pool.dataset))[name]
    _check(found.folder, found.card, {"encoder": pool.encoder, "test": test.dataset})
    base = split.read(layout.split(BASE))
    _check(layout.split(BASE), base.card, {"pool": pool.dataset})
    if len(found.test.row) != len(test):
        raise ValueError(
            f"{found.folder}: {len(found.test.row)} test images, the embeddings have {len(test)}; "
            f"run the similarity stage again"
        )
    threshold_Q = found.test.reference_sim
    of_pool, of_base = measure(
        pool, test, threshold_Q, bands, base, settings.block_rows, engine.current()
    )
    # the scores say already whose nearest row is above: another way to the same
    wrong_Q = (of_pool[density.ABOVE] > 0) != (found.test.pool_sim > threshold_Q)
    if wrong_Q.any():
        raise ValueError(
            f"{found.folder}: {wrong_Q.sum()} test images have rows above their threshold or not, "
            "other than their nearest says; run the similarity stage again"
        )
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


def _check(folder: object, card: Mapping[str, object], expected: Mapping[str, str | None]) -> None:
    """What a card states is what the embeddings do, where both state something."""
    for source, want in expected.items():
        have = card.get(source)
        if want and have is not None and have != want:
            raise ValueError(
                f"{folder}: made with another {source} ({str(have)[:12]}…, the embeddings' is "
                f"{want[:12]}…); make it again"
            )


if __name__ == "__main__":
    run(main)
