"""Sampled vocabularies: the classes that one step of a supervised run tells apart.

Dynamic classification (Wen et al. 2024, "What makes CLIP more robust to long-tailed pre-training
data?", section 4.1): of the batch's classes A and a size K, K - |A| further classes are drawn
without replacement, with probability proportional to a weight, and the cross-entropy is over
these. No sample is dropped: where A has more than K classes the vocabulary is A. Draws are decided
by seed, step and, where every process draws for its own share of the batch, its rank.

Shapes: C classes, A of them in the batch, V in the vocabulary.
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt64
from torch import Tensor, nn

from clipcause.train import order
from clipcause.train.distributed import ALONE, World

STREAM = 1 << 61  # no row: these numbers are not those by which images are moved


def weights(
    count_C: Int64[np.ndarray, " C"], kind: Literal["uniform", "frequency", "square-root"]
) -> Float[np.ndarray, " C"]:
    """The weight of every class from its number of rows in training."""
    if kind == "uniform":
        return np.ones(len(count_C))
    return np.sqrt(count_C) if kind == "square-root" else count_C.astype(np.float64)


def drawn(
    present_A: Int64[np.ndarray, " A"],
    weight_C: Float[np.ndarray, " C"],
    size: int,
    random_C: UInt64[np.ndarray, " C"],
) -> Int64[np.ndarray, " V"]:
    """The vocabulary, ascending: the classes that are present, and further ones up to ``size``.

    A class without weight is never drawn, so that there may be fewer. The keys of Efraimidis and
    Spirakis 2006 ("Weighted random sampling with a reservoir"): the classes with the smallest
    -ln(u) / w are distributed as if drawn one after another, each in proportion to its weight.
    """
    share_C = ((random_C >> np.uint64(11)) + 0.5) * 2.0**-53  # in (0, 1)
    with np.errstate(divide="ignore"):
        key_C = -np.log(share_C) / weight_C
    key_C[present_A] = np.inf
    more = min(max(size - len(present_A), 0), int(np.isfinite(key_C).sum()))
    further = np.argsort(key_C, kind="stable")[:more]
    return np.sort(np.concatenate([present_A, further]))


class Sampled(nn.Module):
    """Draws the vocabulary of every step, and observes how large it is.

    Scope ``device``: every process draws for its own share of the batch; ``global``: all draw the
    same vocabulary for the whole of it. In one process both are the same.
    """

    def __init__(
        self,
        weight_C: Float[np.ndarray, " C"],
        size: int,
        seed: int,
        scope: Literal["device", "global"],
        world: World = ALONE,
    ) -> None:
        super().__init__()
        if size > len(weight_C):
            raise ValueError(f"vocabulary.size is {size}, and there are {len(weight_C)} classes")
        self._weight_C = weight_C
        self._size = size
        self._seed = seed
        self._global = scope == "global"
        self._world = world
        self._step = 0
        self._chosen: Tensor | None = None
        self._seen = (0, 0)  # vocabularies' sizes, their number

    def begin(self, step: int) -> None:
        """Forget the vocabulary of the step before."""
        self._step, self._chosen = step, None

    def forward(self, target: Int64[Tensor, " B"]) -> Int64[Tensor, " V"]:
        """The step's classes, ascending; ``target`` is this process's share of the batch.

        Parts of a batch share the vocabulary that is drawn for the first of them.
        """
        if self._chosen is None:
            labels = target.cpu()
            if self._global:
                labels = self._world.gathered(labels)
            rank = 0 if self._global else self._world.rank
            words = np.array([self._step]), np.array([STREAM + rank])
            random_C = order.uniform(self._seed, *words, len(self._weight_C))[0]
            chosen_V = drawn(labels.unique().numpy(), self._weight_C, self._size, random_C)
            self._seen = (self._seen[0] + len(chosen_V), self._seen[1] + 1)
            self._chosen = torch.from_numpy(chosen_V).to(target.device)
        return self._chosen

    def observed(self) -> float:
        """The mean size of this process's vocabularies since the last call."""
        total, number = self._seen
        self._seen = (0, 0)
        return total / number
