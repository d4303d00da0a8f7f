"""Small moves of training images: whole-pixel shifts, made on the bytes, and random crops.

A batch of shifted images is one gather from padded images, which costs a hundredth of the model's
step; sampling between pixels costs five times that and blurs lines that are a pixel wide. Crops
are for photographs: torchvision's RandomResizedCrop with open_clip's range of areas. Both are
decided by seed, epoch and row alone.

Shapes: B samples of S x S pixels.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from clipcause.train import order

Pixels = UInt8[np.ndarray, "B S S 3"]
TRIES = 10  # at a crop that fits, as torchvision's
RATIOS = (3 / 4, 4 / 3)  # width over height


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


def crops(
    seed: int,
    epoch_B: Int64[np.ndarray, " B"],
    row_B: Int64[np.ndarray, " B"],
    areas: Sequence[float],
    sides: tuple[int, int],
) -> Int64[np.ndarray, "B 4"]:
    """Every sample's crop of an image of ``sides`` (height, width): left, top, right, bottom.

    Its share of the area is uniform in ``areas``, the logarithm of its ratio of sides in that of
    ``RATIOS``, its place uniform; where no try fits, the largest crop in the middle is taken whose
    ratio is in ``RATIOS``.
    """
    # the second half of the counter, for shifts have the first: four numbers of every try
    random_BT4 = order.uniform(seed, epoch_B, row_B, 2 + 4 * TRIES)[:, 2:].reshape(-1, TRIES, 4)
    share_BT4 = (random_BT4 >> np.uint64(11)) * 2.0**-53
    return np.array([_crop(share_T4, areas, *sides) for share_T4 in share_BT4], np.int64)


def cropped(pixels: Pixels, corners_B4: Int64[np.ndarray, "B 4"]) -> Pixels:
    """Crops of square images, brought back to their size."""
    size = pixels.shape[1:3]
    out = np.empty_like(pixels)
    for index, (image, corners) in enumerate(zip(pixels, corners_B4, strict=True)):
        left, top, right, bottom = (float(corner) for corner in corners)
        picture = Image.fromarray(image)
        out[index] = np.asarray(
            picture.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom))
        )
    return out


def _crop(
    share_T4: np.ndarray, areas: Sequence[float], height: int, width: int
) -> tuple[int, int, int, int]:
    low, high = (math.log(ratio) for ratio in RATIOS)
    for area, ratio, down, right in share_T4:
        pixels = height * width * (areas[0] + area * (areas[1] - areas[0]))
        aspect = math.exp(low + ratio * (high - low))
        wide, tall = round(math.sqrt(pixels * aspect)), round(math.sqrt(pixels / aspect))
        if 0 < wide <= width and 0 < tall <= height:
            left, top = int(right * (width - wide + 1)), int(down * (height - tall + 1))
            return left, top, left + wide, top + tall
    wide = min(width, max(round(height * RATIOS[1]), 1))
    tall = min(height, max(round(width / RATIOS[0]), 1))
    left, top = (width - wide) // 2, (height - tall) // 2
    return left, top, left + wide, top + tall
