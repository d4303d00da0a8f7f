"""The entries of `probes`: linear classifiers on the features of a run's model."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from clipcause.config import Strict

NONE = "none"
POOL = "pool"
Count = Annotated[int, Field(ge=1)]
Strength = Annotated[float, Field(gt=0.0)]


class Probe(Strict):
    """Logistic regression on labelled rows: on all of them, or on some of every class."""

    run: str = Field(description="the run whose features they are")
    data: Literal["pool", "reference"] = Field(description="pool or reference, whose labelled rows")
    split: str = Field(description="rows of the pool, or none: all of it, or of the reference")
    shots: list[Count] = Field(default_factory=list)  # rows of a class; empty: all rows
    draws: Count = 1  # of the rows that are held out, and of the shots
    seed: Annotated[int, Field(ge=0)] = 0
    # of the weights' square beside the mean loss of a row; the best one is taken on rows held out
    regularisation: Annotated[list[Strength], Field(min_length=1)]
    # of every class that has two rows at least; nothing where there is nothing to choose
    held_out: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    iterations: Count = 1000  # of L-BFGS at most

    @model_validator(mode="after")
    def _one_set(self) -> "Probe":
        if self.data != POOL and self.split != NONE:
            raise ValueError(f"split {self.split!r} is of the pool: data {self.data} has none")
        for name in ("shots", "regularisation"):
            if len(set(values := getattr(self, name))) < len(values):
                raise ValueError(f"{name} has a value twice: {values}")
        return self
