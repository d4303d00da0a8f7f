"""The files below a folder that a person filled: all of them, in order, and which are pictures.

Links are followed, to folders too, which often lie on another disk. What tools leave behind
(thumbnails, checkpoints of notebooks, forks of macOS) is no picture of the person's, whatever it is
called; it is named as such, for nothing that is there vanishes without a word.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# what claims to be a picture by its name, whether it can be read here or not
PICTURES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
        *(".avif", ".avifs", ".heic", ".heif", ".jp2", ".jxl", ".ico", ".psd", ".dng", ".raw"),
    )
)
# what a picture begins with, for files without an extension
BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1")  # of ISO media files that are pictures
TOOLS = frozenset({"__macosx", "@eadir", "thumbs.db", "desktop.ini"})  # beside hidden ones

TOOL = "left by a tool"
DEAD = "dead link"
CIRCLE = "link to a folder that it is in"
NAME = "name is not UTF-8"


class Found(NamedTuple):
    """A file, by its path from the folder. ``why`` nothing of it is to be used, or empty."""

    name: Path
    why: str = ""


def files(folder: Path) -> Iterator[Found]:
    """Every file below ``folder``, by the names of folders and files in their order."""
    yield from _below(folder, Path(), (os.path.realpath(folder),), "")


def _below(folder: Path, name: Path, above: tuple[str, ...], why: str) -> Iterator[Found]:
    """What is below the folder ``name``; ``above`` are the folders, without links, to it."""
    for entry in sorted(os.scandir(folder / name), key=lambda entry: entry.name):
        path = name / entry.name
        reason = why or (TOOL if is_tools(entry.name) else "") or _not_text(entry.name)
        linked = entry.is_symlink()
        if not entry.is_dir():
            dead = linked and not (folder / path).exists()
            yield Found(path, reason or (DEAD if dead else ""))
            continue
        real = os.path.realpath(folder / path) if linked else str(Path(above[-1], entry.name))
        if real in above:
            yield Found(path, CIRCLE)
        else:
            yield from _below(folder, path, (*above, real), reason)


def links(folder: Path) -> list[str]:
    """The links to folders below ``folder``, by their paths from it; not those behind others."""
    return sorted(
        os.path.relpath(os.path.join(above, name), folder)  # noqa: PTH118
        for above, names, _ in os.walk(folder)
        for name in names
        if Path(above, name).is_symlink()
    )


def is_tools(name: str) -> bool:
    """Whether a file or folder is hidden, or called as only tools call theirs."""
    return name.startswith(".") or name.lower() in TOOLS


def is_picture(path: Path) -> bool:
    """Whether a file claims to be a picture: by its extension, or, without one, by its begin."""
    if path.suffix:
        return path.suffix.lower() in PICTURES
    with path.open("rb") as stream:
        first = stream.read(16)
    webp = first[:4] == b"RIFF" and first[8:12] == b"WEBP"
    media = first[4:8] == b"ftyp" and first[8:12] in BRANDS
    return webp or media or first.startswith(BEGINNINGS)


def _not_text(name: str) -> str:
    """Why a name cannot be stored; empty where it can."""
    try:
        os.fsencode(name).decode()
    except UnicodeDecodeError:
        return NAME
    return ""
