"""`checkpoint`: a model in a folder."""

from typing import ClassVar, Literal

from clipcause.config.objective import Published


class Checkpoint(Published):
    """The folder ``path``, with an `open_clip_config.json` and weights."""

    objective: Literal["checkpoint"]

    keys: ClassVar = ("path",)
    named: ClassVar = keys
    title: ClassVar = "checkpoint"
