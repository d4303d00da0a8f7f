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
from clipcause.config.report import Report
from clipcause.data import hub, hub_sets
from clipcause.data.place import is_url

NONE = "none"
HERE, MISSING, UNSEEN = "here", "missing", "not looked at"
UNPINNED = "not at a commit"  # a data set of the hub, which is read at none other
KEYS = ("raw", "place", "embeddings")  # of a data set, that name a path or a URL
LOCAL = ("file", "local")
# of the report, that count pictures, and what they are where they are not stated
PICTURES = {
    name: 0 if field.is_required() else field.default
    for name, field in Report.model_fields.items()
    if name in ("removed", "neighbours", "duplicates", "kept", "examples", "copies")
}


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


def check_pinned(content: Mapping[str, Any], path: Path) -> None:
    """Raise ``ValueError`` where a data set of the hub is named by another thing than a commit:
    nothing of it would be read, after all that comes before it."""
    loose = [(key, one) for key, one in named(content) if state(one) == UNPINNED]
    if loose:
        shown = ", ".join(f"{one} ({key})" for key, one in loose)
        raise ValueError(
            f"{path}: {UNPINNED}: {shown}; `python -m clipcause hub pin STUDY` writes today's "
            "commits there, and git keeps them"
        )


def check_pictures(content: Mapping[str, Any], path: Path) -> None:
    """Raise ``ValueError`` where a report would show pictures that are not to be shown on."""
    report = content["report"]
    shown = [key for key in PICTURES if report.get(key, PICTURES[key])]
    sets = [one for _, one in named(content) if hub_sets.is_private(one)]
    if shown and sets:
        raise ValueError(
            f"{path}: report.{shown[0]}: {report.get(shown[0], PICTURES[shown[0]])} pictures, and "
            f"those of {sets[0]} are in no page; 0, as of {', '.join(PICTURES)}"
        )


def state(path: str) -> str:
    """Whether something is at ``path``; for URLs of other schemes than file: nobody has asked."""
    scheme, _, rest = path.partition("://")
    if hub.is_hub(path) and not hub.is_pinned(path):
        return UNPINNED
    if is_url(path) and scheme not in LOCAL:
        return UNSEEN
    return HERE if Path(rest if is_url(path) else path).exists() else MISSING
