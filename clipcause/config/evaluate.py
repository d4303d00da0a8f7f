"""Parameters of `evaluate`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from clipcause.config import Strict
from clipcause.config.templates import Templates

NAME = r"^[a-z0-9][a-z0-9_-]*$"  # of a folder and of a key of the metrics


class Again(Strict):
    """What else the test sets are asked with: other prompts, another list of classes, or more
    classes to choose from.

    ``classes`` is a list of `data/classes`; the ids of a test set's labels are in it. ``among``:
    the test set's own classes, as it is asked at first, or the whole list.
    """

    templates: Templates | None = None  # those of the section where it names none
    classes: str | None = None  # the study's where it names none
    among: Literal["own", "list"] = "own"

    @model_validator(mode="after")
    def _other(self) -> "Again":
        if self == Again.model_construct():
            raise ValueError("it asks what is asked anyway; name templates, classes or among: list")
        return self


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
    # every test set to classify is asked again with each of these, by runs that know captions
    again: dict[Annotated[str, Field(pattern=NAME)], Again] = Field(default_factory=dict)

    @property
    def lists(self) -> list[str]:
        """The lists of classes that ``again`` names."""
        return sorted({again.classes for again in self.again.values() if again.classes is not None})
