"""Parameters of `encoder`: by which model similarity is measured."""

from typing import ClassVar

from pydantic import Field

from clipcause.config import Strict

A_RUN = "the encoder is a run now: name it in encoder.run, and state its {} in runs"


class Encoder(Strict):
    """The similarity encoder: the image tower of a run.

    By default that is CLIP on the split `all`, the whole pool with the reference added. A model
    that others trained is a run too, of objective `pretrained` or `checkpoint`.
    """

    name: str = Field(description="the folder of the embeddings")
    run: str = Field(description="one of runs, whose split is all or none")

    renamed: ClassVar[dict[str, str]] = {
        "source": A_RUN.format("objective (clip, pretrained or checkpoint)"),
        **{name: A_RUN.format(name) for name in ("seed", "model", "pretrained", "path")},
    }
