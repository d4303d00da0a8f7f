"""SVG to pixels with resvg: no system library, no system fonts, the same bytes everywhere."""

import io

import numpy as np
import resvg_py
from jaxtyping import UInt8
from PIL import Image


class BrokenIconError(ValueError):
    """An SVG that cannot be drawn, or draws nothing."""


def rasterise(svg: str, size: int) -> UInt8[np.ndarray, "size size 4"]:
    """Draw ``svg`` centred on a transparent square of ``size`` pixels, RGBA, not premultiplied.

    Raises BrokenIconError for an SVG that resvg refuses and for one without any ink (an
    animation that begins empty, for instance).
    """
    try:
        # width alone keeps the proportions; the square is made below
        png = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True)
        image = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    except (ValueError, OSError) as error:
        raise BrokenIconError(f"cannot be drawn: {error}") from None
    except BaseException as error:
        # resvg is compiled Rust: its panics are no Exceptions, and the type has no public name
        if type(error).__name__ != "PanicException":
            raise
        raise BrokenIconError(f"resvg crashed: {error}") from None
    pixels = np.asarray(image)
    if pixels.shape != (size, size, 4):
        square = Image.new("RGBA", (size, size))
        square.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
        pixels = np.asarray(square)
    if not pixels[..., 3].any():
        raise BrokenIconError("draws nothing")
    return pixels


def on_white(rgba: UInt8[np.ndarray, "size size 4"]) -> UInt8[np.ndarray, "size size 3"]:
    """Lay a transparent image on white, in whole numbers, rounded to the nearest."""
    colour, alpha = rgba[..., :3].astype(np.uint32), rgba[..., 3:].astype(np.uint32)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def png(rgb: UInt8[np.ndarray, "size size 3"]) -> bytes:
    """Encode as PNG without any metadata."""
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "PNG", compress_level=6)
    return stream.getvalue()
