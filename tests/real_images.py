"""Real images for tests of formats: the icons of `fixtures/icons.tgz`, drawn and encoded."""

import functools
import io
from pathlib import Path

import numpy as np
from PIL import Image

from clipcause.icons import package, raster

ARCHIVE = Path(__file__).parent / "fixtures/icons.tgz"
SIDE = 48


@functools.cache
def drawings(count: int, prefix: str = "fluent-emoji-flat") -> list[tuple[str, np.ndarray]]:
    """Names and pixels (SIDE, SIDE, 3) of the first icons of a set, in order of name."""
    ((_, icons),) = package.icons(ARCHIVE, {prefix})
    return [
        (icon.name, raster.on_white(raster.rasterise(icon.svg, SIDE))) for icon in icons[:count]
    ]


def encoded(pixels: np.ndarray, kind: str = "JPEG", mode: str = "RGB") -> bytes:
    """The file of an image."""
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, kind)
    return stream.getvalue()


def decoded(content: bytes) -> np.ndarray:
    """The pixels of a file."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
