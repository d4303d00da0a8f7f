"""How many words a text has, for a column of texts at once.

A word is what ``str.split`` takes for one: a piece between white space, as Unicode has it. The
bytes of the texts are compared in blocks, and no string is made of them: a pool of DataComp's size
is counted in under a second of processor time, not in five.

Shapes: M texts, B bytes of them all, K places among these.
"""

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int32, Int64, UInt8

# Of ASCII: tab to carriage return, and the four separators with the blank behind them.
LOW, LOW_SPAN = np.uint8(0x09), np.uint8(0x0D - 0x09)
HIGH, HIGH_SPAN = np.uint8(0x1C), np.uint8(0x20 - 0x1C)
TWO = (0x85, 0xA0)  # code points that are white space, of two bytes in UTF-8
THREE = (0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)  # of three
TWO_LEAD, THREE_LEADS = 0xC2, (0xE1, 0xE2, 0xE3)  # with which these begin, and others too


def count(text_M: pa.Array) -> Int32[np.ndarray, " M"]:
    """The words of each text; of null, none."""
    byte_B, start_M, stop_M = _bytes(text_M)
    filled_M = start_M < stop_M
    words_M = np.zeros(len(text_M), np.int32)
    if not filled_M.any():
        return words_M
    space_B = _white(byte_B)
    begins_B = np.empty_like(space_B)
    # white space before, none here: of truth values, greater
    np.greater(space_B[:-1], space_B[1:], out=begins_B[1:])
    first = start_M[filled_M]
    begins_B[first] = ~space_B[first]  # before a text's first byte lies another text
    # a text of no bytes has no place of its own among the sums
    words_M[filled_M] = np.add.reduceat(begins_B.view(np.uint8), first, dtype=np.int32)
    return words_M


def _bytes(
    text_M: pa.Array,
) -> tuple[UInt8[np.ndarray, " B"], Int64[np.ndarray, " M"], Int64[np.ndarray, " M"]]:
    """The bytes of the texts, one after the other, and where each begins and ends."""
    if text_M.null_count:
        text_M = text_M.fill_null("")  # Arrow does not promise that a null has no bytes
    text_M = text_M.cast(pa.large_string())
    _, offsets, data = text_M.buffers()
    offset_M = np.frombuffer(offsets, np.int64)[text_M.offset : text_M.offset + len(text_M) + 1]
    if data is None or not len(text_M):
        return np.empty(0, np.uint8), offset_M[:-1], offset_M[:-1]
    byte_B = np.frombuffer(data, np.uint8)[offset_M[0] : offset_M[-1]]
    return byte_B, offset_M[:-1] - offset_M[0], offset_M[1:] - offset_M[0]


def _white(byte_B: UInt8[np.ndarray, " B"]) -> Bool[np.ndarray, " B"]:
    """Bytes of white space. Numbers below a span wrap round and lie above it."""
    space_B = (byte_B - LOW) <= LOW_SPAN
    space_B |= (byte_B - HIGH) <= HIGH_SPAN
    if byte_B.max() < TWO_LEAD:
        return space_B
    _mark(space_B, byte_B, np.flatnonzero(byte_B == TWO_LEAD), 2, TWO)
    three_B = (byte_B >= THREE_LEADS[0]) & (byte_B <= THREE_LEADS[-1])
    _mark(space_B, byte_B, np.flatnonzero(three_B), 3, THREE)
    return space_B


def _mark(
    space_B: Bool[np.ndarray, " B"],
    byte_B: UInt8[np.ndarray, " B"],
    at_K: Int64[np.ndarray, " K"],
    length: int,
    white: tuple[int, ...],
) -> None:
    """Mark characters of ``length`` bytes that begin at ``at_K`` and are among ``white``."""
    at_K = at_K[at_K + length <= len(byte_B)]
    code_K = byte_B[at_K].astype(np.int64) & (0xFF >> (length + 1))
    for place in range(1, length):
        code_K = code_K << 6 | (byte_B[at_K + place] & 0x3F)
    at_K = at_K[np.isin(code_K, white)]
    for place in range(length):
        space_B[at_K + place] = True
