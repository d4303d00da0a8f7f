"""A picture as a person sees it: upright, opaque, three channels of eight bits.

Pillow's ``convert("RGB")`` alone leaves a phone's picture on its side (the camera's orientation is
a tag of EXIF), cuts 16-bit grey off at 255, so that it is white, and shows the colour that lies
under transparent pixels. Every stage that looks at pixels goes through here, so that training,
embedding, evaluation and what `prepare` stores agree.
"""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps

DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")  # modes with more than eight bits a pixel


def decode(content: bytes, formats: tuple[str, ...] | None = None) -> Image.Image:
    """The first frame of an image file in RGB. ``formats`` are Pillow's names of those tried.

    Transparent pixels are laid on white, for black glyphs on black are nothing. Grey of 16 bits is
    divided by 256; floats from 0 to 1 are shares of white, other floats levels of 255. Raises
    ``OSError`` where Pillow cannot decode it, and for numbers that are no grey (negative, NaN, more
    than 16 bits).
    """
    return upright(Image.open(io.BytesIO(content), formats=formats))


def upright(picture: Image.Image) -> Image.Image:
    """An opened image in RGB, as ``decode``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd EXIF data, of which one number is wanted
        turned = ImageOps.exif_transpose(picture) if picture.getexif() else picture
    if turned.mode in DEEP:
        turned = _eight_bits(turned)
    if not turned.has_transparency_data:
        return turned.convert("RGB")
    over = turned.convert("RGBA")
    white = Image.new("RGBA", over.size, "white")
    return Image.alpha_composite(white, over).convert("RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Grey of more than eight bits, in eight."""
    levels = np.asarray(picture)
    low, high = float(levels.min()), float(levels.max())
    most = 255.0 if picture.mode == "F" else 65535.0
    if not (low >= 0 and high <= most):  # NaN is neither
        raise OSError(f"levels of grey from {low:g} to {high:g}, expected 0 to {most:g}")
    if picture.mode != "F":
        return Image.fromarray((levels.astype(np.int64) >> 8).astype(np.uint8))
    return Image.fromarray(np.rint(levels * (255 if high <= 1 else 1)).astype(np.uint8))
