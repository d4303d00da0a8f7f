"""Self-distillation without labels: DINO, with a sample of its prototypes drawn at each step.

A student and a teacher of the same architecture assign views of an image to prototypes; the student
learns to say of every view what the teacher says of another one, and the teacher is a moving
average of the student (Caron et al. 2021, "Emerging properties in self-supervised vision
transformers"). The teacher's assignments are balanced by Sinkhorn-Knopp iterations over the batch
(Caron et al. 2020, SwAV), which take the place of DINO's centring. With K of P prototypes the loss
of a step knows only K of them, drawn uniformly and the same for student and teacher: the controlled
factor of the imbalance study.

The student learns in a tower of its own. The model's image tower is the teacher, which is what DINO
evaluates, for it is the better one throughout (section 5.1), and whose batch normalisation has seen
whole images' views alone.

Shapes: B samples of a batch, G = 2B global views and V local ones, view by view; S and L pixels a
side; P prototypes, K of them drawn, D dimensions of the image features, H of the bottleneck.
"""

import warnings
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from clipcause.config import train as parameters
from clipcause.embed.models import Clip
from clipcause.embed.positions import Tower
from clipcause.train.distributed import ALONE, World
from clipcause.train.objective import Objective
from clipcause.train.training_set import Plan, Sources

ALL = "all"
WHOLE = "a dino run learns from whole batches, over which its targets are balanced"
Prototypes = Literal["all"] | int


class Dino(Objective):
    """DINO's objective over the image tower of an open_clip model; its text tower stays as is.

    ``dim`` is the length of the model's image features, ``prototypes`` the number that is drawn at
    each step, or all. Draws are decided by ``seed`` and the step alone. Raises ``ValueError`` for
    more prototypes than there are, and for a tower that takes no images of the local views' size.
    """

    log_scale = None  # logits have a temperature, which is not learnt

    whole: ClassVar = WHOLE

    def __init__(
        self,
        model: Any,
        dim: int,
        settings: parameters.Dino,
        prototypes: Prototypes,
        world: World = ALONE,
        *,
        seed: int,
    ) -> None:
        super().__init__()
        self.settings = settings
        self._count = _count(prototypes, settings)
        self._seed = seed
        self._several = world.size > 1
        self._step, self._total = 0, 1
        self._seen: list[Tensor] = []
        self.teacher = Tower(model.visual, settings.local_size)
        self.student = self.teacher.copied()
        self.teacher_head, self.student_head = _head(dim, settings), _head(dim, settings)
        self.teacher_head.load_state_dict(self.student_head.state_dict())
        self.teacher.requires_grad_(requires_grad=False)
        self.teacher_head.requires_grad_(requires_grad=False)

    def begin(self, step: int, total: int) -> None:
        """Say which step (from 0) of how many comes."""
        self._step, self._total = step, total

    def drawn(self) -> Int64[np.ndarray, " K"]:
        """The prototypes of this step, in ascending order; of a uniform draw without replacement.

        All processes draw the same ones.
        """
        random = np.random.default_rng([self._seed, self._step])
        chosen_K = random.choice(self.settings.prototypes, self._count, replace=False)
        return np.sort(chosen_K)

    def forward(
        self,
        images: Float[Tensor, "G 3 S S"],
        target: Float[Tensor, "V 3 L L"],
        others: Any = None,
    ) -> Tensor:
        """The loss of a batch of global views; ``target`` are the local ones.

        The mean cross-entropy between the teacher's assignment of a global view and the student's
        of each other view.
        """
        if others is not None:
            raise ValueError("a dino run learns from whole batches")
        drawn_K = None
        if self._count < self.settings.prototypes:
            drawn_K = torch.from_numpy(self.drawn()).to(images.device)
        with torch.no_grad():
            teacher_GK = _logits(self.teacher_head, self.teacher(images), drawn_K)
            said_2BK = self._balanced(teacher_GK).unflatten(0, (2, -1))
        log_2BK = self._said(self.student(images), drawn_K).unflatten(0, (2, -1))
        batch, views = log_2BK.shape[1], self.settings.local_crops
        # of the other global view, and of every local one; a view does not learn from itself
        crossed = (said_2BK * log_2BK.flip(0)).sum()
        if views:
            local_VBK = self._said(self.student(target), drawn_K).unflatten(0, (views, batch))
            crossed = crossed + (said_2BK.sum(0) * local_VBK.sum(0)).sum()
        self._seen.append(torch.special.entr(said_2BK).sum(-1).mean())
        return -crossed / (2 * batch * (1 + views))

    @torch.no_grad()
    def finish(self) -> None:
        """Move the teacher towards the student, once the optimiser has moved that.

        The average is of parameters; running means of batch normalisation are the teacher's own.
        """
        # both take a second to load, and no other objective needs them
        from lightly.models.utils import update_momentum
        from lightly.utils.scheduler import cosine_schedule

        start = self.settings.teacher_momentum
        momentum = cosine_schedule(self._step, self._total, start, 1.0)
        update_momentum(self.student, self.teacher, momentum)
        update_momentum(self.student_head, self.teacher_head, momentum)

    def observed(self) -> dict[str, float | Tensor]:
        """The mean entropy of the teacher's assignments since the last call, in nats.

        That of a teacher that says the same of every image is the logarithm of the prototypes.
        """
        if not self._seen:
            return {}
        entropy, self._seen = torch.stack(self._seen).mean(), []
        return {"entropy": entropy}

    def _balanced(self, logits_GK: Float[Tensor, "G K"]) -> Float[Tensor, "G K"]:
        """The teacher's assignments of all views of the global batch, prototypes used evenly."""
        from lightly.loss.swav_loss import sinkhorn

        with torch.autocast(logits_GK.device.type, enabled=False):
            return sinkhorn(
                logits_GK,
                iterations=self.settings.sinkhorn_iterations,
                epsilon=self.settings.teacher_temperature,
                gather_distributed=self._several,
            )

    def _said(
        self, features_ND: Float[Tensor, "N D"], drawn_K: Int64[Tensor, " K"] | None
    ) -> Float[Tensor, "N K"]:
        """The student's assignments, as logarithms."""
        logits_NK = _logits(self.student_head, features_ND, drawn_K)
        return functional.log_softmax(logits_NK / self.settings.student_temperature, dim=-1)


