"""A folder of images as a data set: the way in for a person's own pool or test set.

Two layouts, which may be mixed. `photo.jpg` with `photo.txt` beside it is an image with a caption.
An image in a sub-folder without such a file has the sub-folder's name as its label and, spaces
for underscores, as its caption.
"""

import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from PIL import Image

from clipcause.config import versions
from clipcause.config.datasets import Limits, Prepare
from clipcause.data.dataset import Drop, Sample
from clipcause.data.source import Copied
from clipcause.data.sources import audit
from clipcause.data.sources.audit import Fault
from clipcause.icons.raster import png

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp"})


class Folder(Copied):
    """Images with a .txt beside each, or a sub-folder a class."""

    source: Literal["folder"]
    captioned: ClassVar = True

    def samples(self, raw: Path, settings: Prepare, name: str) -> Iterator[Sample | Drop]:  # noqa: ARG002
        """Images in order of their path, as squares of one size."""
        versions.check("pillow")
        return read_folder(raw, settings.image_size, settings)


def read_folder(folder: Path, size: int, limits: Limits) -> Iterator[Sample | Drop]:
    """Every image below ``folder`` in order of its path, resized to a square of ``size`` pixels.

    Proportions are kept, the rest is white. What cannot be used is a Drop: undecodable, too
    large, too small, no caption.
    """
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in EXTENSIONS):
        relative = path.relative_to(folder)
        try:
            os.fsencode(relative).decode()
        except UnicodeDecodeError:
            shown, parent = (
                os.fsencode(name).decode("utf-8", "backslashreplace")
                for name in (relative, relative.parent)
            )
            yield Drop(parent, shown, "name is not UTF-8", "it would be the sample's key")
            continue
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
        image = _square(path, size, limits)
        if isinstance(image, Fault):
            yield Drop(str(relative.parent), key, image.reason, image.detail)
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


def _square(path: Path, size: int, limits: Limits) -> bytes | Fault:
    if (length := path.stat().st_size) > limits.most_bytes:
        return Fault(audit.TOO_LARGE, f"{length:,} bytes are more than {limits.most_bytes:,}")
    content = path.read_bytes()
    # all pixels, for all are used
    found = audit.look(content, limits.model_copy(update={"decode": "full"}))
    if isinstance(found, Fault):
        return found
    with warnings.catch_warnings(), Image.open(io.BytesIO(content)) as opened:
        warnings.simplefilter("ignore")  # of odd EXIF data, which nobody reads
        picture = opened.convert("RGBA")
    scale = size / max(picture.size)
    sides = [max(1, round(side * scale)) for side in picture.size]
    picture = picture.resize((sides[0], sides[1]), Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (size, size), "white")
    square.paste(picture, ((size - picture.width) // 2, (size - picture.height) // 2), picture)
    return png(np.asarray(square.convert("RGB")))
