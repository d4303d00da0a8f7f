"""SplitMix64: pseudo-random 64-bit numbers that depend on no library's generator and no platform.

Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014: a Weyl sequence
with an odd increment, then a bijective finaliser.
"""

import numpy as np
from jaxtyping import Int64, UInt64

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def finalised(values: np.ndarray) -> np.ndarray:
    """The finaliser, a bijection of 64-bit words; arrays of any shape."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def outputs(seed: int, at_M: Int64[np.ndarray, " M"]) -> UInt64[np.ndarray, " M"]:
    """What the generator of a seed gives at the positions ``at_M``, which may be rows.

    For one seed no two positions have the same output. The seed passes the finaliser too, so that
    the sequences of neighbouring seeds start far apart.
    """
    start = finalised(np.array([seed], np.uint64) * GAMMA + GAMMA)
    return finalised(start + (at_M.astype(np.uint64) + np.uint64(1)) * GAMMA)
