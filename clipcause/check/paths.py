"""The paths that a study's parameters name, and whether anything is there.

A study can be valid on a machine that has none of its data. What the pipeline makes itself is not
listed; what lies in an object store or behind a URL is listed and not looked at, because asking
would take a network and somebody's credentials.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from clipcause.config import layout
from clipcause.config import paths as named_paths
from clipcause.config import places as outside
from clipcause.config import weights as others
from clipcause.data.place import is_url

NONE = "none"
HERE, MISSING, UNSEEN = "here", "missing", "not looked at"
KEYS = ("raw", "place", "embeddings")  # of a data set, that name a path or a URL
LOCAL = ("file", "local")


@dataclass(frozen=True)
class Place:
    """One path of the parameters: the key that names it, and its state."""

    key: str
    path: str
    state: str

    def __str__(self) -> str:
        return f"{self.state}: {self.path} ({self.key})"


def places(content: Mapping[str, Any], made: Iterable[str] = ()) -> list[Place]:
    """All paths that the parameters name, in the order of the file; ``made`` by the pipeline."""
    outs = set(made)
    found = []
    for key, path in named(content):
        above = {path, *map(str, PurePosixPath(path).parents)}
        if path != NONE and outs.isdisjoint(above):
            # FOLDER#ARRAY names features of DataComp
            folder = path.rpartition("#")[0] if key.endswith(".embeddings") else ""
            found.append(Place(key, path, state(folder or path)))
    return found


def named(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Key and path of everything in the parameters that can name a path."""
    yield "classes", str(layout.classes(content["classes"]))
    for key in ("sets", "classes"):
        yield f"icons.{key}", str(content["icons"].get(key, NONE))
    for name, package in content["fetch"].items():
        yield f"fetch.{name}.archive", package.get("archive", NONE)
    yield "frequency.wordnet", content["frequency"].get("wordnet", str(layout.RAW_WORDNET))
    for name, path in named_paths.of(outside.SECTION, content).items():
        yield f"{outside.SECTION}.{name}", path
    for name, entry in content["datasets"].items():
        for key in KEYS:
            yield f"datasets.{name}.{key}", str(entry.get(key, NONE))
    for name, path in named_paths.of(others.SECTION, content).items():
        yield f"{others.SECTION}.{name}", path
    for name, entry in content["runs"].items():
        yield f"runs.{name}.path", entry.get("path", NONE)
        if (weights := entry.get("pretrained", NONE)) != NONE:
            # a file of weights, or a tag that open_clip fetches the weights of
            where = weights if "/" in weights else f"open_clip://{weights}"
            yield f"runs.{name}.pretrained", where


def check_inside(content: Mapping[str, Any], path: Path, root: Path) -> None:
    """Raise ``ValueError`` for a relative path that leads out of the repository at ``root``.

    `dvc exp run --temp` and `--queue` work in copies of the repository, where it would lead
    somewhere else: such a path is absolute.
    """
    for key, named_path in named(content):
        if named_path == NONE or is_url(named_path) or Path(named_path).is_absolute():
            continue
        whole = Path(os.path.normpath(Path.cwd().resolve() / named_path))
        if not whole.is_relative_to(root):
            raise ValueError(
                f"{path}: {key}: {named_path} leads out of the repository, which copies of it for "
                f"experiments do not have there; write {whole}"
            )


def state(path: str) -> str:
    """Whether something is at ``path``; for URLs of other schemes than file: nobody has asked."""
    scheme, _, rest = path.partition("://")
    if is_url(path) and scheme not in LOCAL:
        return UNSEEN
    return HERE if Path(rest if is_url(path) else path).exists() else MISSING
