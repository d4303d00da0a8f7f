"""Uniform samples of rows, the same on every machine, those of one seed nested by size.

Each row gets a SplitMix64 key of seed and row, and the smallest keys are kept: a sample depends on
no library's generator and no platform.

Shapes: N pool rows.
"""

import math

import numpy as np
from jaxtyping import Bool

from clipcause.prune.selection import smallest
from clipcause.runtime.splitmix64 import outputs


def target_size(keep: int | float, base: int) -> int:
    """The number of rows that ``keep`` means: rows, or a share of the base (rounded half up).

    Raises ``ValueError`` where that is nothing, or more than the base has.
    """
    size = keep if isinstance(keep, int) else math.floor(keep * base + 0.5)
    if size > base:
        raise ValueError(f"keep {keep} is more than the {base} rows of the base")
    if size < 1:
        raise ValueError(f"keep {keep} of {base} rows of the base keeps nothing")
    return size


def sample(base_N: Bool[np.ndarray, " N"], size: int, seed: int) -> Bool[np.ndarray, " N"]:
    """A uniform sample of exactly ``size`` base rows."""
    # two rows never have the same key: for one seed the generator is a bijection
    return smallest(base_N, lambda start, stop: outputs(seed, np.arange(start, stop)), size)
