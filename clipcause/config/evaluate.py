"""Parameters of `evaluate`."""

from typing import Annotated, Literal

from pydantic import Field

from clipcause.config import Strict
from clipcause.config.templates import Templates


class Evaluate(Strict):
    """Zero-shot classification with an ensemble of prompts; bias by the frequency of classes."""

    templates: Templates  # the name of a set, or a list; {name} is the class's name
    batch_size: Annotated[int, Field(ge=1)]
    precision: Literal["bf16", "fp32"]
    threads: Annotated[int, Field(ge=1)]
    device: Literal["cpu", "cuda"] = "cpu"
    # a class's frequency among a run's training rows: by their labels, or by the captions that
    # mention it; `none` gives no correlation with it
    frequency: Literal["none", "label", "mention"] = "none"
    features: bool = False  # store image features before normalisation, and class prototypes
    resamples: Annotated[int, Field(ge=0)] = 1000  # of the test images, for intervals; 0: none
    seed: Annotated[int, Field(ge=0)] = 0  # of the resamples
