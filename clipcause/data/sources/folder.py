"""A folder of images as a data set: the way in for a person's own pool or test set.

What files beside a picture say of it goes first (``clipcause.data.sources.beside``): a line of a
table, `photo.txt`, `photo.json`. An image in a sub-folder has the sub-folder's name as its label
and, spaces for underscores and where nothing else says one, as its caption; but not where a table
says what there is, or where img2dataset filled the folder, whose name then is a number.

Every file becomes a row or a line of the ledger. Pictures that are damaged or have no caption count
against ``max_drop_fraction``; what is no picture (a README, what tools leave behind) and formats
that cannot be read here do not.
"""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple
from unicodedata import category

import numpy as np
from PIL import Image
from pydantic import Field

from clipcause.config import nearest, versions
from clipcause.config.datasets import NONE, Limits, Prepare
from clipcause.data import picture, tree, values
from clipcause.data.dataset import Drop, Sample, uid
from clipcause.data.source import Copied
from clipcause.data.sources import audit, beside
from clipcause.data.sources.audit import Fault
from clipcause.data.sources.beside import Beside, Words
from clipcause.data.tree import Found
from clipcause.data.values import Lines
from clipcause.icons.raster import png

USUAL = Words()
NOT_A_PICTURE = "not a picture"
NO_PICTURE = "a caption without a picture"
UNREADABLE = "unreadable caption"
OTHER_SPLIT = "of another split"
# as Hugging Face calls them
SPLITS = frozenset(
    (
        *("train", "training", "validation", "valid", "dev", "val"),
        *("test", "testing", "eval", "evaluation"),
    )
)


class Folder(Copied):
    """Images with a .txt beside each, or a sub-folder a class."""

    source: Literal["folder"]
    captioned: ClassVar = True
    # what the lines of a .txt are: one caption, all but the first left out, or a caption each
    lines: Lines = "join"
    # the extension of the text, the key of the JSON or the column of the table that has the
    # caption; none: txt, and caption, captions, text or title
    caption: str = NONE
    # the key or column of the class, where there is one; else it is the sub-folder
    label: str = "label"
    # a table (.csv, .jsonl, .parquet) with a line a picture, by its path below the folder; beside:
    # each metadata.csv, .jsonl or .parquet that there is; none: no table
    metadata: str = beside.BESIDE
    # its column of paths; none: file_name or filepath
    file: str = NONE
    # the sub-folder that is read, where sub-folders are splits
    split: str = NONE
    # columns of the table, or keys of the JSON, that the manifest keeps, for rules
    columns: list[str] = Field(default_factory=list)

    def samples(self, raw: Path, settings: Prepare, name: str) -> Iterator[Sample | Drop]:  # noqa: ARG002
        """Images in order of their path, as squares of one size."""
        versions.check("pillow")
        columns = tuple(self.columns)
        read = Words(self.lines, self.caption, self.label, self.metadata, self.file, columns)
        return read_folder(raw, settings.image_size, settings, read, self.split)


def read_folder(
    folder: Path, size: int, limits: Limits, read: Words = USUAL, split: str = NONE
) -> Iterator[Sample | Drop]:
    """Every file below ``folder`` in order of its path, pictures as squares of ``size`` pixels.

    They are stored upright and opaque; proportions are kept, the rest is white. Links are followed.
    What cannot be used is a Drop: undecodable, too large, too small, no caption, no picture. Raises
    ``ValueError`` where all sub-folders are splits and none is named, and for a table or a name of
    ``read`` that is not there.
    """
    found = list(tree.files(folder))
    _check_splits(folder, found, split)
    said = Beside(folder, found, read)
    squares = _Squares(folder, size, limits, audit.available(), 0 if split == NONE else 1)
    keys: set[str] = set()
    for one in found:
        if one.name in said.used or one.name in said.lone:
            continue
        stem = one.name.with_suffix("")
        # pair.jpg and pair.png are two pictures, whose caption is that of pair.txt
        name = key(stem) if key(stem) not in keys else key(one.name)
        if split not in (NONE, one.name.parts[0]):
            yield Drop(str(one.name.parent), name, OTHER_SPLIT, one.name.name, counted=False)
            continue
        made = _one(squares, said, one, name)
        if isinstance(made, Sample):
            keys.add(name)
        yield made
    said.check()
    yield from said.drops
    for text in said.lone:
        name = key(text.with_suffix(""))
        yield Drop(str(text.parent), name, NO_PICTURE, text.name, counted=False)


