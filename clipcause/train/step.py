"""One step of training: forward, backward, the optimiser; in one process or in several, in one
part or in several.

With ``accumulate`` parts the features of all are computed first, without gradients; then each part
goes through the model again, and its gradients are those of the whole batch's loss. Memory is one
part's, time a forward pass more (open_clip's accumulation; Gao et al. 2021, "Scaling deep
contrastive learning batch size under memory limited setup"). What is random in a model (dropout)
is the same both times.

Shapes: B samples of this process's batch, S pixels a side, L context length.
"""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from jaxtyping import Float
from open_clip.modified_resnet import ModifiedResNet
from timm.layers import convert_sync_batchnorm
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from clipcause.config.train import Train
from clipcause.embed import models
from clipcause.embed.models import Clip
from clipcause.train.distributed import World
from clipcause.train.objective import Features, Objective, Others, limit_scale


def prepare(clip: Clip, train: Train, world: World) -> None:
    """Make a new model fit the way in which it is trained.

    Raises ``ValueError`` for batch normalisation where a batch is not in one place, and for towers
    that cannot compute their activations again.
    """
    model = clip.model
    normed = any(isinstance(module, _BatchNorm) for module in model.modules())
    if normed and train.accumulate > 1 and not train.accumulate_batchnorm:
        raise ValueError(
            f"train.accumulate is {train.accumulate}, and the model has batch normalisation, which "
            "would be over parts of a batch; take a model with layer normalisation, or allow it "
            "with train.accumulate_batchnorm"
        )
    if normed and world.size > 1:
        if train.device == "cpu":
            raise ValueError(
                f"the model has batch normalisation, which {world.size} processes can do together "
                "on GPUs only; train it in one process, or take a model with layer normalisation"
            )
        # timm's, for torch's own would drop the activations that timm keeps in its layers
        clip.model.visual = convert_sync_batchnorm(model.visual)
    if train.gradient_checkpointing:
        if isinstance(model.visual, ModifiedResNet):
            raise ValueError(
                "train.gradient_checkpointing: open_clip's ModifiedResNet cannot; take a "
                "transformer or a tower of timm's"
            )
        model.set_grad_checkpointing(True)


class Step:
    """The step of a run; call it with a batch on the device."""

    def __init__(
        self,
        objective: Objective,
        clip: Clip,
        optimiser: torch.optim.Optimizer,
        *,
        precision: str,
        device: torch.device,
        world: World,
        accumulate: int,
    ) -> None:
        if accumulate > 1 and objective.whole:
            raise ValueError(
                f"train.accumulate is {accumulate}, and {objective.whole}; set it to 1"
            )
        self.objective = objective
        self.optimiser = optimiser
        self.parts = accumulate
        self._attention: Callable[[], AbstractContextManager] = lambda: models.attention(
            clip, device
        )
        self._autocast = lambda: models.autocast(precision, device)
        self._random = [device] if device.type == "cuda" else []  # generators beside the CPU's
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        self._several = _shared(objective, device) if world.size > 1 else None

    def __call__(self, images: Float[Tensor, "B 3 S S"], target: Tensor) -> Tensor:
        """Learn from a batch; the loss, of this process's share where there are several."""
        self.optimiser.zero_grad()
        with self._attention():
            if self.parts == 1:
                loss = self._backward(images, target, None)
            else:
                loss = self._in_parts(images, target)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        limit_scale(self.objective)
        return loss

    def _backward(self, images: Tensor, target: Tensor, others: Others | None) -> Tensor:
        module = self.objective if self._several is None else self._several
        with self._autocast():
            loss = module(images, target, others)
        self.scaler.scale(loss).backward()
        return loss.detach()

    def _in_parts(self, images: Tensor, target: Tensor) -> Tensor:
        pieces = list(zip(images.chunk(self.parts), target.chunk(self.parts), strict=True))
        features: list[Features] = []
        if self.objective.gathers:
            with torch.random.fork_rng(self._random), self._autocast():
                features = [self.objective.features(*piece) for piece in pieces]
        losses = []
        for index, piece in enumerate(pieces):
            others = Others(index, self.parts, features, target)
            # gradients are exchanged once, with those of the last part
            with contextlib.nullcontext() if others.last else self._alone():
                losses.append(self._backward(*piece, others))
        # every part gives the contrastive loss of the whole batch, and a share of the supervised
        return losses[-1] if features else torch.stack(losses).sum()

    def _alone(self) -> AbstractContextManager:
        return contextlib.nullcontext() if self._several is None else self._several.no_sync()


def _shared(objective: Objective, device: torch.device) -> DistributedDataParallel:
    # Looking for unused parameters keeps the buckets in which gradients are summed as they are. A
    # run that goes on would else sum in another order than one that was never interrupted, for
    # buckets are made anew after a process's first step.
    return DistributedDataParallel(
        objective,
        device_ids=[device.index] if device.type == "cuda" else None,
        find_unused_parameters=True,
    )
