"""`pretrained`: a model that open_clip has, with its weights."""

from typing import ClassVar, Literal

from clipcause.config.objective import Published
from clipcause.config.runs import NONE
from clipcause.config.weights import HUB


class Pretrained(Published):
    """The open_clip model ``model`` with the weights ``pretrained`` (a tag or a file)."""

    objective: Literal["pretrained"]
    like: str = NONE  # the tag by whose settings a file of weights was learnt

    keys: ClassVar = ("model", "pretrained")
    named: ClassVar = keys
    title: ClassVar = "pretrained"

    @property
    def has_weights(self) -> bool:
        """In a file of the section `weights`, or in the repository that the model is named by."""
        return super().has_weights or self.model.startswith(HUB)
