"""`clip`: open_clip's contrastive loss between images and captions.

The loss is that of the global batch, however it is shared out: features of the other processes are
gathered, with their gradients, and those of the other parts are given (open_clip's ``ClipLoss``
with ``local_loss`` and ``gather_with_grad``, and its form of accumulation).

Shapes: B samples of a batch, S pixels a side, L context length, D dimensions.
"""

from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from open_clip.loss import ClipLoss
from torch import Tensor, nn

from clipcause.embed.models import Clip
from clipcause.train import texts, training_set
from clipcause.train.distributed import ALONE, World
from clipcause.train.objective import Features, Objective, Others
from clipcause.train.training_set import Plan, Sources


class Contrastive(Objective):
    """CLIP's objective over an open_clip model."""

    gathers: ClassVar = True
    # what the loss takes of the logits' numbers that the model gives: the scale, then the bias
    numbers: ClassVar = 1

    def __init__(self, model: Any, world: World = ALONE) -> None:
        super().__init__()
        self.model = model
        several = world.size > 1
        self._loss = ClipLoss(
            local_loss=several, gather_with_grad=several, rank=world.rank, world_size=world.size
        )

    def forward(
        self,
        images: Float[Tensor, "B 3 S S"],
        target: Int64[Tensor, "B L"],
        others: Others | None = None,
    ) -> Tensor:
        """The loss of a batch; ``target`` are the captions' token ids. In autocast or out of it.

        With ``others`` it is the loss of the batch that they make up together, of which the
        gradients of this part's features are taken: over all parts they sum to the batch's.
        """
        image_BD, text_BD, *logits = self.model(images, target)
        logits = logits[: self.numbers]
        # the product of unit vectors, times a scale of up to 100, needs more than bfloat16's 8 bits
        with torch.autocast(images.device.type, enabled=False):
            features = image_BD.float(), text_BD.float()
            if others is not None:
                features = others.around(features)
                # every part has the whole gradient of these
                logits = [one if others.last else one.detach() for one in logits]
            return self._loss(*features, *(one.float() for one in logits))

    @torch.no_grad()
    def features(self, images: Float[Tensor, "B 3 S S"], target: Int64[Tensor, "B L"]) -> Features:
        """Features of a part of a batch, without gradients."""
        image_BD, text_BD, *_ = self.model(images, target)
        return image_BD.float(), text_BD.float()

    @property
    def log_scale(self) -> nn.Parameter:
        """The logarithm of the logits' scale."""
        return self.model.logit_scale


def check(sources: Sources, plan: Plan) -> list[str]:
    """What is to be said of the captions that the run learns."""
    made = training_set.captions(sources, plan)
    return [] if made is None else texts.check(made, sources.pool, plan.rows)


def make(
    sources: Sources,  # noqa: ARG001 - its captions come with the batches
    plan: Plan,  # noqa: ARG001
    clip: Clip,
    world: World,
    device: torch.device,  # noqa: ARG001
) -> Contrastive:
    """The objective of a run over its model."""
    return Contrastive(clip.model, world)
