"""What a run learns by: a module that gives the loss of a batch.

``clip``: open_clip's contrastive loss between images and captions. ``supervised``: a cosine
classifier on labels, the baseline of both studies; class weights and image features of length one,
no bias, and the same learnable scale with the same start and limit as CLIP's, so that the two
differ in what they learn from and not in how. Its class weights are random, or class prototypes
that they start from or stay; a vocabulary may be drawn at each step (`clipcause.train.vocabulary`).
``dino`` has a module of its own.

A batch may be shared out over processes and, in each, go through the model in parts. The
contrastive loss is that of the global batch all the same: features of the other processes are
gathered, with their gradients, and those of the other parts are given (open_clip's ``ClipLoss``
with ``local_loss`` and ``gather_with_grad``, and its form of accumulation).

Shapes: B samples of a batch, S pixels a side, L context length, C classes, D dimensions; V classes
of a step's vocabulary.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from open_clip.loss import ClipLoss
from torch import Tensor, nn
from torch.nn import functional

from clipcause.embed.models import LARGEST_SCALE
from clipcause.train.dino import Dino
from clipcause.train.distributed import ALONE, World
from clipcause.train.vocabulary import Sampled

START_SCALE = 1 / 0.07
Features = tuple[Tensor, Tensor]  # of images and texts, float32 [B, D], of length one


@dataclass(frozen=True)
class Others:
    """The parts of a process's batch among which one goes through the model."""

    index: int  # of the part
    count: int
    features: list[Features]  # of all parts, without gradients; none for a supervised run
    target: Tensor | None = None  # of the whole batch

    @property
    def last(self) -> bool:
        """Whether the part is the last one."""
        return self.index + 1 == self.count

    def around(self, own: Features) -> Features:
        """The features of the whole batch, this part's with their gradients."""
        parts = [*self.features]
        parts[self.index] = own
        image, text = zip(*parts, strict=True)
        return torch.cat(image), torch.cat(text)


class Contrastive(nn.Module):
    """CLIP's objective over an open_clip model."""

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
        image_BD, text_BD, scale, *_ = self.model(images, target)
        # the product of unit vectors, times a scale of up to 100, needs more than bfloat16's 8 bits
        with torch.autocast(images.device.type, enabled=False):
            features = image_BD.float(), text_BD.float()
            if others is not None:
                features = others.around(features)
                # every part has the whole gradient of the scale
                scale = scale if others.last else scale.detach()
            return self._loss(*features, scale.float())

    @torch.no_grad()
    def features(self, images: Float[Tensor, "B 3 S S"], target: Int64[Tensor, "B L"]) -> Features:
        """Features of a part of a batch, without gradients."""
        image_BD, text_BD, *_ = self.model(images, target)
        return image_BD.float(), text_BD.float()

    @property
    def log_scale(self) -> nn.Parameter:
        """The logarithm of the logits' scale."""
        return self.model.logit_scale

    def begin(self, step: int, total: int) -> None:
        """Called before each step: nothing to prepare."""

    def finish(self) -> None:
        """Called after each step: nothing to follow up."""

    def observed(self) -> dict[str, float | Tensor]:
        """Numbers for the training curve, beside the loss: none."""
        return {}


class Supervised(nn.Module):
    """A cosine classifier on the image tower of an open_clip model; its text tower stays as is.

    ``weight_CD`` are class weights to start from, in place of random ones, or, ``frozen``, to stay
    with. ``vocabulary`` draws the classes that a step tells apart; without it they are all.
    """

    def __init__(
        self,
        model: Any,
        classes: int,
        dim: int,
        *,
        weight_CD: Float[Tensor, "C D"] | None = None,
        frozen: bool = False,
        vocabulary: Sampled | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        if weight_CD is None:
            weight_CD = torch.randn(classes, dim)
        elif weight_CD.shape != (classes, dim):
            raise ValueError(
                f"class prototypes have shape {tuple(weight_CD.shape)}, and the classifier "
                f"{(classes, dim)}: take a text tower with embed_dim {dim}"
            )
        self.classifier = nn.Parameter(functional.normalize(weight_CD, dim=-1))
        self.classifier.requires_grad_(not frozen)
        self.vocabulary = vocabulary
        with torch.no_grad():
            model.logit_scale.fill_(math.log(START_SCALE))

    def forward(
        self,
        images: Float[Tensor, "B 3 S S"],
        target: Int64[Tensor, " B"],
        others: Others | None = None,
    ) -> Tensor:
        """The cross-entropy of a batch; ``target`` are positions in the list of classes.

        With ``others`` it is divided by the number of parts: over all parts it sums to the batch's.
        """
        image_BD = self.model.encode_image(images, normalize=True)
        with torch.autocast(images.device.type, enabled=False):
            class_VD, target = self._step_classes(target, others)
            class_VD = functional.normalize(class_VD, dim=-1)
            logits_BV = self.log_scale.exp() * image_BD.float() @ class_VD.T
            loss = functional.cross_entropy(logits_BV, target)
            return loss if others is None else loss / others.count

    def _step_classes(
        self, target: Int64[Tensor, " B"], others: Others | None
    ) -> tuple[Float[Tensor, "V D"], Int64[Tensor, " B"]]:
        """Weights of the classes that take part, and the positions of the targets among them."""
        if self.vocabulary is None:
            return self.classifier, target
        whole = target if others is None else others.target
        if whole is None:
            raise ValueError("a vocabulary is of the whole batch, and only a part of it is given")
        class_V = self.vocabulary(whole)
        return self.classifier[class_V], torch.searchsorted(class_V, target)

    def begin(self, step: int, total: int) -> None:  # noqa: ARG002 - of a schedule
        """Say which step (from 0) of ``total`` comes: it decides the vocabulary."""
        if self.vocabulary is not None:
            self.vocabulary.begin(step)

    def finish(self) -> None:
        """Nothing follows a step."""

    def observed(self) -> dict[str, float]:
        """The mean size of the vocabularies since the last call, where they are drawn."""
        return {} if self.vocabulary is None else {"vocabulary": self.vocabulary.observed()}

    @property
    def log_scale(self) -> nn.Parameter:
        """The logarithm of the logits' scale."""
        return self.model.logit_scale


Objective = Contrastive | Supervised | Dino


@torch.no_grad()
def limit_scale(objective: Objective) -> None:
    """Keep the logits' scale in [1, 100], as CLIP's training does, where it is learnt."""
    if objective.log_scale is not None:
        objective.log_scale.clamp_(0.0, math.log(LARGEST_SCALE))
