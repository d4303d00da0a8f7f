"""`siglip`: open_clip's sigmoid loss of every pair of an image and a caption.

The loss is that of the global batch, however it is shared out: it is a sum over pairs, and the
texts of the other processes come with their gradients (open_clip's ``SigLipLoss``). The scale and
the bias of the logits are the model's own, so that a checkpoint has both.
"""

from typing import Any, ClassVar

import torch
from open_clip.loss import SigLipLoss

from clipcause.embed.models import Clip
from clipcause.train.distributed import ALONE, World
from clipcause.train.objectives.clip import Contrastive, check
from clipcause.train.training_set import Plan, Sources

__all__ = ["Sigmoid", "check", "make"]


class Sigmoid(Contrastive):
    """SigLIP's objective over an open_clip model that has a bias of its logits."""

    numbers: ClassVar = 2

    def __init__(self, model: Any, world: World = ALONE) -> None:
        super().__init__(model, world)
        self._loss = SigLipLoss(rank=world.rank, world_size=world.size)


def make(
    sources: Sources,  # noqa: ARG001 - its captions come with the batches
    plan: Plan,  # noqa: ARG001
    clip: Clip,
    world: World,
    device: torch.device,  # noqa: ARG001
) -> Sigmoid:
    """The objective of a run over its model."""
    return Sigmoid(clip.model, world)
