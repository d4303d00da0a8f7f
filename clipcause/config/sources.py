"""Parameters of single sources: further keys of an entry of `datasets`.

Every entry has the slots of `clipcause.config.datasets`; these groups hold what one source alone
understands.
"""

from typing import Annotated, Literal

from pydantic import Field

from clipcause.config import Strict

Count = Annotated[int, Field(ge=0)]


class WebDataset(Strict):
    """`source: webdataset`: the tars of img2dataset below ``place``, read where they lie."""

    # their names: one or several, with {00000..00099} and, for what a folder happens to hold, *
    shards: str | list[str] = "*.tar"
    # the key of a sample's JSON that has its class, where it has no cls; none: no classes
    label: str = "none"


class ImageFolder(Strict):
    """`source: imagefolder`: a folder a class, as ImageNet and its test sets are distributed."""

    # what the folders are named by: the class's id, its position in the class list (ImageNet-V2),
    # or ObjectNet's own names, with its `mappings` beside `images`
    layout: Literal["wnid", "index", "objectnet"] = "wnid"
    # pixels that are cut off on every side; null: the red line around ObjectNet's images, else none
    border: Annotated[int, Field(ge=0, le=16)] | None = None
    # the shorter side where the image is larger, stored as JPEG; 0: the original bytes
    resize: Annotated[int, Field(ge=0, le=4096)] = 0
    # what must be there, for a class that is missing would go unnoticed; 0: not checked
    classes: Count = 0
    images: Count = 0


class Embeddings(Strict):
    """`source: embeddings`: a clip-retrieval folder below ``place``.

    The columns of its metadata; `none` for one that they do not have. The defaults are those of
    LAION's published folders.
    """

    caption: str = "caption"
    url: str = "url"
    key: str = "image_path"  # none: numbers in the order of the file
    width: str = "none"
    height: str = "none"


class Table(Strict):
    """`source: table`: captions and labels without images, in Parquet, TSV or CSV (.gz) files.

    The columns; `none` for one that the files do not have. The defaults are those of LAION's
    metadata.
    """

    caption: str = "TEXT"
    url: str = "URL"
    label: str = "none"
    key: str = "none"  # none: numbers in the order of the file
    width: str = "WIDTH"
    height: str = "HEIGHT"
    # the columns of TSV and CSV files whose first line does not name them, in order
    header: list[str] = Field(default_factory=list)
