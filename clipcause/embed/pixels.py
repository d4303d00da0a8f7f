"""Images of a data set as one array of the size that a model takes, decoded once and kept.

The pixels are those of open_clip's own transform (shorter side to the size, centre crop, RGB) up
to the normalisation, which is left to the model's side: bytes are a quarter of the floats. What a
transparent image shows through is white, for black glyphs on black are nothing.

Each shard's array is kept in the shard cache under the hash of this module's code, Pillow's
version, the size, the shard's SHA-256 and its rows (which samples of a tar are rows is up to the
audit's limits), so that every stage of every run decodes a shard once.

Shapes: N images of S x S pixels.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from clipcause.config import Strict, versions
from clipcause.data import picture
from clipcause.data.dataset import Manifest
from clipcause.runtime import atomic, code, unchanged
from clipcause.runtime import shard_cache as cache
from clipcause.runtime.progress import progress

DECODED_AT_ONCE = 256
LONG = 8  # times the shorter side: of a longer image only the middle is resized

# what Pillow raises for an image that it cannot decode
UNDECODABLE = (OSError, SyntaxError, Image.DecompressionBombError)

Pixels = UInt8[np.ndarray, "N S S 3"]
Resize = Literal["shortest", "squash"]
RESIZES = get_args(Resize)


class View(Strict):
    """How an image becomes a model's square."""

    size: int  # pixels a side
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"  # both with antialiasing
    # shortest: the shorter side is made that long, and the middle cut out; squash: both sides are
    resize: Resize = "shortest"

    def stated(self) -> dict[str, Any]:
        """What decides pixels; how images are resized where that is not as usual."""
        return self.model_dump(exclude={"resize"} if self.resize == "shortest" else None)


FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def decode(image: bytes, view: View) -> UInt8[np.ndarray, "S S 3"]:
    """Decode one image; raises ``OSError`` where Pillow cannot.

    Memory is bounded by the image's own pixels, whatever its proportions are.
    """
    picture = opened(image)
    if view.resize == "squash":
        whole = 0, 0, *picture.size
        return resized(picture, view, np.array(whole))
    short = min(picture.size)
    if short != view.size:
        # the longer side is cut down to a whole number, as torchvision does
        width, height = (int(view.size * side / short) for side in picture.size)
        if max(width, height) > LONG * view.size:
            return _middle(picture, (width, height), view)
        picture = picture.resize((width, height), FILTERS[view.interpolation])
    left, top = (round((side - view.size) / 2.0) for side in picture.size)
    return np.asarray(picture.crop((left, top, left + view.size, top + view.size)))


def _middle(picture: Image.Image, whole: tuple[int, int], view: View) -> UInt8[np.ndarray, "S S 3"]:
    """The centre crop of a long image that would have the size ``whole`` when it is resized.

    Three times the crop is made along the longer side, so that the filter sees past its edges.
    """
    size = [min(side, 3 * view.size) for side in whole]
    crop = [round((side - view.size) / 2.0) for side in whole]
    first = [max(0, at - view.size) for at in crop]
    scale = [side / of for side, of in zip(picture.size, whole, strict=True)]
    x, y = (at * by for at, by in zip(first, scale, strict=True))
    right, bottom = ((at + of) * by for at, of, by in zip(first, size, scale, strict=True))
    # cut to whole pixels first: with a part of a large image Pillow's order of passes is another
    near = int(x), int(y), min(picture.width, ceil(right)), min(picture.height, ceil(bottom))
    part = picture.crop(near)
    # rounding must not put a corner outside
    ends = min(right - near[0], part.width), min(bottom - near[1], part.height)
    box = x - near[0], y - near[1], *ends
    part = part.resize((size[0], size[1]), FILTERS[view.interpolation], box=box)
    left, top = (at - begins for at, begins in zip(crop, first, strict=True))
    return np.asarray(part.crop((left, top, left + view.size, top + view.size)))


def opened(image: bytes) -> Image.Image:
    """An image in RGB, upright; raises ``OSError`` where Pillow cannot decode it."""
    return picture.decode(image)


