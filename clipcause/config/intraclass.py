"""Parameters of `intraclass`: `name: {split: full, by: label}`."""

from typing import Literal

from pydantic import Field

from clipcause.config import Strict

NONE = "none"


class Intraclass(Strict):
    """The rows of which split (`none`: every row of the pool), and what says their classes.

    `label`: the class that the manifest has. `mention`: every class that the caption mentions, by
    the matches of `frequency`.
    """

    split: str = Field(description="a split, or none: every row of the pool")
    by: Literal["label", "mention"] = "label"
