"""The pictures of the page: small, as data URIs.

Measured on the icons of the embedded study (64 pixels): 0.96 kB as they are stored, 0.43 kB as
lossless WebP, 0.65 kB as lossy WebP; a photo of that size is smaller when lossy. The smaller one is
taken. A picture then costs less than the words beside it, so one that is shown twice is there twice
and the page needs no script to show it.
"""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from clipcause.data.manifest import Manifest
from clipcause.runtime.progress import progress

SIDE = 64  # pixels; larger images are scaled down to it
QUALITY = 75  # of lossy WebP
# of WebP: 1.5 % more bytes than with the most effort (6 and 100), in a twentieth of the time
EFFORT = 4
SEARCH = 75


@dataclass(frozen=True)
class Picture:
    """An image for the page: a data URI, the caption, its size in pixels."""

    uri: str
    caption: str
    width: int
    height: int

    @property
    def frame(self) -> tuple[int, int]:
        """Width and height on the page: small images are shown as large as others."""
        scale = SIDE / max(self.width, self.height)
        return round(self.width * scale), round(self.height * scale)


def read(wanted: Iterable[tuple[Manifest, int]]) -> dict[tuple[Path, int], Picture]:
    """Pictures by folder of their data set and row; a shard is read once."""
    rows_of: dict[Path, tuple[Manifest, set[int]]] = {}
    for source, row in wanted:
        rows_of.setdefault(source.folder, (source, set()))[1].add(row)
    found = {}
    sets = progress(rows_of.items(), label="report pictures", unit="sets")
    for folder, (source, rows) in sets:
        ordered = sorted(rows)
        shown = zip(ordered, source.image(ordered), captions(source, ordered), strict=True)
        for row, image, caption in shown:
            found[folder, row] = picture(image, caption, f"{folder}: image of row {row}")
    return found


def captions(source: Manifest, rows: Sequence[int]) -> list[str]:
    """The captions of a few rows, which ascend; memory holds those of one shard."""
    found = []
    positions = np.searchsorted(source.starts, rows, side="right") - 1
    for position in np.unique(positions):
        column = source.shard_table(int(position), ["caption"])["caption"]
        inside = np.array(rows)[positions == position] - source.starts[position]
        found += column.take(inside).to_pylist()
    return found


def picture(image: bytes, caption: str, where: str) -> Picture:
    """Bytes of an image as a picture for the page, on white, at most ``SIDE`` pixels.

    Raises ``ValueError`` with ``where`` for bytes that are no image.
    """
    small = on_white(image, where)
    small.thumbnail((SIDE, SIDE))
    encoded = min((_webp(small, lossless=True), _webp(small, lossless=False)), key=len)
    uri = f"data:image/webp;base64,{base64.b64encode(encoded).decode()}"
    return Picture(uri, caption, *small.size)


def on_white(image: bytes, where: str) -> Image.Image:
    """Bytes of an image as one without transparency.

    Raises ``ValueError`` with ``where`` for bytes that are no image.
    """
    try:
        with Image.open(io.BytesIO(image)) as opened:
            found = opened.convert("RGBA")
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{where}: not readable: {error}; prepare the data set again") from None
    return Image.alpha_composite(Image.new("RGBA", found.size, "white"), found).convert("RGB")


def _webp(image: Image.Image, *, lossless: bool) -> bytes:
    stream = io.BytesIO()
    # of lossless WebP `quality` is the effort of the search for the fewest bytes
    quality = SEARCH if lossless else QUALITY
    image.save(stream, "WEBP", lossless=lossless, quality=quality, method=EFFORT)
    return stream.getvalue()
