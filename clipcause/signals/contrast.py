"""Contrast: how well pairs fit, less how well their halves fit those of random batches.

Shapes: R rows, B pairs of a batch, D dimensions.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float16, Float64, Int64

from clipcause.runtime.progress import progress
from clipcause.search.engine import workers
from clipcause.search.vectors import double

TILE = 1024
"""Rows and columns of a float64 product: 8 MiB, the same whatever the batch and the threads."""

LARGEST_SCALE = 300.0
"""exp(scale (s - 1)) is a float64 above zero for every s in [-1, 1]; CLIP stops at 100."""

Take = Callable[[np.ndarray], np.ndarray]


def negclip_loss(
    image: Take,
    text: Take,
    count: int,
    scale: float,
    batch_size: int,
    batches: int,
    seed: int,
    threads: int | None = None,
) -> tuple[Float64[np.ndarray, " R"], Float64[np.ndarray, " R"]]:
    """negCLIPLoss of ``count`` pairs (``clipcause.signals.kinds.negclip_loss``), and their own
    similarities.

    ``image`` and ``text`` give the float16 unit vectors of any of them; ``scale`` is one over the
    temperature. Similarities are exact in float64, sums are over tiles of a fixed size in a fixed
    order: what threads or another library change is some 1e-15 of a value. Memory: the two
    vectors of a batch and a tile, a thread. Raises ``ValueError`` for a scale that is not above 0
    or above 300.
    """
    if not 0 < scale <= LARGEST_SCALE:
        raise ValueError(
            f"the encoder's scale (one over its temperature) is {scale:g}, expected above 0 and at "
            f"most {LARGEST_SCALE:g}"
        )
    total_R, own_R = np.zeros(count), np.empty(count)

    def work(batch: tuple[Int64[np.ndarray, " B"], int]) -> tuple[np.ndarray, ...]:
        members, scored = batch
        own, both = contrast(image(members), text(members), scale, members)
        return members[:scored], own[:scored], both[:scored]

    every = batches * -(-count // batch_size)
    with workers(threads) as over:
        tasks = progress(_drawn(count, batch_size, batches, seed), label="batches", total=every)
        # in the order of the tasks, so that a row's batches are added up in their order
        for members, own, both in over(work, tasks):
            own_R[members] = own
            total_R[members] += both
    return own_R - total_R / (2 * scale * batches), own_R


def contrast(
    image_BD: Float16[np.ndarray, "B D"],
    text_BD: Float16[np.ndarray, "B D"],
    scale: float,
    number_B: Int64[np.ndarray, " B"],
) -> tuple[Float64[np.ndarray, " B"], Float64[np.ndarray, " B"]]:
    """Of the pairs of a batch: their similarity, and the two log-sum-exps over the batch, added.

    Both sums are of the same exponentials. A shift by the largest similarity that there is takes
    the place of the largest of each row: see ``LARGEST_SCALE``. ``number_B`` names pairs in errors.
    """
    size = len(image_BD)
    own, by_image = torch.empty(size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    by_text = torch.zeros(size, dtype=torch.float64)
    for c in range(0, size, TILE):
        texts_CD = double("captions", text_BD[c : c + TILE], number_B[c : c + TILE])
        for a in range(0, size, TILE):
            similarity = (
                double("images", image_BD[a : a + TILE], number_B[a : a + TILE]) @ texts_CD.T
            )
            if a == c:
                own[a : a + TILE] = similarity.diagonal()
            likely = similarity.sub_(1).mul_(scale).exp_()
            by_image[a : a + TILE] += likely.sum(1)
            by_text[c : c + TILE] += likely.sum(0)
    return own.numpy(), (by_image.log() + by_text.log() + 2 * scale).numpy()


def _drawn(
    count: int, batch_size: int, batches: int, seed: int
) -> Iterator[tuple[Int64[np.ndarray, " B"], int]]:
    """The members of every batch, and how many of them are scored: the rest fill it up."""
    chance = np.random.default_rng(seed)
    for _ in range(batches):
        order = chance.permutation(count)
        for a in range(0, count, batch_size):
            part = order[a : a + batch_size]
            filling = order[: min(batch_size, count) - len(part)]
            yield np.concatenate([part, filling]), len(part)
