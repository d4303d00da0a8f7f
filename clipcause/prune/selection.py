"""The rows with the smallest keys, exactly so many of them, in bounded memory.

A radix selection: the keys are counted by their leading 16 bits, and only those in the bin where
the cut falls are looked at more closely. They are few, and sorted; or they are many, and counted by
their next 16 bits. Keys are computed block by block and never kept, so that time is linear in the
number of rows, whatever the keys.
"""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Bool, Int64, Real, UInt

DIGIT = 16  # bits that one pass decides
BINS = 1 << DIGIT
BLOCK = 1 << 15  # rows whose keys are in the processor's caches at once
FEW = 1 << 22  # keys that are held and sorted

Keys = Callable[[int, int], np.ndarray]
"""Keys of the rows ``start`` to ``stop - 1``: unsigned integers, the same at every call."""


def smallest(base_N: Bool[np.ndarray, " N"], keys: Keys, size: int) -> Bool[np.ndarray, " N"]:
    """Those ``size`` rows of the base that come first by (key, row).

    Memory is a boolean a row for the result, and some megabytes. Raises ``ValueError`` where the
    base has fewer rows.
    """
    inside = int(np.count_nonzero(base_N))
    if not 0 <= size <= inside:
        raise ValueError(f"{size} rows cannot be chosen of {inside}")
    if size in (0, inside):
        return base_N.copy() if size else np.zeros_like(base_N)
    bits = keys(0, 0).dtype.itemsize * 8
    prefix, shift, wanted = 0, bits, size
    while shift == bits or (shift and inside > FEW):
        counts = _digits(base_N, keys, prefix, shift)
        until = np.cumsum(counts)
        digit = int(np.searchsorted(until, wanted))
        inside = int(counts[digit])
        wanted -= int(until[digit]) - inside
        prefix, shift = prefix << DIGIT | digit, shift - DIGIT
    return _cut(base_N, keys, prefix, shift, wanted)


def ascending(values_M: Real[np.ndarray, " M"]) -> UInt[np.ndarray, " M"]:
    """Keys in the order of the numbers and as wide, 16 bits at least; -0 and 0 have the same key.

    Raises ``ValueError`` for NaN, which has no place in an order.
    """
    if values_M.dtype.itemsize == 1:  # less than one pass decides
        values_M = values_M.astype(f"{values_M.dtype.kind}{DIGIT // 8}")
    kind, bits = values_M.dtype.kind, values_M.dtype.itemsize * 8
    unsigned = np.dtype(f"u{bits // 8}").type
    if kind == "u":
        return values_M
    sign = unsigned(1 << (bits - 1))
    if kind == "i":
        return values_M.view(unsigned) ^ sign
    if np.isnan(values_M).any():
        raise ValueError("a value is not a number, and has no place in an order; make it again")
    bits_M = (values_M + values_M.dtype.type(0)).view(unsigned)  # -0 + 0 is 0
    # IEEE 754: negative numbers descend as integers, and their sign bit is set
    negative_M = (bits_M.view(f"i{bits // 8}") >> (bits - 1)).view(unsigned)
    return bits_M ^ (negative_M | sign)


def extreme(
    base_N: Bool[np.ndarray, " N"], values_N: Real[np.ndarray, " N"], size: int, *, highest: bool
) -> Bool[np.ndarray, " N"]:
    """The last ``size`` rows of the base by (value, row), or the first.

    The highest n and the lowest B - n of a base of B rows are complements, also under ties.
    """
    if not highest:
        return smallest(base_N, lambda start, stop: ascending(values_N[start:stop]), size)
    inside = int(np.count_nonzero(base_N))
    kept_N = extreme(base_N, values_N, inside - size, highest=False)
    # what is not among the first is among the last: those are a subset of the base
    return np.not_equal(kept_N, base_N, out=kept_N)


def _digits(
    base_N: Bool[np.ndarray, " N"], keys: Keys, prefix: int, shift: int
) -> Int64[np.ndarray, " bins"]:
    """How many keys of the base that begin with ``prefix`` (all but the last ``shift`` bits) have
    which 16 bits next."""
    counts = np.zeros(BINS + 1, np.int64)
    for start, stop in _blocks(len(base_N)):
        key_M = keys(start, stop)
        counted_M = base_N[start:stop]
        digit_M = key_M >> key_M.dtype.type(shift - DIGIT)
        if shift < key_M.dtype.itemsize * 8:
            counted_M = counted_M & (digit_M >> key_M.dtype.type(DIGIT) == prefix)
            digit_M &= key_M.dtype.type(BINS - 1)
        # what does not count has a bin of its own: cheaper than to gather the rest
        bin_M = np.where(counted_M, digit_M.astype(np.intp), BINS)
        counts += np.bincount(bin_M, minlength=BINS + 1)
    return counts[:BINS]


def _cut(
    base_N: Bool[np.ndarray, " N"], keys: Keys, prefix: int, shift: int, wanted: int
) -> Bool[np.ndarray, " N"]:
    """Base rows whose key begins with less than ``prefix``, and the first ``wanted`` by (key, row)
    of those that begin with it."""
    chosen_N = np.zeros_like(base_N)
    rows, found = [], []
    for start, stop in _blocks(len(base_N)):
        key_M = keys(start, stop)
        begin_M = key_M >> key_M.dtype.type(shift)
        base_M, chosen_M = base_N[start:stop], chosen_N[start:stop]
        np.less(begin_M, prefix, out=chosen_M)
        chosen_M &= base_M
        equal_E = np.flatnonzero((begin_M == prefix) & base_M)
        if shift:
            rows.append(equal_E + start)
            found.append(key_M[equal_E])
        else:
            # the keys are equal, so the first rows go first, however many there are
            chosen_M[equal_E[:wanted]] = True
            wanted -= min(wanted, len(equal_E))
    if shift:
        order_E = np.argsort(np.concatenate(found), kind="stable")
        chosen_N[np.concatenate(rows)[order_E[:wanted]]] = True
    return chosen_N


def _blocks(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, BLOCK):
        yield start, min(start + BLOCK, count)
