"""`siglip`: open_clip's sigmoid loss of every pair of an image and a caption.

The loss is that of the global batch, however it is shared out: it is a sum over pairs, and the
texts of the other processes come with their gradients (open_clip's ``SigLipLoss``). The scale and
the bias of the logits are the model's own, so that a checkpoint has both.

Shapes: B samples of a batch, S pixels a side, L context length.
"""

from typing import Any

import torch
from jaxtyping import Float, Int64
from open_clip.loss import SigLipLoss
from torch import Tensor

from clipcause.embed.models import Clip
from clipcause.train.distributed import ALONE, World
from clipcause.train.objective import Others
from clipcause.train.objectives.clip import Contrastive, check
from clipcause.train.training_set import Plan, Sources

__all__ = ["Sigmoid", "check", "make"]


class Sigmoid(Contrastive):
    """SigLIP's objective over an open_clip model that has a bias of its logits."""

    def __init__(self, model: Any, world: World = ALONE) -> None:
        super().__init__(model, world)
        self._loss = SigLipLoss(rank=world.rank, world_size=world.size)

    def forward(
        self,
        images: Float[Tensor, "B 3 S S"],
        target: Int64[Tensor, "B L"],
        others: Others | None = None,
    ) -> Tensor:
        """As ``Contrastive.forward``: with ``others``, gradients of parts sum to the batch's."""
        image_BD, text_BD, scale, bias = self.model(images, target)
        with torch.autocast(images.device.type, enabled=False):
            features = image_BD.float(), text_BD.float()
            if others is not None:
                features = others.around(features)
                # every part has the whole gradient of both
                scale, bias = (one if others.last else one.detach() for one in (scale, bias))
            return self._loss(*features, scale.float(), bias.float())


def make(
    sources: Sources,  # noqa: ARG001 - its captions come with the batches
    plan: Plan,  # noqa: ARG001
    clip: Clip,
    world: World,
    device: torch.device,  # noqa: ARG001
) -> Sigmoid:
    """The objective of a run over its model."""
    return Sigmoid(clip.model, world)
