"""The training loop: AdamW, a cosine schedule, and a state on disk from which a killed run goes on.

The final weights are a function of data, parameters and seed on one machine: samples come in the
order of the feed, moved as ``augment`` says, and an interrupted run that resumes ends with the
same bits as one that was not interrupted.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from clipcause.config.train import Optimiser
from clipcause.embed.models import Clip
from clipcause.runtime.progress import progress
from clipcause.train.distributed import ALONE, World
from clipcause.train.feed import Asked, Data, Feed, Piece
from clipcause.train.objective import Objective
from clipcause.train.state import SAVE_EVERY_S, Line, Progress, States
from clipcause.train.step import Step

__all__ = ["Data", "Line", "Regime", "learning_rate", "train"]

LOGGED = 100  # lines of a training curve
SPREAD = 0x9E3779B1  # between the seeds of processes: odd, far from small


@dataclass(frozen=True)
class Regime:
    """What decides a run besides its data and its objective."""

    optimiser: Optimiser
    seed: int
    precision: str
    device: torch.device
    world: World = ALONE
    accumulate: int = 1


def train(
    objective: Objective,
    clip: Clip,
    data: Feed,
    regime: Regime,
    *,
    state: Path | None = None,
    code: str = "",
    label: str = "train",
    watch: Callable[[Line], None] = lambda _: None,
    save_every_s: float = SAVE_EVERY_S,
) -> list[Line]:
    """Train ``objective`` in place and return its curve: step, samples, loss, scale, lr.

    The scale is left out where the objective has none, and what it observes comes beside these.

    ``state`` is a file outside every output, named by what decides the run: it is written now and
    then, a run that finds one goes on from it, and the caller removes it once the result is safe.
    One that is damaged or was made by other code than ``code`` is not used, which is said.
    ``watch`` is called with every line of the curve, with those of an earlier start too. Raises
    ``ValueError`` when the loss is no longer finite.
    """
    settings = regime.optimiser
    asked = Asked(settings, regime.seed, regime.world, pinned=regime.device.type == "cuda")
    total = asked.total
    every = math.ceil(total / LOGGED)
    # typed as a plain module, for the overloads of a union are too many for the checker
    module: nn.Module = objective
    module.to(regime.device).to(memory_format=torch.channels_last)
    objective.train()
    if regime.world.rank:
        # what is random in a model is not the same in every process; a seed has 32 bits
        torch.manual_seed((regime.seed + regime.world.rank * SPREAD) % 2**32)
    step = Step(
        objective,
        clip,
        _optimiser(objective, settings),
        precision=regime.precision,
        device=regime.device,
        world=regime.world,
        accumulate=regime.accumulate,
    )
    states = States(state, code, step, regime.world, save_every_s)
    done = states.restored(regime.device)
    for line in done.curve:
        watch(line)
    todo: Iterator[int] = iter(range(done.step, total))
    if regime.world.first:
        # a batch is the unit of progress, which counts in samples
        todo = progress(
            range(done.step, total), label=label, unit="samples", scale=settings.batch_size
        )
    first, began = done.step, time.monotonic()
    for number, pieces in zip(todo, data.batches(asked, done.step), strict=True):
        rate = learning_rate(number, total, settings)
        for group in step.optimiser.param_groups:
            group["lr"] = rate
        objective.begin(number, total)
        done.losses.append(step(*_on_device(clip, pieces, regime.device)))
        objective.finish()
        for name, value in objective.observed().items():
            done.observed.setdefault(name, []).append(
                torch.as_tensor(value, dtype=torch.float32, device=regime.device)
            )
        done.step = number + 1
        if done.step % every == 0 or done.step == total:
            done.curve.append(_line(done, rate, objective, regime))
            done.losses, done.observed = [], {}
            watch(done.curve[-1])
        if done.step < total:
            states.save(done, regime.device)
    if regime.world.first and total > first:
        rate = (total - first) * settings.batch_size / (time.monotonic() - began)
        print(f"{label}: {rate:,.0f} samples a second", file=sys.stderr)
    objective.eval()
    return done.curve


def learning_rate(step: int, total: int, settings: Optimiser) -> float:
    """The rate of a step (from 0): linear over the warm-up, then half a cosine down to zero."""
    warm = settings.warmup * total
    if step + 1 <= warm:
        return settings.learning_rate * (step + 1) / warm
    share = (step - warm) / max(total - warm, 1.0)
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * max(share, 0.0)))


def _on_device(
    clip: Clip, pieces: list[Piece], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch in one: images as the model takes them, and targets, which may be images too."""
    images = _joined([piece.pixels.to(device, non_blocking=True) for piece in pieces])
    target = _joined([piece.target.to(device, non_blocking=True) for piece in pieces])
    if target.dtype == torch.uint8:
        target = clip.floats(target)
    return clip.floats(images), target


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


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


def _line(done: Progress, rate: float, objective: Objective, regime: Regime) -> Line:
    settings = regime.optimiser
    mean = torch.stack(done.losses).double().mean().cpu()
    # a process's loss is the mean over its share of the batch, and shares are equal
    loss = regime.world.gathered(mean).mean().item()
    if not math.isfinite(loss):
        raise ValueError(
            f"the loss is {loss} at step {done.step}: training diverged; lower the learning rate"
        )
    line: Line = {
        "step": done.step,
        "samples": min(done.step * settings.batch_size, settings.samples_seen),
        "loss": loss,
    }
    if objective.log_scale is not None:
        line["scale"] = objective.log_scale.detach().exp().item()
    line["lr"] = rate
    for name, values in sorted(done.observed.items()):
        mean = torch.stack(values).double().mean().cpu()
        line[name] = regime.world.gathered(mean).mean().item()
    return line
