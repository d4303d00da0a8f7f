"""The entries of `runs`: what is trained on what."""

from typing import Annotated, Literal

from pydantic import Field

from stages.parameters import Strict

NONE = "none"


class Run(Strict):
    """One model. A supervised run learns from the reference alone, so its split is `none`."""

    split: str
    objective: Literal["clip", "supervised"]
    seed: Annotated[int, Field(ge=0)]
    reuse: Literal["none", "encoder"] = "none"  # take the encoder's model where it is the same
    add_reference: bool | None = None  # None: as `train` says
    # passes over the run's own rows; None: the samples that `train` states, the same for all runs
    epochs: Annotated[float, Field(gt=0.0)] | None = None
