"""Parameters of `embed`."""

from typing import Annotated, Literal

from pydantic import Field

from clipcause.config import Strict


class Embed(Strict):
    """How images become vectors. All of it may change bits, so all of it is stated."""

    batch_size: Annotated[int, Field(ge=1)]
    precision: Literal["bf16", "fp32"]
    threads: Annotated[int, Field(ge=1)]
    device: Literal["cpu", "cuda"] = "cpu"
    keep_pixels: bool  # keep decoded images in the shard cache, for training to find
    # published embeddings (the key `embeddings` of a data set) that are not float16 of length one:
    # an error, or rescaled into a copy
    normalise: bool = False
