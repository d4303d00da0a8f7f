"""The section `texts`: data sets whose captions become vectors, as their images do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from clipcause.config import FILE, Strict, look_up, parse, read, unknown

SECTION = "texts"
NONE = "none"


class Captions(Strict):
    """The captions of a data set under the encoder's text tower, or vectors that others made.

    ``captions``: of a row that has several, all, or the first. ``embeddings``: the features that
    DataComp publishes, `FOLDER#l14_txt`, found by uid: one a row.
    """

    captions: Literal["all", "first"] = "all"
    embeddings: str = NONE


def load(name: str, path: Path = FILE) -> Captions:
    """One entry. Raises ``ValueError`` for a name that is none, with the nearest that is one."""
    values = look_up(SECTION, name, read(path), path)
    return parse(values, Captions, f"{path}: {SECTION}.{name}")


def check_names(content: Mapping[str, Any], where: str) -> None:
    """Every entry is a data set."""
    for name in content[SECTION]:
        if name not in content["datasets"]:
            raise unknown("data set", name, content["datasets"], f"{where}: {SECTION}")
