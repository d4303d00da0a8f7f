"""Parameters of `evaluate`."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from stages.parameters import Strict, nearest

# sets of prompts that open_clip has: the 80 of the CLIP paper, and the 7 that do nearly as well
NAMED = ("openai-imagenet", "simple-imagenet")


class Evaluate(Strict):
    """Zero-shot classification with an ensemble of prompts; bias by the frequency of classes."""

    templates: str | list[str]  # the name of a set, or a list; {name} is the class's name
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

    @field_validator("templates")
    @classmethod
    def _named(cls, templates: str | list[str]) -> str | list[str]:
        if isinstance(templates, str):
            if templates not in NAMED:
                raise ValueError(f"unknown set of templates; {nearest(templates, NAMED)}")
            return templates
        if not templates:
            raise ValueError("at least one template is needed")
        for template in templates:
            if "{name}" not in template:
                raise ValueError(f"template {template!r} has no {{name}}")
        return templates
