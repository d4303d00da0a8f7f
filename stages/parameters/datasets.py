"""Parameters of `prepare` and the entries of `datasets`."""

from typing import Annotated, Literal

from pydantic import Field

from stages.parameters import Strict


class Prepare(Strict):
    """What every data set has in common."""

    image_size: Annotated[int, Field(ge=16, le=1024)]  # pixels a side of what is stored
    shard_size: Annotated[int, Field(ge=1)]  # samples a shard
    max_drop_fraction: Annotated[float, Field(ge=0.0, le=1.0)]


class Dataset(Strict):
    """One data set: where it comes from."""

    # icons: a file of the catalogue. folder: images with a .txt beside each, or a folder a class
    source: Literal["icons", "folder"]
    raw: str
