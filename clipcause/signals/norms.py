"""Norms of rows' similarities to the images of a target.

Shapes: R rows, T images of the target, D dimensions.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from jaxtyping import Float16, Float32, Float64

from clipcause.search import pool
from clipcause.search.vectors import double

TILE = 4096
"""Rows of a float64 product: 16 MiB at 512-d."""

Block = tuple[int, Float16[np.ndarray, "_ D"]]


def infinity(
    blocks: Callable[[], Iterable[Block]],
    target_TD: Float16[np.ndarray, "T D"],
    count: int,
    threads: int | None = None,
) -> tuple[Float32[np.ndarray, " R"], int]:
    """The largest absolute similarity of each of ``count`` rows, and how many are of a negative
    one: two exact searches, of the target and of its opposite."""
    sides = []
    for side_TD in (target_TD, -target_TD):
        scan = pool.Scan(
            pool.queries(side_TD, np.zeros(len(side_TD))), count, threads, reverse=False
        )
        scan.read(blocks())
        sides.append(scan.max_sim_N)
    return np.maximum(*sides), int(np.count_nonzero(sides[1] > sides[0]))


def two(
    blocks: Iterable[Block], target_TD: Float16[np.ndarray, "T D"], count: int
) -> Float64[np.ndarray, " R"]:
    """NormSim_2 as the root of x' S x, S = sum of t t': D² multiplications a row, however large
    the target is.

    All sums are float64, S in tiles of a fixed size. The form errs by less than 2^-40 of T, so for
    values above a thousandth of √T, its maximum, the root by far less than the sixth decimal.
    """
    dim = target_TD.shape[1]
    form_DD = torch.zeros(dim, dim, dtype=torch.float64)
    for a in range(0, len(target_TD), TILE):
        tile_TD = double("target", target_TD[a : a + TILE], a)
        form_DD += tile_TD.T @ tile_TD
    value_R = np.empty(count)
    for start, block_ND in blocks:
        for a in range(0, len(block_ND), TILE):
            row_ND = double("rows", block_ND[a : a + TILE], start + a)
            square_N = ((row_ND @ form_DD) * row_ND).sum(1)
            value_R[start + a : start + a + len(row_ND)] = square_N.clamp_(min=0).sqrt_().numpy()
    return value_R
