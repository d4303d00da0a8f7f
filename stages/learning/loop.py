"""The training loop: AdamW, a cosine schedule, and a state on disk from which a killed run goes on.

The final weights are a function of data, parameters and seed on one machine: samples come in the
order of ``order.Order``, moved as ``augment`` says, and an interrupted run that resumes ends with
the same bits as one that was not interrupted.

Shapes: N rows of the training set, S pixels a side.
"""

import math
import pickle
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import nn

from stages.artifacts import atomic
from stages.learning import augment, models, objectives
from stages.learning.models import Clip
from stages.learning.objectives import Objective
from stages.learning.order import Order, steps
from stages.parameters.train import Optimiser
from stages.progress import progress

LOGGED = 100  # lines of a training curve
SAVE_EVERY_S = 20.0  # by the clock, for it changes no bit of the result

Line = dict[str, int | float]


@dataclass(frozen=True)
class Data:
    """What a run learns from, in memory: images, and a caption's tokens or a class of each."""

    pixels: UInt8[np.ndarray, "N S S 3"]
    target: Int64[np.ndarray, "N ..."]


@dataclass(frozen=True)
class Run:
    """What decides a run besides its data and its objective."""

    optimiser: Optimiser
    seed: int
    precision: str
    device: torch.device


def train(
    objective: Objective,
    clip: Clip,
    data: Data,
    run: Run,
    *,
    state: Path | None = None,
    code: str = "",
    label: str = "train",
    watch: Callable[[Line], None] = lambda _: None,
    save_every_s: float = SAVE_EVERY_S,
) -> list[Line]:
    """Train ``objective`` in place and return its curve: step, samples, loss, scale, lr.

    ``state`` is a file outside every output, named by what decides the run: it is written now and
    then, a run that finds one goes on from it, and the caller removes it once the result is safe.
    One that is damaged or was made by other code than ``code`` is not used, which is said.
    ``watch`` is called with every line of the curve, with those of an earlier start too. Raises
    ``ValueError`` when the loss is no longer finite.
    """
    settings = run.optimiser
    total = steps(settings.samples_seen, settings.batch_size)
    every = math.ceil(total / LOGGED)
    # typed as a plain module, for the overloads of a union are too many for the checker
    module: nn.Module = objective
    module.to(run.device).to(memory_format=torch.channels_last)
    objective.train()
    optimiser = _optimiser(objective, settings)
    first, curve = _resume(state, code, objective, optimiser)
    for line in curve:
        watch(line)
    saved = time.monotonic()
    losses: list[torch.Tensor] = []
    # a batch is the unit of progress, which counts in samples
    todo = progress(range(first, total), label=label, unit="samples", scale=settings.batch_size)
    order = Order(len(data.pixels), run.seed)
    for step in todo:
        images, target = _batch(clip, data, order, run, step)
        rate = learning_rate(step, total, settings)
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad()
        with models.attention(clip, run.device):
            with models.autocast(run.precision, run.device):
                loss = objective(images, target)
            loss.backward()
        optimiser.step()
        objectives.limit_scale(objective)
        losses.append(loss.detach())
        if (step + 1) % every and step + 1 < total:
            continue
        curve.append(_line(step, rate, losses, objective, settings))
        losses = []
        watch(curve[-1])
        # only here, between two lines of the curve, so that no half of a line is to be kept
        if state and step + 1 < total and time.monotonic() - saved >= save_every_s:
            _save(state, code, objective, optimiser, step + 1, curve)
            saved = time.monotonic()
    objective.eval()
    return curve


def learning_rate(step: int, total: int, settings: Optimiser) -> float:
    """The rate of a step (from 0): linear over the warm-up, then half a cosine down to zero."""
    warm = settings.warmup * total
    if step + 1 <= warm:
        return settings.learning_rate * (step + 1) / warm
    share = (step - warm) / max(total - warm, 1.0)
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * max(share, 0.0)))


def _batch(
    clip: Clip, data: Data, order: Order, run: Run, step: int
) -> tuple[torch.Tensor, torch.Tensor]:
    settings = run.optimiser
    start = step * settings.batch_size
    stop = min(start + settings.batch_size, settings.samples_seen)
    row_B, epoch_B = order.samples(start, stop)
    shift_B2 = augment.shifts(run.seed, epoch_B, row_B, settings.shift)
    pixels = augment.shifted(data.pixels[row_B], shift_B2, settings.shift)
    target = torch.from_numpy(data.target[row_B])
    return clip.normalise(pixels, run.device), target.to(run.device)


def _optimiser(objective: Objective, settings: Optimiser) -> torch.optim.AdamW:
    """AdamW that shrinks matrices and filters only: gains, biases and the scale have no excess."""
    learnt = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learnt if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in learnt if p.ndim < 2], "weight_decay": 0.0},
    ]
    first, second = settings.betas
    return torch.optim.AdamW(
        groups, lr=settings.learning_rate, betas=(first, second), eps=settings.eps, fused=True
    )


def _line(
    step: int, rate: float, losses: list[torch.Tensor], objective: Objective, settings: Optimiser
) -> Line:
    loss = torch.stack(losses).double().mean().item()
    if not math.isfinite(loss):
        raise ValueError(
            f"the loss is {loss} at step {step + 1}: training diverged; lower the learning rate"
        )
    return {
        "step": step + 1,
        "samples": min((step + 1) * settings.batch_size, settings.samples_seen),
        "loss": loss,
        "scale": objective.log_scale.detach().exp().item(),
        "lr": rate,
    }


def _save(
    state: Path,
    code: str,
    objective: Objective,
    optimiser: torch.optim.AdamW,
    step: int,
    curve: list[Line],
) -> None:
    content = {
        "code": code,
        "objective": objective.state_dict(),
        "optimiser": optimiser.state_dict(),
        "random": torch.get_rng_state(),
        "step": step,
        "curve": curve,
    }
    with atomic.file(state) as temporary:
        torch.save(content, temporary)


def _resume(
    state: Path | None, code: str, objective: Objective, optimiser: torch.optim.AdamW
) -> tuple[int, list[Line]]:
    """Load a state where there is one that fits; the step to go on with and the curve so far."""
    if state is None or not state.exists():
        return 0, []
    try:
        content = torch.load(state, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
        print(f"{state}: damaged; training begins again", file=sys.stderr)
        return 0, []
    if content.get("code") != code:
        print(f"{state}: made by other code; training begins again", file=sys.stderr)
        return 0, []
    objective.load_state_dict(content["objective"])
    optimiser.load_state_dict(content["optimiser"])
    torch.set_rng_state(content["random"])
    print(f"going on from step {content['step']}: {state.name}", file=sys.stderr)
    return content["step"], content["curve"]
