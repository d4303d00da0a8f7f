"""Parameters of `relevance`."""

from string import Formatter
from typing import Annotated, Literal

from pydantic import Field, field_validator

from clipcause.config import Strict

FIELDS = ("name", "definition")


class Relevance(Strict):
    """What captions are compared with, and how texts become vectors.

    `definitions`: `none` makes an empty artifact; `wordnet` takes the classes' own definitions and
    the glosses of their synsets. ``text`` is what is encoded of a class. ``captions``: of a row
    that has several, the mean of their similarities, that of the first, or the best.
    """

    definitions: Literal["none", "wordnet"] = "none"
    text: str = "{definition}"  # or "{name}, {definition}"
    captions: Literal["mean", "first", "best"] = "mean"
    batch_size: Annotated[int, Field(ge=1)] = 256
    precision: Literal["bf16", "fp32"] = "fp32"
    threads: Annotated[int, Field(ge=1)] = 2
    device: Literal["cpu", "cuda"] = "cpu"

    @field_validator("text")
    @classmethod
    def _fields(cls, value: str) -> str:
        named = {name for _, name, _, _ in Formatter().parse(value) if name is not None}
        if "definition" not in named or not named <= set(FIELDS):
            raise ValueError(f"{value!r} has to have {{definition}}, and may have {{name}}")
        return value
