"""`checkpoint`: a model in a folder."""

from typing import ClassVar, Literal

from clipcause.config.objective import Published


class Checkpoint(Published):
    """A folder with an `open_clip_config.json` and weights: an entry of `weights`, or ``path``."""

    objective: Literal["checkpoint"]

    keys: ClassVar = ("path",)
    named: ClassVar = keys
    title: ClassVar = "checkpoint"
