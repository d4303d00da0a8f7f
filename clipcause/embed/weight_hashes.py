"""Hashes of the files of models that others trained: ``models/weights/<name>/card.json``."""

import os
from collections.abc import Mapping
from pathlib import Path

from clipcause.config import layout
from clipcause.data import shards
from clipcause.runtime import atomic

CARD = "card.json"


def hashes(path: Path) -> dict[str, str]:
    """SHA-256 of a file, or of all files of a folder, by their names below it.

    Links to files are followed, for folders of the hub's cache consist of them; hidden files are
    left out. Raises ``FileNotFoundError`` where nothing is.
    """
    if path.is_file():
        return {path.name: shards.digest(path)}
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: not found; it is named in the section weights")
    found = {}
    for folder, folders, files in os.walk(path):
        folders[:] = [one for one in folders if not one.startswith(".")]
        for one in (Path(folder) / name for name in files if not name.startswith(".")):
            found[one.relative_to(path).as_posix()] = shards.digest(one)
    if not found:
        raise FileNotFoundError(f"{path}: no files in this folder")
    return dict(sorted(found.items()))


def note(name: str, path: Path) -> dict[str, str]:
    """Write the hashes of the entry ``name`` of the section `weights`, and give them back."""
    found = hashes(path)
    atomic.write_json(layout.weights(name) / CARD, {"sha256": found})
    return found


def check_noted(name: str, read: Mapping[str, str]) -> None:
    """Raise ``ValueError`` where a file that was read has another hash than was noted last."""
    card = layout.weights(name) / CARD
    noted = atomic.read_json(card)["sha256"]
    for file, digest in read.items():
        if noted.get(file) != digest:
            raise ValueError(
                f"weights.{name}: {file} is another than {card} says: it was changed since; "
                "`dvc repro` looks at it again"
            )
