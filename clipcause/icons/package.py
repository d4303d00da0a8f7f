"""Reading the icon package: one tarball of JSON files, one file an icon set.

The layout is that of the npm package `@iconify/json`: `package/collections.json` describes the
sets (author, licence, category), `package/json/<prefix>.json` holds the SVG bodies of one set.
Members are read straight from the tarball; nothing is unpacked.
"""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COLLECTIONS = "package/collections.json"
SETS = "package/json/"
BOX = {"left": 0, "top": 0, "width": 16, "height": 16}  # the package's defaults


@dataclass(frozen=True)
class Collection:
    """What the package says of one icon set."""

    prefix: str
    title: str
    author: str
    author_url: str
    licence: str  # SPDX identifier; empty where the package names none
    licence_url: str
    category: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Icon:
    """One drawing: its set, its author's name for it and its SVG source."""

    prefix: str
    name: str
    svg: str


def collections(archive: Path) -> dict[str, Collection]:
    """The description of every set, by prefix."""
    with _open(archive) as tar:
        for member in tar:
            if member.name == COLLECTIONS:
                described = json.load(_member(tar, member, archive))
                return {prefix: _collection(prefix, info) for prefix, info in described.items()}
    raise ValueError(f"{archive}: has no {COLLECTIONS}; it is not an icon package")


def icons(archive: Path, prefixes: set[str]) -> Iterator[tuple[str, list[Icon]]]:
    """Set by set, in the archive's order, the icons of ``prefixes`` in order of name.

    Icons that their set marks as hidden (withdrawn by the author) are left out. One pass: going
    back in a compressed tarball means to decompress it again from the start.
    """
    missing = set(prefixes)
    with _open(archive) as tar:
        for member in tar:
            prefix = member.name.removeprefix(SETS).removesuffix(".json")
            if not member.name.startswith(SETS) or prefix not in missing:
                continue
            missing.discard(prefix)
            content = json.load(_member(tar, member, archive))
            yield (
                prefix,
                [
                    Icon(prefix, name, _svg(content, icon))
                    for name, icon in sorted(content["icons"].items())
                    if not icon.get("hidden", False)
                ],
            )
    if missing:
        raise ValueError(f"{archive}: no file for the sets {', '.join(sorted(missing))}")


def _svg(content: dict[str, Any], icon: dict[str, Any]) -> str:
    left, top, width, height = (
        icon.get(key, content.get(key, default)) for key, default in BOX.items()
    )
    # `currentColor` takes the colour of the text around it: black here
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left} {top} {width} {height}" color="#000">{icon["body"]}</svg>'
    )


def _collection(prefix: str, info: dict[str, Any]) -> Collection:
    author, licence = info.get("author", {}), info.get("license", {})
    return Collection(
        prefix=prefix,
        title=info.get("name", prefix),
        author=author.get("name", ""),
        author_url=author.get("url", ""),
        licence=licence.get("spdx", ""),
        licence_url=licence.get("url", ""),
        category=info.get("category") or "",
        tags=tuple(info.get("tags", ())),
    )


def _open(archive: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(archive, "r:*")
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{archive}: not a readable tarball ({error})") from None


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path) -> Any:
    stream = tar.extractfile(member)
    if stream is None:
        raise ValueError(f"{archive}: {member.name} is not a file")
    return stream
