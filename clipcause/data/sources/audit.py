"""Looking at one image from the web: is it one, and can it be used?

Everything that costs memory or time is limited before it is done: bytes and pixels by what the
header says, the passes over a progressive JPEG by its scans. Of the web only decoders of JPEG, PNG
and WebP are ever tried, whatever the file is called.
"""

import io
import warnings
from contextlib import suppress
from typing import NamedTuple

from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from clipcause.config.datasets import Limits
from clipcause.data.picture import changes, is_sideways
from clipcause.data.signatures import called

FORMATS = {
    JpegImagePlugin.JpegImageFile.format: "jpg",
    "MPO": "jpg",  # a JPEG with further pictures behind it
    PngImagePlugin.PngImageFile.format: "png",
    WebPImagePlugin.WebPImageFile.format: "webp",
}
OPENED = ("JPEG", "PNG", "WEBP")
# Pillow's names of what else it can read; phones save HEIF, a package of its own reads it
FURTHER = ("GIF", "BMP", "TIFF", "AVIF", "HEIF")
# extensions of what is not read everywhere, and how it would be
SOMETIMES = {
    "AVIF": ((".avif", ".avifs"), "; Pillow 11.3 and later reads it"),
    "HEIF": ((".heic", ".heif"), "; the extra `heif` of the project reads it"),
    "others": ((".jp2", ".jxl", ".ico", ".psd", ".dng", ".raw"), ""),
}
START_OF_SCAN = b"\xff\xda"
MOST_SCANS = 500  # encoders make about ten; each costs a pass over the whole picture
DRAFT = 8  # the JPEG decoder can leave out all but an eighth of both sides

NOT_READ = "format that is not read"
UNDECODABLE = "undecodable"
TOO_SMALL = "too small"
TOO_LARGE = "too large"
TOO_LONG = "too long"


class Fault(NamedTuple):
    """Why an image cannot be used, in two words and with its facts."""

    reason: str
    detail: str


class Look(NamedTuple):
    """An image that can be used; ``extension`` says what it is, whatever its name says. Width and
    height are those of the upright picture."""

    width: int
    height: int
    extension: str
    converted: bool  # a person sees it otherwise than its plain pixels: `picture.changes`


def look(content: bytes, limits: Limits, formats: tuple[str, ...] = OPENED) -> Look | Fault:
    """Look at an image as ``limits.decode`` says; nothing is raised for any content.

    ``formats`` are Pillow's names of the decoders that are tried.
    """
    if len(content) > limits.most_bytes:
        return Fault(TOO_LARGE, f"{len(content):,} bytes are more than {limits.most_bytes:,}")
    with warnings.catch_warnings():
        # of odd EXIF data, which nobody reads, and of many pixels, which are counted here
        warnings.simplefilter("ignore")
        try:
            return _look(content, limits, formats)
        except MemoryError:
            raise  # says nothing about the image
        except Exception as error:  # decoders raise what they like
            said = str(error) if str(error) and isinstance(error, OSError) else repr(error)
            return Fault(UNDECODABLE, said[:200])


def available() -> tuple[str, ...]:
    """Pillow's names of all formats that can be opened here, for pictures of a person's own."""
    with suppress(ImportError):
        import pillow_heif  # ty: ignore[import-not-found] - an extra

        pillow_heif.register_heif_opener()
    Image.init()
    return tuple(name for name in (*OPENED, *FURTHER) if name in Image.OPEN)


def not_read(name: str, formats: tuple[str, ...]) -> Fault | None:
    """Why a picture of this name cannot be read by any of ``formats``; None where one might."""
    end = name[name.rfind(".") :].lower()
    for kind, (extensions, reads) in SOMETIMES.items():
        if kind not in formats and end in extensions:
            return Fault(NOT_READ, f"{name}{reads}")
    return None


def too_long(width: int, height: int, limits: Limits) -> Fault | None:
    """What is wrong with an image's proportions; at a model's size one side would stay huge."""
    if max(width, height) <= limits.most_ratio * min(width, height):
        return None
    most = limits.most_ratio
    return Fault(TOO_LONG, f"{width} x {height} pixels, the sides' ratio is at most {most:g}")


def _look(content: bytes, limits: Limits, formats: tuple[str, ...]) -> Look | Fault:
    try:
        picture = Image.open(io.BytesIO(content), formats=formats)
    except Image.UnidentifiedImageError:
        # Pillow's own words name a Python object and its address
        if what := called(content):
            return Fault(UNDECODABLE, f"it is {what}")
        return Fault(
            UNDECODABLE, f"neither {', '.join(formats[:-1])} nor {formats[-1]}: {content[:8]!r}"
        )
    except Image.DecompressionBombError as error:
        return Fault(TOO_LARGE, str(error))
    with picture:
        width, height = picture.size
        if width * height > limits.most_pixels:
            return Fault(
                TOO_LARGE, f"{width} x {height} pixels are more than {limits.most_pixels:,}"
            )
        if min(width, height) < limits.least_side:
            return Fault(TOO_SMALL, f"{width} x {height} pixels, the least is {limits.least_side}")
        if fault := too_long(width, height, limits):
            return fault
        extension = FORMATS.get(picture.format, str(picture.format).lower())
        scans = content.count(START_OF_SCAN) if extension == "jpg" else 0
        if scans > MOST_SCANS:
            return Fault(TOO_LARGE, f"{scans:,} scans in a JPEG are more than {MOST_SCANS}")
        if limits.decode == "draft":
            picture.draft(None, (max(1, width // DRAFT), max(1, height // DRAFT)))
        if limits.decode != "header":
            picture.load()
        converted = changes(picture)
        if converted and is_sideways(picture):
            width, height = height, width
    return Look(width, height, extension, converted)
