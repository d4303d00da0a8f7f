"""Views of images for self-supervision: random crops brought to a size, mirrored, in other colours.

A crop has a uniform share of the image's area and its ratio of sides is log-uniform in
``augment.RATIOS`` as far as the crop fits; its corners are real numbers. It is brought to its size
by a triangle filter that widens where it shrinks (Pillow's bilinear), as two matrix products a
view. Weights are whole 256ths, so that every sum is a whole number below 2**24, exact in float32:
the bytes depend on no order of summation. Brightness, contrast and the three colours then change
by a factor each, contrast about the middle grey.

Everything is decided by seed, epoch, row and the number of the view.

Shapes: B samples of S pixels a side, T pixels a side of a view, V views of every sample, R random
numbers of a view.
"""

import math

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, UInt8

from clipcause.config.train import Dino
from clipcause.train import order
from clipcause.train.augment import RATIOS

GLOBAL = 2  # large views
NUMBERS = 10  # random ones of a view: area, ratio, place (2), mirrored, and those of its colours
COLOURS = 5
WHOLE = 256  # the sum of a pixel's weights
GREY = 127.5


def made(
    pixels: UInt8[np.ndarray, "B S S 3"],
    seed: int,
    epoch_B: Int64[np.ndarray, " B"],
    row_B: Int64[np.ndarray, " B"],
    settings: Dino,
) -> tuple[UInt8[np.ndarray, "G S S 3"], UInt8[np.ndarray, "V L L 3"]]:
    """The large views of a batch, of the images' size, and the small ones; view by view."""
    size, small = pixels.shape[1], settings.local_size
    count = GLOBAL + settings.local_crops
    words = order.uniform(seed, epoch_B, row_B, count * NUMBERS).reshape(-1, count, NUMBERS)
    share_BVR = (words >> np.uint64(11)) * 2.0**-53
    images_BSS3 = pixels.astype(np.float32)
    large = np.empty((GLOBAL, len(pixels), size, size, 3), np.uint8)
    local = np.empty((settings.local_crops, len(pixels), small, small, 3), np.uint8)
    for number in range(count):
        share_BR = share_BVR[:, number]
        if number < GLOBAL:
            large[number] = view(images_BSS3, share_BR, settings.global_area, size, settings)
        else:
            cut = view(images_BSS3, share_BR, settings.local_area, small, settings)
            local[number - GLOBAL] = cut
    return large.reshape(-1, size, size, 3), local.reshape(-1, small, small, 3)


def view(
    images_BSS3: Float32[np.ndarray, "B S S 3"],
    share_BR: Float64[np.ndarray, "B R"],
    areas: list[float],
    size: int,
    settings: Dino,
) -> UInt8[np.ndarray, "B T T 3"]:
    """One view of every image, ``size`` pixels a side; ``share_BR`` are numbers in [0, 1)."""
    count, side = images_BSS3.shape[:2]
    box_B4 = boxes(share_BR[:, :4], areas)
    mirrored_B = (share_BR[:, 4] < 0.5) & settings.flip
    down_BTS = weights(box_B4[:, 0], box_B4[:, 1], side, size)
    across_BTS = weights(box_B4[:, 2], box_B4[:, 3], side, size)
    across_BTS[mirrored_B] = across_BTS[mirrored_B, ::-1]
    tall = down_BTS @ images_BSS3.reshape(count, side, side * 3)
    # [B, T, S, 3] by [B, 1, T, S]: the rows of every image at once
    sums_BTT3 = across_BTS[:, None] @ tall.reshape(count, size, side, 3)
    factor_B3, offset_B3 = colours(share_BR[:, 5:], settings.jitter)
    sums_BTT3 *= (factor_B3 / WHOLE**2).astype(np.float32)[:, None, None]
    sums_BTT3 += (offset_B3 + 0.5).astype(np.float32)[:, None, None]
    return np.clip(sums_BTT3, 0.0, 255.0, out=sums_BTT3).astype(np.uint8)


def boxes(share_B4: Float64[np.ndarray, "B 4"], areas: list[float]) -> Float64[np.ndarray, "B 4"]:
    """Crops as shares of the image's side: top and height, left and width."""
    area_B = areas[0] + share_B4[:, 0] * (areas[1] - areas[0])
    # wider or higher than the image where the ratio is further from 1 than the area is
    most_B = np.minimum(math.log(RATIOS[1]), -np.log(area_B))
    ratio_B = np.exp((2.0 * share_B4[:, 1] - 1.0) * most_B)
    height_B = np.minimum(np.sqrt(area_B / ratio_B), 1.0)
    width_B = np.minimum(np.sqrt(area_B * ratio_B), 1.0)
    top_B = share_B4[:, 2] * (1.0 - height_B)
    left_B = share_B4[:, 3] * (1.0 - width_B)
    return np.stack([top_B, height_B, left_B, width_B], axis=1)


def weights(
    start_B: Float64[np.ndarray, " B"],
    length_B: Float64[np.ndarray, " B"],
    side: int,
    size: int,
) -> Float32[np.ndarray, "B T S"]:
    """What every pixel of a view takes from the pixels of a line of the image, in 256ths.

    The line has ``side`` pixels; the crop, given in shares of it, becomes ``size`` pixels.
    """
    step_B = length_B * side / size
    # in reaches of the filter; middles of pixels are at 0.5, 1.5, …
    reach_B1 = np.maximum(step_B, 1.0)[:, None]
    middle_BT = (start_B[:, None] * side + (np.arange(size) + 0.5) * step_B[:, None]) / reach_B1
    place_BS = (np.arange(side) + 0.5) / reach_B1
    part_BTS = place_BS.astype(np.float32)[:, None, :] - middle_BT.astype(np.float32)[:, :, None]
    np.subtract(1.0, np.abs(part_BTS, out=part_BTS), out=part_BTS)
    np.maximum(part_BTS, 0.0, out=part_BTS)
    until_BTS = np.cumsum(part_BTS, axis=2, out=part_BTS)
    until_BTS *= WHOLE / until_BTS[:, :, -1:]
    np.rint(until_BTS, out=until_BTS)
    # differences of rounded sums: whole numbers that sum to WHOLE
    until_BTS[:, :, 1:] -= until_BTS[:, :, :-1].copy()
    return until_BTS


def colours(
    share_B5: Float64[np.ndarray, "B 5"], jitter: float
) -> tuple[Float[np.ndarray, "B 3"], Float[np.ndarray, "B 3"]]:
    """Factor and offset of the three colours; ``jitter`` is how far a factor is from 1 at most."""
    change_B5 = 1.0 + (2.0 * share_B5 - 1.0) * jitter
    brightness_B1, contrast_B1, colour_B3 = np.split(change_B5, [1, 2], axis=1)
    light_B3 = brightness_B1 * colour_B3
    return light_B3 * contrast_B1, light_B3 * GREY * (1.0 - contrast_B1)
