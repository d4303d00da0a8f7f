"""Between boolean vectors and Roaring bitmaps, block by block.

The bytes follow the portable format of Roaring bitmaps without runs (roaringbitmap.org,
RoaringFormatSpec): a container for every 65,536 numbers that has some, an array of 16-bit numbers
up to 4,096 of them, a bit a number beyond. Adding numbers to a bitmap one by one would take tens of
seconds for the rows of a large pool, and their array some gigabytes.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool
from pyroaring import BitMap

LIMIT = 2**32  # Roaring bitmaps hold 32-bit numbers
CONTAINER = 1 << 16
SPARSE = 4096  # numbers of a container that are still listed
COOKIE = 12346  # of bitmaps without run containers
BLOCK = CONTAINER << 4  # numbers that are listed at once


def within(bitmap: BitMap, start: int, stop: int) -> Bool[np.ndarray, " M"]:
    """Which of the numbers ``start`` to ``stop - 1`` are in the bitmap."""
    inside_M = np.zeros(stop - start, bool)
    # in pieces, for the numbers of a whole pool are some gigabytes
    for first in range(start, min(stop, LIMIT), BLOCK):
        part = bitmap & BitMap(range(first, min(first + BLOCK, stop, LIMIT)))
        inside_M[np.frombuffer(part.to_array(), np.uint32).astype(np.intp) - start] = True
    return inside_M


def from_mask(mask_N: Bool[np.ndarray, " N"]) -> BitMap:
    """The bitmap of the positions that are true, below ``LIMIT``."""
    return _assembled([*_containers(mask_N, 0)])


def canonical(bitmap: BitMap) -> BitMap:
    """The same numbers in containers that depend on them alone, none of them of runs.

    A bitmap's containers tell how it came about, and with them the bytes that it is stored as.
    """
    containers = []
    if bitmap:
        for start in range(bitmap.min() // CONTAINER * CONTAINER, bitmap.max() + 1, BLOCK):
            stop = min(start + BLOCK, LIMIT)
            if bitmap.range_cardinality(start, stop):
                containers += _containers(within(bitmap, start, stop), start)
    return _assembled(containers)


def _containers(mask_M: Bool[np.ndarray, " M"], start: int) -> Iterator[tuple[int, int, bytes]]:
    """Key, cardinality and content of the containers; ``start`` is a multiple of 65,536."""
    for offset in range(0, len(mask_M), CONTAINER):
        chunk_M = mask_M[offset : offset + CONTAINER]
        if count := int(np.count_nonzero(chunk_M)):
            if count <= SPARSE:
                content = np.flatnonzero(chunk_M).astype("<u2").tobytes()
            else:
                bits = np.packbits(chunk_M, bitorder="little").tobytes()
                content = bits.ljust(CONTAINER // 8, b"\0")
            yield (start + offset) // CONTAINER, count, content


def _assembled(containers: list[tuple[int, int, bytes]]) -> BitMap:
    count = len(containers)
    head = np.array([COOKIE, count], "<u4").tobytes()
    sizes = [(key, cardinality - 1) for key, cardinality, _ in containers]
    descriptive = np.array(sizes, "<u2").tobytes()
    lengths = [len(content) for _, _, content in containers]
    start = len(head) + len(descriptive) + 4 * count
    offsets = (start + np.cumsum([0, *lengths[:-1]])).astype("<u4").tobytes() if count else b""
    contents = (content for _, _, content in containers)
    return BitMap.deserialize(b"".join([head, descriptive, offsets, *contents]))