def check(sources: Sources, plan: Plan) -> list[str]:  # noqa: ARG001 - images are all it needs
    """Nothing is to be said; raises ``ValueError`` as ``check_settings``."""
    check_settings(plan.train, plan.prototypes)
    return []


def make(
    sources: Sources,  # noqa: ARG001
    plan: Plan,
    clip: Clip,
    world: World,
    device: torch.device,  # noqa: ARG001
) -> Dino:
    """The objective of a run over its model."""
    settings = plan.train.dino
    assert settings is not None  # checked
    dim = clip.config["embed_dim"]
    return Dino(clip.model, dim, settings, plan.prototypes, world, seed=plan.seed)


def check_settings(train: parameters.Train, prototypes: Prototypes) -> None:
    """Raise ``ValueError`` for a run that cannot be: no settings, or such as do not go together."""
    settings = train.dino
    if settings is None:
        raise ValueError("the section train has no dino, which says how a dino run is trained")
    if train.data == "stream":
        raise ValueError("train.data is stream, and a dino run has its images in memory")
    if train.accumulate > 1:
        raise ValueError(f"train.accumulate is {train.accumulate}, and {WHOLE}; set it to 1")
    if settings.local_size > train.image_size:
        raise ValueError(
            f"train.dino.local_size is {settings.local_size}, train.image_size "
            f"{train.image_size}: a local view is not larger than a global one"
        )
    _count(prototypes, settings)


def _logits(
    head: Any, features_ND: Float[Tensor, "N D"], drawn_K: Int64[Tensor, " K"] | None
) -> Float[Tensor, "N K"]:
    """What the head gives for the drawn prototypes: cosines, not in 16 bits; with None, for all."""
    projected_NH = head.layers(features_ND)
    # the head's own last layer would compare with all prototypes
    prototype_PH = head.last_layer.weight_v
    if drawn_K is not None:
        prototype_PH = prototype_PH[drawn_K]
    with torch.autocast(features_ND.device.type, enabled=False):
        prototype_PH = functional.normalize(prototype_PH, dim=-1)
        return functional.normalize(projected_NH.to(prototype_PH.dtype), dim=-1) @ prototype_PH.T


def _head(dim: int, settings: parameters.Dino) -> Any:
    """DINO's projection head, whose prototypes have length one."""
    from lightly.models.modules.heads import DINOProjectionHead

    with warnings.catch_warnings():
        # its weights are normalised by a function that torch means to replace
        warnings.filterwarnings("ignore", message=".*weight_norm", category=FutureWarning)
        return DINOProjectionHead(dim, settings.hidden, settings.bottleneck, settings.prototypes)


def _count(prototypes: Prototypes, settings: parameters.Dino) -> int:
    if prototypes == ALL:
        return settings.prototypes
    if not 2 <= prototypes <= settings.prototypes:
        raise ValueError(
            f"{prototypes} prototypes are drawn of {settings.prototypes} (train.dino.prototypes); "
            "take 2 at least, and all at most"
        )
    return prototypes
