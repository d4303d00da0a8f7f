"""Pictures as a person sees them: upright, opaque, eight bits."""

import io
import struct
import warnings

import numpy as np
import pytest
from PIL import Image, ImageOps

from clipcause.data import picture
from clipcause.embed import pixels

GREY = np.add.outer(np.arange(0, 200, 8), np.arange(0, 50, 2)).astype(np.uint8)


def encoded(made: Image.Image, kind: str = "PNG", **settings) -> bytes:
    stream = io.BytesIO()
    made.save(stream, kind, **settings)
    return stream.getvalue()


def grey(content: bytes) -> np.ndarray:
    found = np.asarray(picture.decode(content))
    assert found.shape[2] == 3
    assert found.dtype == np.uint8
    return found[..., 0]


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_phones_picture_is_upright(turn):
    made = Image.fromarray(GREY[:, :9])
    exif = Image.Exif()
    exif[0x0112] = turn
    content = encoded(made, exif=exif)
    seen = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    assert np.array_equal(grey(content), seen)
    assert np.array_equal(np.asarray(pixels.opened(content))[..., 0], seen)


def test_grey_of_sixteen_bits_keeps_its_levels():
    deep = GREY.astype(np.uint16) * 257
    assert np.array_equal(grey(encoded(Image.fromarray(deep))), GREY)
    assert np.array_equal(grey(encoded(Image.fromarray(deep // 16))), (deep // 16) >> 8)


@pytest.mark.parametrize(("levels", "scale"), [(np.float32, 255), (np.int32, 1 / 257)])
def test_floats_and_wide_integers_are_grey(levels, scale):
    wide = (GREY / scale).astype(levels) if levels is np.float32 else GREY.astype(levels) * 257
    assert np.array_equal(grey(encoded(Image.fromarray(wide), "TIFF")), GREY)


@pytest.mark.parametrize("odd", [-1.0, np.nan, 256.0, np.inf])
def test_what_is_no_grey_is_an_error(odd):
    levels = GREY.astype(np.float32)
    levels[0, 0] = odd
    with pytest.raises(OSError, match=r"levels of grey from .*, expected 0 to 255"):
        picture.decode(encoded(Image.fromarray(levels), "TIFF"))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_what_is_transparent_is_white(mode):
    whole = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    whole.putpixel((0, 0), (0, 0, 0, 255))
    if mode == "P":
        content = encoded(whole.quantize(), transparency=whole.quantize().getpixel((1, 0)))
    else:
        content = encoded(whole.convert("LA" if mode == "PA" else mode))
    assert grey(content).tolist() == [[0, 255]]


def test_other_modes_are_as_before():
    for mode in ("1", "L", "P", "CMYK", "RGB", "YCbCr"):
        made = Image.fromarray(GREY).convert(mode)
        kind = "PNG" if mode in ("1", "L", "P", "RGB") else "TIFF"
        content = encoded(made, kind)
        plain = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        assert np.array_equal(np.asarray(picture.decode(content)), plain)


@pytest.mark.parametrize(("turn", "quarters"), [(3, 2), (6, -1)])
def test_damaged_exif_data_cost_no_picture(turn, quarters):
    """A width that says it is text: what writes the tags again fails at it."""
    exif = Image.Exif()
    exif[0x0100], exif[0x0112] = 40, turn
    block = bytearray(b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0"))
    kind = block.index(b"\1\0", 14) + 2  # of the first tag
    assert block[kind : kind + 2] == b"\0\4"
    block[kind + 1] = 2
    plain = encoded(Image.fromarray(GREY[:, :9]), "JPEG")
    segment = b"\xff\xe1" + (len(block) + 2).to_bytes(2) + block
    damaged = plain[:2] + segment + plain[2:]
    with pytest.raises(struct.error):
        ImageOps.exif_transpose(Image.open(io.BytesIO(damaged)))
    assert np.array_equal(grey(damaged), np.rot90(grey(plain), quarters))


def test_threads_may_decode_without_losing_the_filters_of_warnings(monkeypatch):
    monkeypatch.setattr(warnings, "catch_warnings", None)
    assert np.array_equal(grey(encoded(Image.fromarray(GREY))), GREY)
