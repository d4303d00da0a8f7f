"""What a run learns by: a module that gives the loss of a batch.

``clip``: open_clip's contrastive loss between images and captions. ``supervised``: a cosine
classifier on labels, the baseline of both studies; class weights and image features of length one,
no bias, and the same learnable scale with the same start and limit as CLIP's, so that the two
differ in what they learn from and not in how.

Shapes: B samples of a batch, S pixels a side, L context length, C classes, D dimensions.
"""

import math
from typing import Any

import torch
from jaxtyping import Float, Int64
from open_clip.loss import ClipLoss
from torch import Tensor, nn
from torch.nn import functional

from stages.learning.models import LARGEST_SCALE

START_SCALE = 1 / 0.07


class Contrastive(nn.Module):
    """CLIP's objective over an open_clip model."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self._loss = ClipLoss()

    def forward(self, images: Float[Tensor, "B 3 S S"], target: Int64[Tensor, "B L"]) -> Tensor:
        """The loss of a batch; ``target`` are the captions' token ids. In autocast or out of it."""
        image_BD, text_BD, scale, *_ = self.model(images, target)
        # the product of unit vectors, times a scale of up to 100, needs more than bfloat16's 8 bits
        with torch.autocast(images.device.type, enabled=False):
            return self._loss(image_BD.float(), text_BD.float(), scale.float())

    @property
    def log_scale(self) -> nn.Parameter:
        """The logarithm of the logits' scale."""
        return self.model.logit_scale


class Supervised(nn.Module):
    """A cosine classifier on the image tower of an open_clip model; its text tower stays as is."""

    def __init__(self, model: Any, classes: int, dim: int) -> None:
        super().__init__()
        self.model = model
        self.classifier = nn.Parameter(functional.normalize(torch.randn(classes, dim), dim=-1))
        with torch.no_grad():
            model.logit_scale.fill_(math.log(START_SCALE))

    def forward(self, images: Float[Tensor, "B 3 S S"], target: Int64[Tensor, " B"]) -> Tensor:
        """The cross-entropy of a batch; ``target`` are positions in the list of classes."""
        image_BD = self.model.encode_image(images, normalize=True)
        with torch.autocast(images.device.type, enabled=False):
            class_CD = functional.normalize(self.classifier, dim=-1)
            logits_BC = self.log_scale.exp() * image_BD.float() @ class_CD.T
            return functional.cross_entropy(logits_BC, target)

    @property
    def log_scale(self) -> nn.Parameter:
        """The logarithm of the logits' scale."""
        return self.model.logit_scale


Objective = Contrastive | Supervised


@torch.no_grad()
def limit_scale(objective: Objective) -> None:
    """Keep the logits' scale in [1, 100], as CLIP's training does."""
    objective.log_scale.clamp_(0.0, math.log(LARGEST_SCALE))
