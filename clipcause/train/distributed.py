"""Several processes that train one model: torchrun, and what they tell each other.

`train.processes` says how many there are, on all machines together. A stage that is started alone
becomes their torchrun; one that torchrun (or srun, which must set what torchrun does) has started
joins the others:

    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 \\
        -m stages.train RUN

on every machine, or the words before `-m stages.train` as `engine.launcher`, so that DVC starts
them. Gradients and features travel by NCCL on GPUs and gloo on CPUs; only the process of rank 0
writes. All must see the same files, those of the shard cache among them.
"""

import ctypes
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed

from clipcause.config.engine import NONE
from clipcause.config.train import Train
from clipcause.train import torchrun

DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux's prctl


@dataclass(frozen=True)
class World:
    """The processes of a run, and which of them this one is."""

    rank: int = 0
    size: int = 1
    local: int = 0  # among those of this machine: the number of its GPU
    control: Any = None  # the group in which small things on the CPU are exchanged

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def agreed(self, *, flag: bool) -> bool:
        """The first process's ``flag``, for a decision by its clock or its disk."""
        if self.size == 1:
            return flag
        told = torch.tensor([int(flag)])
        distributed.broadcast(told, 0, group=self.control)
        return bool(told.item())

    def gathered(self, values: torch.Tensor) -> torch.Tensor:
        """The equally shaped CPU tensors of all processes, stacked in the order of the ranks."""
        if self.size == 1:
            return values[None]
        everyone = [torch.empty_like(values) for _ in range(self.size)]
        distributed.all_gather(everyone, values.contiguous(), group=self.control)
        return torch.stack(everyone)


ALONE = World()


def launch(train: Train, launcher: str, module: str, *words: str) -> None:
    """Become the launcher of ``train.processes`` processes of a stage, unless this is one of them.

    ``launcher`` is that of the section `engine`: none is this machine's (``torchrun``). Returns
    where there is nothing to launch; else this process is replaced.
    """
    if started() or (train.processes == 1 and launcher == NONE):
        return
    here = [sys.executable, "-m", torchrun.__name__, "--standalone"]
    command = [*here, f"--nproc-per-node={train.processes}"]
    if launcher != NONE:
        command = shlex.split(launcher)
    # torchrun would set it to 1, and say so
    os.environ.setdefault("OMP_NUM_THREADS", str(train.threads))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvp(command[0], [*command, "-m", module, *words])


def started() -> bool:
    """Whether this process was started as one of several: RANK and WORLD_SIZE are set."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


@contextmanager
def joined(train: Train) -> Generator[World]:
    """Join the processes of the run for the length of a block; alone, there is nothing to join.

    Processes other than the first print nothing on stdout. When the block ends all wait for each
    other, so that none leaves before the first has written. Raises ``ValueError`` where there are
    more or fewer than `train.processes`, and ``ConnectionError`` where another one is lost.
    """
    size = int(os.environ["WORLD_SIZE"]) if started() else 1
    if size != train.processes:
        raise ValueError(
            f"train.processes is {train.processes}, and {size} were started; make them the same"
        )
    if size == 1:
        yield ALONE
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    _leave_with_parent()
    gpu = torch.device("cuda", local) if train.device == "cuda" else None
    if gpu is not None:
        torch.cuda.set_device(gpu)
    if rank:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for good: one of them speaks
    # open_clip gathers by a function that torch means to replace
    warnings.filterwarnings("ignore", message="torch.distributed.nn.functional.all_gather")
    try:
        distributed.init_process_group("nccl" if gpu else "gloo", device_id=gpu)
        yield World(rank, size, local, distributed.new_group(backend="gloo"))
        distributed.barrier()
    except RuntimeError as error:
        if not _lost(error):
            raise
        first = str(error).splitlines()[0]
        raise ConnectionError(f"process {rank} of {size}: lost another one: {first}") from error
    # not where something failed: it would wait for processes that are gone
    distributed.destroy_process_group()


def _lost(error: RuntimeError) -> bool:
    """Whether an error of torch's says that another process cannot be reached."""
    words = ("Connection closed", "Connection reset", "Broken pipe", "Timed out", "gloo")
    return isinstance(error, distributed.DistError) or any(word in str(error) for word in words)


def _leave_with_parent() -> None:
    """Have the kernel end this process when torchrun is killed, which else would leave it alone."""
    if sys.platform == "linux" and "TORCHELASTIC_RUN_ID" in os.environ:
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
