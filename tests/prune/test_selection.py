"""Radix selection against sorting, in float64 and on plain integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clipcause.prune import selection
from clipcause.prune.selection import ascending, extreme, smallest

EDGES = {
    8: [0, 1, 255],
    16: [0, 1, 2**16 - 1],
    32: [0, 1, 2**16 - 1, 2**16, 2**31, 2**32 - 2, 2**32 - 1],
    64: [0, 1, 2**16, 2**32, 2**48 - 1, 2**48, 2**63, 2**64 - 1],
}


@st.composite
def cases(draw):
    """Keys with many ties and with equal leading bits, a base, a size."""
    bits = draw(st.sampled_from([16, 32, 64]))
    elements = st.sampled_from(EDGES[bits]) | st.integers(0, 2**bits - 1)
    keys = draw(hnp.arrays(f"uint{bits}", st.integers(1, 60), elements=elements))
    base = draw(hnp.arrays(bool, len(keys)))
    return base, keys, draw(st.integers(0, int(base.sum())))


def first(base, keys, size):
    """The definition: the base's rows sorted by (key, row), on Python's integers."""
    rows = sorted(np.flatnonzero(base).tolist(), key=lambda row: (int(keys[row]), row))
    return sorted(rows[:size])


@given(cases())
def test_smallest_is_the_head_of_the_sorted_rows(case):
    base, keys, size = case
    before = base.copy()
    found = smallest(base, lambda start, stop: keys[start:stop], size)
    assert np.flatnonzero(found).tolist() == first(base, keys, size)
    np.testing.assert_array_equal(base, before)


@given(cases(), st.integers(1, 7), st.sampled_from([0, 1, 5]))
def test_blocks_of_any_length_and_any_memory_choose_the_same(case, block, few):
    base, keys, size = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "BLOCK", block)
        patch.setattr(selection, "FEW", few)
        found = smallest(base, lambda start, stop: keys[start:stop], size)
    assert np.flatnonzero(found).tolist() == first(base, keys, size)


@pytest.mark.parametrize("few", [0, selection.FEW])
def test_ties_over_several_blocks_are_cut_by_row(monkeypatch, few):
    monkeypatch.setattr(selection, "FEW", few)
    count = 3 * selection.BLOCK + 5
    base = np.ones(count, bool)
    base[::7] = False
    found = smallest(base, lambda start, stop: np.full(stop - start, 9, np.uint32), 60_000)
    np.testing.assert_array_equal(np.flatnonzero(found), np.flatnonzero(base)[:60_000])


def test_more_rows_than_the_base_has():
    base = np.array([True, False])
    for size in (2, -1):
        with pytest.raises(ValueError, match=f"{size} rows cannot be chosen of 1"):
            smallest(base, lambda start, stop: np.zeros(stop - start, np.uint16), size)


FLOATS = st.floats(width=32, allow_nan=False) | st.sampled_from([-0.0, 0.0, 1e-45, -1e-45])


@given(st.lists(FLOATS, min_size=2, max_size=30))
def test_keys_are_in_the_order_of_the_numbers(values):
    numbers = np.array(values, np.float32)
    keys = ascending(numbers)
    assert keys.dtype == np.uint32
    wide = numbers.astype(np.float64)
    np.testing.assert_array_equal(keys[:, None] < keys, wide[:, None] < wide)
    np.testing.assert_array_equal(keys[:, None] == keys, wide[:, None] == wide)


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "f2", "i4", "u4", "f4", "i8", "u8", "f8"])
def test_numbers_of_every_width_are_ranked(kind):
    values = np.array([100, 3, 127, 3, 0, 3], kind)
    if kind[0] != "u":
        values[4] = -5
    base = np.ones(6, bool)
    assert np.flatnonzero(extreme(base, values, 3, highest=False)).tolist() == [1, 3, 4]
    assert np.flatnonzero(extreme(base, values, 3, highest=True)).tolist() == [0, 2, 5]


def test_nan_has_no_place():
    with pytest.raises(ValueError, match="not a number"):
        ascending(np.array([0, np.nan], np.float32))
