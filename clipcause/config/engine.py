"""Parameters of `engine`: where the stages that work shard by shard do it, and how training is
started and fed.

None of it changes a byte of a result, so DVC does not track the section, and may be without one.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from clipcause.config import FILE, Strict, parse, read

SECTION = "engine"
NONE = "none"


class Engine(Strict):
    """Workers: processes of this machine (``local``), or actors on a Ray cluster (``ray``)."""

    kind: Literal["local", "ray"] = "local"
    workers: Annotated[int, Field(ge=1)] = 1  # processes or actors; one local worker is the stage
    device: Literal["cpu", "cuda"] = "cpu"  # of the search's products
    gpus: Annotated[float, Field(ge=0.0)] = 0.0  # that each Ray actor takes; 0.5 puts two on one
    cpus: Annotated[float, Field(ge=0.0)] = 1.0  # that each Ray actor takes
    address: str = "local"  # of a Ray cluster (`auto`, `ray://…`); local starts one for the stage
    loaders: Annotated[int, Field(ge=0)] = 0  # processes that read for one in training; 0: itself
    launcher: str = NONE  # none: this machine's torchrun; else the words before `-m stages.train`

    def without_gpu(self) -> "Engine":
        """For work that has one thread and no GPU: its actors leave both to others."""
        return self.model_copy(update={"device": "cpu", "gpus": 0.0, "cpus": 1.0})


def current(path: Path = FILE) -> Engine:
    """The section ``engine`` of the parameters, or the defaults where there is none."""
    return parse(read(path).get(SECTION, {}), Engine, f"{path}: {SECTION}")
