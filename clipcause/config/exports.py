"""Parameters of `exports`: splits that are written as shards for other tools."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from clipcause.config import FILE, Strict, item, read, unknown
from clipcause.config.layout import BASES

SECTION = "exports"
SPLITS = "splits"
Captions = Literal["first", "all"]


class Export(Strict):
    """One export: which split, how many samples a shard has, and which of a picture's captions.

    With ``all`` the text of a sample has a line for each caption, as the CLIP benchmark reads
    them, and its JSON has them as a list; most trainers take the lines for one caption.
    """

    split: str = Field(description="the split that is written")
    shard_size: Annotated[int, Field(ge=1)]
    captions: Captions = "first"


def load(name: str, path: Path = FILE) -> Export:
    """One export; an unknown one, or one of an unknown split, is a ``ValueError``."""
    export = item(SECTION, name, Export, path)
    check_split(export, read(path).get(SPLITS), f"{path}: {SECTION}.{name}")
    return export


def load_all(path: Path = FILE) -> dict[str, Export]:
    """All exports by name; none where the section is absent or empty."""
    items = read(path).get(SECTION) or {}
    if not isinstance(items, dict):
        raise ValueError(f"{path}: {SECTION}: expected a mapping of named items")  # noqa: TRY004
    return {name: load(name, path) for name in items}


def check_split(export: Export, splits: Any, where: str) -> None:
    """Raise where the split is neither in the parameters nor one of the bases."""
    known = (*(splits if isinstance(splits, dict) else ()), *BASES)
    if export.split not in known:
        raise unknown("split", export.split, known, f"{where}.split")
