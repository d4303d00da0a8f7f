"""Small moves of training images: whole-pixel shifts, made on the bytes.

A batch of shifted images is one gather from padded images, which costs a hundredth of the model's
step; sampling between pixels costs five times that and blurs lines that are a pixel wide.

Shapes: B samples of S x S pixels.
"""

import numpy as np
from jaxtyping import Int64, UInt8

from stages.learning import order

Pixels = UInt8[np.ndarray, "B S S 3"]


def shifts(
    seed: int, epoch_B: Int64[np.ndarray, " B"], row_B: Int64[np.ndarray, " B"], most: int
) -> Int64[np.ndarray, "B 2"]:
    """Every sample's shift down and right in pixels, uniform in -most … most."""
    random_B2 = order.uniform(seed, epoch_B, row_B, 2)
    # the high bits: a remainder of the low ones would lean to small numbers, by 2**-60 here
    return (random_B2 % np.uint64(2 * most + 1)).astype(np.int64) - most


def shifted(pixels: Pixels, shift_B2: Int64[np.ndarray, "B 2"], most: int) -> Pixels:
    """Shift every image; its border pixels are repeated into the gap."""
    if most == 0:
        return pixels
    size = pixels.shape[1]
    padded = np.pad(pixels, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    # [B, offset, offset, 3, S, S]: every window of every image, as a view
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    down_B, right_B = (most - shift_B2).T
    chosen = windows[np.arange(len(pixels)), down_B, right_B]
    return np.ascontiguousarray(chosen.transpose(0, 2, 3, 1))
