"""Parameters of `density`."""

from itertools import pairwise
from typing import Annotated

from pydantic import Field, field_validator

from clipcause.config import Strict

Band = Annotated[float, Field(gt=0.0, le=2.0)]


class Density(Strict):
    """How far under its threshold a test image's surroundings are counted."""

    bands: Annotated[list[Band], Field(min_length=1)]  # widths in cosine similarity, ascending

    @field_validator("bands")
    @classmethod
    def _ascending(cls, bands: list[float]) -> list[float]:
        if any(one >= following for one, following in pairwise(bands)):
            raise ValueError(f"expected ascending widths, each once, got {bands}")
        return bands
