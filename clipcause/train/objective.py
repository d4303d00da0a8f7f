"""What a run learns by: a module that gives the loss of a batch.

An objective is one module of ``clipcause.train.objectives``: an `Objective`, which has the loss,
and two functions, ``check`` and ``make``. A batch may be shared out over processes and, in each, go
through the model in parts.

Shapes: B samples of a batch, D dimensions.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from clipcause.embed.models import LARGEST_SCALE

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


class Objective(nn.Module):
    """The loss of a batch, and what comes before and after a step.

    ``whole``: why a batch cannot go through the model in parts, where it cannot; ``gathers``:
    whether the loss of a part needs the ``features`` of the others.
    """

    whole: ClassVar[str] = ""
    gathers: ClassVar[bool] = False

    @abstractmethod
    def forward(self, images: Any, target: Any, others: Others | None = None) -> Tensor:
        """The loss of a batch. With ``others`` that of a part, whose gradients sum to the batch's
        over all parts."""

    def features(self, images: Tensor, target: Tensor) -> Features:
        """Features of a part of a batch, without gradients."""
        raise NotImplementedError

    @property
    def log_scale(self) -> nn.Parameter | None:
        """The logarithm of the logits' scale, where it is learnt."""
        return None

    def begin(self, step: int, total: int) -> None:
        """Called before each step, from 0, of ``total``: schedules, and what is drawn."""

    def finish(self) -> None:
        """Called after each step."""

    def observed(self) -> dict[str, float | Tensor]:
        """Numbers for the training curve, beside the loss."""
        return {}

    def files(self) -> dict[str, bytes]:
        """Further files of the run's checkpoint, by name."""
        return {}


@torch.no_grad()
def limit_scale(objective: Objective) -> None:
    """Keep the logits' scale in [1, 100], as CLIP's training does, where it is learnt."""
    if objective.log_scale is not None:
        objective.log_scale.clamp_(0.0, math.log(LARGEST_SCALE))
