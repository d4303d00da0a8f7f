"""A folder of images as a data set: the way in for a person's own pool or test set.

Two layouts, which may be mixed. `photo.jpg` with `photo.txt` beside it is an image with a caption.
An image in a sub-folder without such a file has the sub-folder's name as its label and, spaces
for underscores, as its caption.

Every file becomes a row or a line of the ledger. Pictures that are damaged or have no caption count
against ``max_drop_fraction``; what is no picture (a README, what tools leave behind) and formats
that cannot be read here do not.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Literal
from unicodedata import category

import numpy as np
from PIL import Image

from clipcause.config import versions
from clipcause.config.datasets import Limits, Prepare
from clipcause.data import picture, tree, values
from clipcause.data.dataset import Drop, Sample, uid
from clipcause.data.source import Copied
from clipcause.data.sources import audit
from clipcause.data.sources.audit import Fault
from clipcause.data.tree import Found
from clipcause.data.values import Captions, Lines
from clipcause.icons.raster import png

TEXT = ".txt"
# Pillow's names of what is tried, where it can be; phones save HEIF, a package of its own reads it
FORMATS = (*audit.OPENED, "GIF", "BMP", "TIFF", "AVIF", "HEIF")
# extensions of what is not read everywhere, and how it would be
SOMETIMES = {
    "AVIF": ((".avif", ".avifs"), "; Pillow 11.3 and later reads it"),
    "HEIF": ((".heic", ".heif"), "; the extra `heif` of the project reads it"),
    "others": ((".jp2", ".jxl", ".ico", ".psd", ".dng", ".raw"), ""),
}

NOT_A_PICTURE = "not a picture"
NOT_READ = "format that is not read"
NO_PICTURE = "a caption without a picture"
UNREADABLE = "unreadable caption"


class Folder(Copied):
    """Images with a .txt beside each, or a sub-folder a class."""

    source: Literal["folder"]
    captioned: ClassVar = True
    # what the lines of a .txt are: one caption, all but the first left out, or a caption each
    lines: Lines = "join"

    def samples(self, raw: Path, settings: Prepare, name: str) -> Iterator[Sample | Drop]:  # noqa: ARG002
        """Images in order of their path, as squares of one size."""
        versions.check("pillow")
        return read_folder(raw, settings.image_size, settings, self.lines)


def read_folder(
    folder: Path, size: int, limits: Limits, lines: Lines = "join"
) -> Iterator[Sample | Drop]:
    """Every file below ``folder`` in order of its path, pictures as squares of ``size`` pixels.

    They are stored upright and opaque; proportions are kept, the rest is white. Links are followed.
    What cannot be used is a Drop: undecodable, too large, too small, no caption, no picture.
    """
    formats = _formats()
    found = list(tree.files(folder))
    texts = {
        one.name.with_suffix(""): one.name
        for one in found
        if not one.why and one.name.suffix.lower() == TEXT
    }
    keys: set[str] = set()
    unread = dict(texts)
    for one in found:
        stem = one.name.with_suffix("")
        if texts.get(stem) == one.name:
            continue
        # pair.jpg and pair.png are two pictures, whose caption is that of pair.txt
        name = key(stem) if key(stem) not in keys else key(one.name)
        made = _one(folder, one, name, texts.get(stem), lines, size, limits, formats)
        if isinstance(made, Sample):
            keys.add(name)
        if isinstance(made, Sample) or made.reason != NOT_A_PICTURE:
            unread.pop(stem, None)
        yield made
    for stem, text in unread.items():
        yield Drop(str(text.parent), key(stem), NO_PICTURE, text.name, counted=False)


def key(stem: Path) -> str:
    """The key of a picture: its path, as a rule without the extension.

    Dots are escaped, for WebDataset's extension begins at the first one, and control characters;
    folders stay folders, so that ``a/b`` and ``a_b`` are two keys.
    """
    return "".join(
        f"%{ord(letter):02X}" if letter in "%." or category(letter) == "Cc" else letter
        for letter in stem.as_posix()
    )


def _one(
    folder: Path,
    found: Found,
    key: str,
    text: Path | None,
    lines: Lines,
    size: int,
    limits: Limits,
    formats: tuple[str, ...],
) -> Sample | Drop:
    name, path = found.name, folder / found.name
    if found.why:
        where, shown = (
            os.fsencode(one).decode("utf-8", "backslashreplace") for one in (name.parent, name)
        )
        lost = found.why in (tree.DEAD, tree.NAME) and name.suffix.lower() in tree.PICTURES
        return Drop(where, shown, found.why, "", counted=lost)
    where = str(name.parent)
    if not tree.is_picture(path):
        return Drop(where, key, NOT_A_PICTURE, name.name, counted=False)
    label = name.parts[0] if len(name.parts) > 1 else None
    try:
        said = _captions(folder / text if text else None, label, lines)
    except (OSError, ValueError) as error:
        return Drop(where, key, UNREADABLE, f"{text}: {error}")
    if said is None:
        return Drop(where, key, "no caption", f"neither {name.stem}{TEXT} nor a folder")
    content = _content(path, limits)
    image = content if isinstance(content, Fault) else _square(path, content, size, limits, formats)
    if isinstance(image, Fault):
        return Drop(where, key, image.reason, image.detail, counted=image.reason != NOT_READ)
    assert isinstance(content, bytes)
    return Sample(
        key=key,
        image=image,
        uid=uid(content),
        extension="png",
        caption=said.first,
        captions=said.all,
        label=label,
        width=size,
        height=size,
        source=str(name),
    )


def _captions(text: Path | None, label: str | None, lines: Lines) -> Captions | None:
    if text is not None:
        return values.of_lines(values.decoded(text.read_bytes()), lines)
    return values.captions((label or "").replace("_", " "))


def _content(path: Path, limits: Limits) -> bytes | Fault:
    if (length := path.stat().st_size) > limits.most_bytes:
        return Fault(audit.TOO_LARGE, f"{length:,} bytes are more than {limits.most_bytes:,}")
    return path.read_bytes()


def _square(
    path: Path, content: bytes, size: int, limits: Limits, formats: tuple[str, ...]
) -> bytes | Fault:
    # all pixels, for all are used
    found = audit.look(content, limits.model_copy(update={"decode": "full"}), formats)
    if isinstance(found, Fault):
        for kind, (extensions, reads) in SOMETIMES.items():
            if kind not in formats and path.suffix.lower() in extensions:
                return Fault(NOT_READ, f"{path.name}{reads}")
        return found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd EXIF data, of which one number is wanted
            whole = picture.decode(content, formats)
    except OSError as error:
        return Fault(audit.UNDECODABLE, str(error))
    scale = size / max(whole.size)
    sides = [max(1, round(side * scale)) for side in whole.size]
    small = whole.resize((sides[0], sides[1]), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (size, size), "white")
    square.paste(small, ((size - small.width) // 2, (size - small.height) // 2))
    return png(np.asarray(square))


def _formats() -> tuple[str, ...]:
    """What can be opened here."""
    with suppress(ImportError):
        import pillow_heif  # ty: ignore[import-not-found] - an extra

        pillow_heif.register_heif_opener()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)
