"""The state of a run on disk, from which a killed run goes on.

It is written by the first process and holds the random state and the unfinished line of the curve
of every one. Where the data stand is a function of the step. Only tensors and plain values are
read back (``weights_only``): a state is no program.
"""

import pickle
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float

from clipcause.runtime import atomic, notices, unchanged
from clipcause.train.distributed import World
from clipcause.train.step import Step

SAVE_EVERY_S = 20.0  # by the clock, for it changes no bit of the result
CHEAP_S = 0.4  # a state that takes longer to write is written as much more rarely

Line = dict[str, int | float]


@dataclass
class Progress:
    """How far a run is."""

    step: int = 0  # the next one
    curve: list[Line] = field(default_factory=list)
    losses: list[torch.Tensor] = field(default_factory=list)  # since the last line
    # what the objective saw, by name, since then
    observed: dict[str, list[torch.Tensor]] = field(default_factory=dict)


class States:
    """Reads and writes the state of a run; without a path it does neither."""

    def __init__(
        self, path: Path | None, code: str, step: Step, world: World, every_s: float
    ) -> None:
        self.path = path
        self._code = code
        self._step = step
        self._world = world
        self._every_s = every_s
        self._saved = time.monotonic()
        self._wait_s = every_s

    def restored(self, device: torch.device) -> Progress:
        """Load a state where there is one that fits, and say how far it is.

        One that is damaged or of other code is not used, which is said. Raises ``ValueError``
        where processes find different states.
        """
        content = self._read()
        progress = Progress()
        if content is not None:
            self._step.objective.load_state_dict(content["objective"])
            self._step.optimiser.load_state_dict(content["optimiser"])
            self._step.scaler.load_state_dict(content["scaler"])
            rank = self._world.rank
            # copies, for torch reads a view's memory from its beginning
            torch.set_rng_state(content["random"][rank].clone())
            if device.type == "cuda":
                torch.cuda.set_rng_state(content["random_cuda"][rank].clone(), device)
            losses = list(content["losses"][rank].to(device).unbind())
            observed = {
                name: list(values[rank].to(device).unbind())
                for name, values in content["observed"].items()
            }
            progress = Progress(content["step"], content["curve"], losses, observed)
        steps = self._world.gathered(torch.tensor(progress.step))
        if len(steps.unique()) > 1:
            raise ValueError(
                f"{self.path}: process 0 goes on from step {steps[0]}, others from "
                f"{steps[1:].tolist()}; all must see the same shard cache"
            )
        if progress.step and self._world.first and self.path:
            notices.line(f"going on from step {progress.step}: {self.path.name}")
        return progress

    def save(self, progress: Progress, device: torch.device) -> None:
        """Write the state, if it is time.

        Raises ``ValueError`` where a loss since the last line, or a weight, is not finite: what is
        not finite once stays so, and would take the place of the only good state.
        """
        if self.path is None:
            return
        due = time.monotonic() - self._saved >= self._wait_s
        if not self._world.agreed(flag=due):
            return
        began = time.monotonic()
        losses = self._world.gathered(_stacked(progress.losses))
        self._check_finite(progress.step, losses)
        unchanged.check()
        content = {
            "code": self._code,
            "objective": self._step.objective.state_dict(),
            "optimiser": self._step.optimiser.state_dict(),
            "scaler": self._step.scaler.state_dict(),
            "random": self._world.gathered(torch.get_rng_state()),
            "losses": losses,
            "observed": {
                name: self._world.gathered(_stacked(values))
                for name, values in sorted(progress.observed.items())
            },
            "step": progress.step,
            "curve": progress.curve,
        }
        if device.type == "cuda":
            content["random_cuda"] = self._world.gathered(torch.cuda.get_rng_state(device))
        if self._world.first:
            with atomic.file(self.path) as temporary:
                torch.save(content, temporary)
        self._saved = time.monotonic()
        self._wait_s = self._every_s * max(1.0, (self._saved - began) / CHEAP_S)

    def _check_finite(self, step: int, losses: Float[torch.Tensor, "P K"]) -> None:
        """``losses`` are those of all processes in the last steps before ``step``."""
        wrong = (~losses.isfinite()).any(0).nonzero().flatten().tolist()
        if wrong:
            what = f"the loss is not finite at step {step - losses.shape[1] + wrong[0] + 1}"
        elif not all(w.detach().isfinite().all() for w in self._step.objective.parameters()):
            what = f"weights are not finite after step {step}"
        else:
            return
        kept = "there is no state from before"
        if self.path and self.path.exists():
            kept = f"the last good state is kept: {self.path}"
        raise ValueError(f"{what}: training diverged, and {kept}; lower the learning rate")

    def _read(self) -> dict[str, Any] | None:
        path = self.path
        if path is None or not path.exists():
            return None
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
            self._say(f"{path}: damaged; training begins again")
            return None
        if content.get("code") != self._code:
            self._say(f"{path}: made by other code; training begins again")
            return None
        return content

    def _say(self, words: str) -> None:
        if self._world.first:
            notices.line(words)


def _stacked(losses: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(losses).float().cpu() if losses else torch.empty(0)