def _check_splits(folder: Path, found: list[Found], split: str) -> None:
    """Sub-folders called train and test are no classes."""
    below = {one.name.parts[0] for one in found if not one.why and len(one.name.parts) > 1}
    if split != NONE and split not in below:
        raise ValueError(f"{folder}: no folder {split!r} for split; {nearest(split, below)}")
    alone = any(
        len(one.name.parts) == 1 and one.name.suffix.lower() in tree.PICTURES for one in found
    )
    if split == NONE and below and below <= SPLITS and not alone:
        raise ValueError(
            f"{folder}: its folders ({', '.join(sorted(below))}) are splits and no classes; say "
            f"`split: {min(below)}`, or read one of them as a data set of its own"
        )


def key(stem: Path) -> str:
    """The key of a picture: its path, as a rule without the extension.

    Dots are escaped, for WebDataset's extension begins at the first one, and control characters;
    folders stay folders, so that ``a/b`` and ``a_b`` are two keys.
    """
    return "".join(
        f"%{ord(letter):02X}" if letter in "%." or category(letter) == "Cc" else letter
        for letter in stem.as_posix()
    )


class _Squares(NamedTuple):
    """How pictures of a folder are stored; ``above`` folders stand above those of classes."""

    folder: Path
    size: int
    limits: Limits
    formats: tuple[str, ...]
    above: int


def _one(squares: _Squares, said: Beside, found: Found, key: str) -> Sample | Drop:
    name, path = found.name, squares.folder / found.name
    if found.why:
        where, shown = (
            os.fsencode(one).decode("utf-8", "backslashreplace") for one in (name.parent, name)
        )
        lost = found.why in (tree.DEAD, tree.NAME) and name.suffix.lower() in tree.PICTURES
        return Drop(where, shown, found.why, "", counted=lost)
    where = str(name.parent)
    if name not in said.pictures:
        return Drop(where, key, NOT_A_PICTURE, name.name, counted=False)
    try:
        words = said.of(name)
    except (OSError, ValueError) as error:
        return Drop(where, key, UNREADABLE, f"{name.name}: {error}")
    folders = name.parts[squares.above : -1]
    label = words.label or (folders[0] if folders and words.is_class else None)
    captions = words.captions or values.captions((label or "").replace("_", " "))
    if captions is None:
        return Drop(where, key, "no caption", words.lacking)
    content = _content(path, squares.limits)
    image = content if isinstance(content, Fault) else _square(path, content, squares)
    if isinstance(image, Fault):
        return Drop(where, key, image.reason, image.detail, counted=image.reason != audit.NOT_READ)
    assert isinstance(content, bytes)
    return Sample(
        key=key,
        image=image,
        uid=uid(content),
        extension="png",
        caption=captions.first,
        captions=captions.all,
        label=label,
        width=squares.size,
        height=squares.size,
        source=words.url or str(name),
        published=words.url is not None,
        pool_uid=words.uid,
        columns=words.columns,
    )


def _content(path: Path, limits: Limits) -> bytes | Fault:
    if (length := path.stat().st_size) > limits.most_bytes:
        return Fault(audit.TOO_LARGE, f"{length:,} bytes are more than {limits.most_bytes:,}")
    return path.read_bytes()


def _square(path: Path, content: bytes, squares: _Squares) -> bytes | Fault:
    _, size, limits, formats, _ = squares
    # all pixels, for all are used
    found = audit.look(content, limits.model_copy(update={"decode": "full"}), formats)
    if isinstance(found, Fault):
        return audit.not_read(path.name, formats) or found
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