def resized(
    picture: Image.Image, view: View, corners: Int64[np.ndarray, "4"]
) -> UInt8[np.ndarray, "S S 3"]:
    """A crop (left, top, right, bottom) of an image at the size that the model takes."""
    left, top, right, bottom = (float(corner) for corner in corners)
    size = (view.size, view.size)
    return np.asarray(
        picture.resize(size, FILTERS[view.interpolation], box=(left, top, right, bottom))
    )


def shard(manifest: Manifest, position: int, view: View, *, keep: bool = True) -> Pixels:
    """The pixels of one shard, from the cache where they are in it.

    ``keep=False`` leaves the cache alone: large images of large pools would fill the disk. Raises
    ``ValueError`` naming shard and key of an image that cannot be decoded.
    """
    entry = manifest.shards[position]
    made_by = (code.of(__name__), versions.used("pillow", "numpy"))
    # a tar in place has other rows when it was prepared with other limits
    rows = entry.sha256, entry.samples, entry.rows
    path = cache.folder() / f"{cache.key(*made_by, view.stated(), *rows)}.npy"
    if keep and (found := _cached(path, entry.samples, view.size)) is not None:
        return found
    pixels = np.empty((entry.samples, view.size, view.size, 3), np.uint8)
    start = manifest.starts[position]
    # Pillow frees the interpreter while it decodes and resizes
    with ThreadPoolExecutor() as pool:
        todo: list[tuple[int, bytes]] = []
        for row, image in manifest.images([position]):
            todo.append((row - start, image))
            if len(todo) == DECODED_AT_ONCE:
                _fill(pool, todo, pixels, view, manifest, position)
                todo = []
        _fill(pool, todo, pixels, view, manifest, position)
    if keep:
        unchanged.check()
        with atomic.file(path) as temporary, temporary.open("wb") as stream:
            np.save(stream, pixels)
    return pixels


def undecodable(manifest: Manifest, position: int, index: int, error: Exception) -> ValueError:
    """The error that names shard and key of image ``index`` of a shard, and what to do."""
    key = manifest.shard_table(position, ["key"])["key"][index]
    return ValueError(
        f"{manifest.place(position)}: {key}: cannot be decoded: {error}; prepare the data set "
        "again with prepare.decode full, which leaves such images out"
    )


def load(manifest: Manifest, view: View, *, label: str) -> Pixels:
    """The pixels of a whole data set, in row order."""
    pixels = np.empty((len(manifest), view.size, view.size, 3), np.uint8)
    gather(manifest, view, np.arange(len(manifest)), pixels, label=label)
    return pixels


def gather(
    manifest: Manifest, view: View, row_K: Int64[np.ndarray, " K"], out: Pixels, *, label: str
) -> None:
    """Put the pixels of the rows ``row_K``, which ascend, into ``out``; memory holds one shard."""
    bounds = np.searchsorted(row_K, manifest.starts)
    positions = [position for position in range(len(manifest.shards)) if np.diff(bounds)[position]]
    for position in progress(positions, label=f"decode {label}", unit="shards"):
        first, last = bounds[position : position + 2]
        inside_K = row_K[first:last] - manifest.starts[position]
        out[first:last] = shard(manifest, position, view)[inside_K]


def _cached(path: Path, samples: int, size: int) -> Pixels | None:
    try:
        pixels = np.load(path)
    except (FileNotFoundError, ValueError, EOFError):
        return None  # absent or damaged: made again
    if pixels.shape != (samples, size, size, 3) or pixels.dtype != np.uint8:
        return None
    return pixels


def _fill(
    pool: ThreadPoolExecutor,
    todo: Sequence[tuple[int, bytes]],
    pixels: Pixels,
    view: View,
    manifest: Manifest,
    position: int,
) -> None:
    def one(item: tuple[int, bytes]) -> None:
        index, image = item
        try:
            pixels[index] = decode(image, view)
        except UNDECODABLE as error:
            raise undecodable(manifest, position, index, error) from None

    for _ in pool.map(one, todo):
        pass
