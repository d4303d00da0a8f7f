"""`pretrained`: a model that open_clip has, with its weights."""

from typing import ClassVar, Literal

from clipcause.config.objective import Published


class Pretrained(Published):
    """The open_clip model ``model`` with the weights ``pretrained`` (a tag or a file)."""

    objective: Literal["pretrained"]

    keys: ClassVar = ("model", "pretrained")
    named: ClassVar = keys
    title: ClassVar = "pretrained"
