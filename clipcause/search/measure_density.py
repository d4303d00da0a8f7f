"""Measuring density: how many pool rows lie above every test image's threshold, and just under it.

Hull pruning (arXiv 2310.09562) removes what is above a threshold and keeps the nearest row under
it. What is counted here are the rows about one image's own threshold, before the thresholds of
other images remove rows: a row is within band b where threshold - b < similarity <= threshold, and
it is removed all the same where it is above the threshold of another test image. It is no count of
what pruning leaves. Equal is under: such a row is not removed on account of this image.

Shapes: Q test images, E edges.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from clipcause.config.engine import Engine
from clipcause.embed.embeddings import Embeddings
from clipcause.prune.split import Split
from clipcause.search import density, device
from clipcause.search.counting import Counting
from clipcause.search.scores import Scores
from clipcause.search.tasks import threads

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


def check_sources(
    found: Scores, base: Path, split: Split, pool: Embeddings, test: Embeddings
) -> None:
    """Raise ``ValueError`` where scores, or the split in ``base``, are of other embeddings."""
    _check_card(found.folder, found.card, {"encoder": pool.encoder, "test": test.dataset})
    _check_card(base, split.card, {"pool": pool.dataset})
    if len(found.test.row) != len(test):
        raise ValueError(
            f"{found.folder}: {len(found.test.row)} test images, the embeddings have {len(test)}; "
            f"run the similarity stage again"
        )


def check_above(found: Scores, counts: Counts) -> None:
    """Raise ``ValueError`` where the counts differ from what the scores say of the nearest rows:
    another way to the same."""
    wrong_Q = (counts[density.ABOVE] > 0) != (found.test.pool_sim > found.test.reference_sim)
    if wrong_Q.any():
        raise ValueError(
            f"{found.folder}: {wrong_Q.sum()} test images have rows above their threshold or not, "
            "other than their nearest says; run the similarity stage again"
        )


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


def _check_card(
    folder: object, card: Mapping[str, object], expected: Mapping[str, str | None]
) -> None:
    """What a card states is what the embeddings do, where both state something."""
    for source, want in expected.items():
        have = card.get(source)
        if want and have is not None and have != want:
            raise ValueError(
                f"{folder}: made with another {source} ({str(have)[:12]}…, the embeddings' is "
                f"{want[:12]}…); make it again"
            )
