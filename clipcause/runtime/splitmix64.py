"""SplitMix64: pseudo-random 64-bit numbers that depend on no library's generator and no platform.

Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014: a Weyl sequence
with an odd increment, then a bijective finaliser.
"""

import numpy as np

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def finalised(values: np.ndarray) -> np.ndarray:
    """The finaliser, a bijection of 64-bit words; arrays of any shape."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
