"""Parameters of `evaluate`."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from stages.parameters import Strict


class Evaluate(Strict):
    """Zero-shot classification with an ensemble of prompts."""

    templates: Annotated[list[str], Field(min_length=1)]  # {name} is the class's name
    batch_size: Annotated[int, Field(ge=1)]
    precision: Literal["bf16", "fp32"]
    threads: Annotated[int, Field(ge=1)]
    device: Literal["cpu", "cuda"] = "cpu"

    @field_validator("templates")
    @classmethod
    def _named(cls, templates: list[str]) -> list[str]:
        for template in templates:
            if "{name}" not in template:
                raise ValueError(f"template {template!r} has no {{name}}")
        return templates
