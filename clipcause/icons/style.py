"""The visual domain of an icon, from its pixels: line drawing, solid glyph, colour and so on.

Set names are no guide (one set holds filled and outlined icons side by side), so the ink decides:
its colour first, then the thickest place of its strokes.
"""

from typing import Literal

import numpy as np
from jaxtyping import UInt8
from scipy import ndimage

Style = Literal["line", "between", "solid", "duotone", "colour"]

# Largest half-width of the ink as a share of the icon's size. On the icons the two modes of its
# distribution (strokes of 1.5 to 2 of 24 pixels; filled shapes) lie on either side of the gap.
LINE_MOST = 0.064
SOLID_LEAST = 0.11
# Share of the ink (weighted by opacity) that is coloured, or neither near black nor opaque.
COLOUR_LEAST = 0.10
GREY_LEAST = 0.5
SATURATED = 48  # of 255: difference between the largest and the smallest channel
OPAQUE = 128  # of 255


def measure(rgba: UInt8[np.ndarray, "size size 4"]) -> tuple[float, float, float]:
    """(half-width, coloured share, grey share) of the ink of an image.

    The half-width is the maximum of the Euclidean distance transform of the opaque pixels, as a
    share of the image's size; the shares weigh each pixel by its opacity.
    """
    alpha = rgba[..., 3].astype(np.int64)
    total = int(alpha.sum())
    if total == 0:
        raise ValueError("the image has no ink")
    # a border of background: ink that touches the edge of the picture ends there
    ink = np.pad(alpha >= OPAQUE, 1)
    half_width = float(ndimage.distance_transform_edt(ink).max()) / rgba.shape[0]
    colour = rgba[..., :3].astype(np.int64)
    spread = colour.max(axis=-1) - colour.min(axis=-1)
    coloured = float((alpha * (spread > SATURATED)).sum() / total)
    # duotone sets draw the second tone as grey, or as black that is half transparent
    pale = (alpha < OPAQUE + 64) & (alpha > 32) | (colour.min(axis=-1) > 64) & (spread <= SATURATED)
    return half_width, coloured, float((alpha * pale).sum() / total)


def classify(rgba: UInt8[np.ndarray, "size size 4"]) -> Style:
    """The style of an image by the thresholds of this module."""
    half_width, coloured, grey = measure(rgba)
    if coloured > COLOUR_LEAST:
        return "colour"
    if grey >= GREY_LEAST:
        return "duotone"
    if half_width <= LINE_MOST:
        return "line"
    return "solid" if half_width >= SOLID_LEAST else "between"
