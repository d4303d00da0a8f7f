"""A folder of images as a data set: the way in for a person's own pool or test set.

Two layouts, which may be mixed. `photo.jpg` with `photo.txt` beside it is an image with a caption.
An image in a sub-folder without such a file has the sub-folder's name as its label and, spaces
for underscores, as its caption.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from stages.artifacts.dataset import Drop, Sample
from stages.icons.raster import png

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp"})
MOST_PIXELS = 64_000_000  # a picture that claims more is not decoded
LEAST_SIDE = 8
UNREADABLE = (
    *(OSError, ValueError, UnidentifiedImageError),
    *(Image.DecompressionBombError, Image.DecompressionBombWarning),
)


def read_folder(folder: Path, size: int) -> Iterator[Sample | Drop]:
    """Every image below ``folder`` in order of its path, resized to a square of ``size`` pixels.

    Proportions are kept, the rest is white. What cannot be used is a Drop: undecodable, too
    large, too small, no caption.
    """
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in EXTENSIONS):
        relative = path.relative_to(folder)
        key = str(relative.with_suffix("")).replace("/", "_").replace(".", "_")
        label = relative.parts[0] if len(relative.parts) > 1 else None
        text = path.with_suffix(".txt")
        try:
            caption = _caption(text, label)
        except (OSError, ValueError) as error:
            yield Drop(str(relative.parent), key, "unreadable caption", f"{text.name}: {error}")
            continue
        if not caption:
            yield Drop(str(relative.parent), key, "no caption", f"neither {text.name} nor a folder")
            continue
        try:
            image = _square(path, size)
        except UNREADABLE as error:
            yield Drop(str(relative.parent), key, "undecodable", str(error))
            continue
        yield Sample(
            key=key,
            image=image,
            extension="png",
            caption=caption,
            label=label,
            width=size,
            height=size,
            source=str(relative),
        )


def _caption(text: Path, label: str | None) -> str:
    if text.exists():
        return text.read_text("utf-8").strip()
    return (label or "").replace("_", " ")


def _square(path: Path, size: int) -> bytes:
    with warnings.catch_warnings():
        # Pillow only warns of a picture of 90 to 180 million pixels; that is one too large
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        opened = Image.open(path)
    with opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise ValueError(
                f"{opened.width} x {opened.height} pixels are more than {MOST_PIXELS:,}"
            )
        if min(opened.size) < LEAST_SIDE:
            raise ValueError(f"{opened.width} x {opened.height} pixels are too few")
        picture = opened.convert("RGBA")
    scale = size / max(picture.size)
    sides = [max(1, round(side * scale)) for side in picture.size]
    picture = picture.resize((sides[0], sides[1]), Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (size, size), "white")
    square.paste(picture, ((size - picture.width) // 2, (size - picture.height) // 2), picture)
    return png(np.asarray(square.convert("RGB")))
