"""Parameters of `encoder`: by which model similarity is measured."""

from typing import Annotated, Literal

from pydantic import Field

from clipcause.config import Strict

NONE = "none"


class Encoder(Strict):
    """The similarity encoder.

    `train`: the CLIP of the full pool with the reference added, trained here once.
    `pretrained`: the open_clip model `model` with the weights `pretrained` (a tag or a file).
    `checkpoint`: the folder `path`, with an `open_clip_config.json` and weights.
    """

    name: str  # the folder of the embeddings
    source: Literal["train", "pretrained", "checkpoint"]
    seed: Annotated[int, Field(ge=0)] = 0
    model: str = "none"
    pretrained: str = "none"
    path: str = "none"
