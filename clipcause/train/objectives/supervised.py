"""`supervised`: a cosine classifier on labels, the baseline of both studies.

Class weights and image features have length one, there is no bias, and the learnable scale has the
same start and limit as CLIP's, so that the two differ in what they learn from and not in how. Class
weights are random, or class prototypes that they start from or stay; a vocabulary may be drawn at
each step (`clipcause.train.vocabulary`).

Shapes: B samples of a batch, S pixels a side, C classes, D dimensions; V classes of a step's
vocabulary.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from clipcause.config.runs import ALL
from clipcause.embed import models
from clipcause.embed.models import Clip
from clipcause.train import locked_text, texts, training_set, vocabulary
from clipcause.train.distributed import World
from clipcause.train.objective import Objective, Others
from clipcause.train.training_set import Plan, Sources
from clipcause.train.vocabulary import Sampled

START_SCALE = 1 / 0.07


class Supervised(Objective):
    """A cosine classifier on the image tower of an open_clip model; its text tower stays as is.

    ``weight_CD`` are class weights to start from, in place of random ones, or, ``frozen``, to stay
    with. ``vocabulary`` draws the classes that a step tells apart; without it they are all.
    ``names`` are the classes in their order, for the checkpoint.
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
        names: Sequence[str] = (),
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
        self.names = list(names)
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

    def observed(self) -> dict[str, float | Tensor]:
        """The mean size of the vocabularies since the last call, where they are drawn."""
        return {} if self.vocabulary is None else {"vocabulary": self.vocabulary.observed()}

    @property
    def log_scale(self) -> nn.Parameter:
        """The logarithm of the logits' scale."""
        return self.model.logit_scale

    def files(self) -> dict[str, bytes]:
        """Class weights, and the classes in their order."""
        weight_CD = self.classifier.detach().cpu().numpy()
        return {
            models.CLASSIFIER: safetensors.numpy.save({"weight": np.ascontiguousarray(weight_CD)}),
            models.CLASSES: json.dumps(self.names).encode(),
        }


def check(sources: Sources, plan: Plan) -> list[str]:
    """What is to be said of a supervised run's classes."""
    texts.check_labels(sources.pool, plan.rows)
    if plan.text_from is not None:
        locked_text.check_names(training_set.classes(sources, plan), sources.classes)
    chosen = plan.vocabulary
    counts = training_set.class_counts(sources, plan)
    if chosen.size != ALL and chosen.size > len(counts):
        raise ValueError(
            f"vocabulary.size is {chosen.size}, and there are {len(counts)} classes; take "
            f"{len(counts)} at most, or all"
        )
    none = int((counts == 0).sum())
    if not none:
        return []
    said = f"classes: {none:,} of {len(counts):,} have no row to learn from"
    if chosen.size != ALL and chosen.weights != "uniform":
        said += f", and drawn by {chosen.weights} no vocabulary has them"
    return [said]


def make(
    sources: Sources, plan: Plan, clip: Clip, world: World, device: torch.device
) -> Supervised:
    """The objective of a run over its model."""
    classes = training_set.classes(sources, plan)
    weight_CD = None
    if plan.text_from is not None:
        found_CD = locked_text.prototypes(
            plan.text_from, classes, sources.classes, plan.captions, device
        )
        weight_CD = torch.from_numpy(found_CD.astype(np.float32))
    chosen = plan.vocabulary
    sampled = None
    if chosen.size != ALL:
        weight_C = vocabulary.weights(training_set.class_counts(sources, plan), chosen.weights)
        sampled = Sampled(weight_C, chosen.size, plan.seed, chosen.scope, world)
    return Supervised(
        clip.model,
        len(classes),
        clip.config["embed_dim"],
        weight_CD=weight_CD,
        frozen=plan.text == "frozen",
        vocabulary=sampled,
        names=classes,
    )
