"""A picture as a person sees it: upright, opaque, three channels of eight bits.

Pillow's ``convert("RGB")`` alone leaves a phone's picture on its side (the camera's orientation is
a tag of EXIF), cuts 16-bit grey off at 255, so that it is white, and shows the colour that lies
under transparent pixels. Every stage that looks at pixels goes through here, so that training,
embedding, evaluation and what `prepare` stores agree.
"""

import io
from typing import Any

import numpy as np
from PIL import ExifTags, Image

DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")  # modes with more than eight bits a pixel
# how what a camera stored is turned, by EXIF's number of it (CIPA DC-008, tag 274; 1 is upright).
# Pillow's `exif_transpose` also writes the other tags anew, which fails where one is damaged
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(content: bytes, formats: tuple[str, ...] | None = None) -> Image.Image:
    """The first frame of an image file in RGB. ``formats`` are Pillow's names of those tried.

    Transparent pixels are laid on white, for black glyphs on black are nothing. Grey of 16 bits is
    divided by 256; floats from 0 to 1 are shares of white, other floats levels of 255. Raises
    ``OSError`` where Pillow cannot decode it, and for numbers that are no grey (negative, NaN, more
    than 16 bits). Pillow may warn of odd EXIF data; threads call this, so warnings are left alone.
    """
    return rgb(Image.open(io.BytesIO(content), formats=formats))


def rgb(picture: Image.Image) -> Image.Image:
    """An opened picture, as ``decode`` gives it."""
    picture.load()  # a PNG's orientation may stand behind its pixels
    if (turn := TURNS.get(_orientation(picture))) is not None:
        picture = picture.transpose(turn)
    if picture.mode in DEEP:
        picture = _eight_bits(picture)
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    over = picture.convert("RGBA")
    white = Image.new("RGBA", over.size, "white")
    return Image.alpha_composite(white, over).convert("RGB")


def changes(picture: Image.Image) -> bool:
    """Whether a person sees an opened picture otherwise than a plain decoder shows it: it lies on
    its side, has more than eight bits, or transparent pixels. Raises what the decoder raises."""
    if picture.mode in DEEP or _orientation(picture) in TURNS:
        return True
    if not picture.has_transparency_data:
        return False
    alpha = np.asarray(picture.convert("RGBA").getchannel("A"))
    return bool(alpha.min() < 255)


def is_sideways(picture: Image.Image) -> bool:
    """Whether width and height of an opened picture change places when it is turned upright."""
    return _orientation(picture) in (5, 6, 7, 8)


def stored(content: bytes, formats: tuple[str, ...] | None = None) -> bytes:
    """PNG of what a person sees of an image file."""
    stream = io.BytesIO()
    seen = decode(content, formats)
    seen.info = {}  # what is written along otherwise: EXIF, which would turn it again
    seen.save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def _orientation(picture: Image.Image) -> Any:
    """EXIF's number of what is known of a picture: of a PNG that is not loaded, what its header
    says. Its own `getexif` would load it."""
    # most pictures are JPEG files that say nothing of it: no object for each of these
    if picture.format == "JPEG" and not picture.info.keys() & {"exif", "xmp"}:
        return None
    return Image.Image.getexif(picture).get(ExifTags.Base.Orientation)


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
