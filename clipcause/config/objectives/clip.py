"""`clip`: images and their captions, told from all others of a batch."""

from typing import ClassVar, Literal

from clipcause.config.objective import Captioned


class Clip(Captioned):
    """A run on captions: those of the pool, or such as a template makes of a row's class."""

    objective: Literal["clip"]

    title: ClassVar = "CLIP"
