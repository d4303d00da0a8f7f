"""Prune rules against cases worked by hand and against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clipcause.prune.by_similarity import similarity_to_any
from clipcause.prune.rules.far import far
from clipcause.prune.rules.hull import beyond, hull
from clipcause.prune.rules.near import near
from clipcause.prune.sampling import sample, target_size
from clipcause.runtime.splitmix64 import finalised, outputs

# few distinct values, so that ties are the rule
SIMILARITY = st.sampled_from([-0.5, -0.0, 0.0, 0.25, 0.5, 1.0])


@st.composite
def pools(draw, tests=1):
    """A base of some pool rows, and a column of scores over the whole pool for each test set."""
    count = draw(st.integers(1, 40))
    base = draw(hnp.arrays(bool, count))
    base[draw(st.integers(0, count - 1))] = True
    columns = [
        draw(hnp.arrays(np.float32, count, elements=SIMILARITY.map(np.float32)))
        for _ in range(tests)
    ]
    return base, *columns


def masked(count, rows):
    mask = np.zeros(count, bool)
    mask[rows] = True
    return mask


def rows_of(mask):
    return np.flatnonzero(mask).tolist()


def whole(column):
    """A column as one block."""
    return [(0, column)]


def in_blocks(column, size):
    return [(start, column[start : start + size]) for start in range(0, len(column), size)]


def test_hull_is_strict_at_the_threshold():
    tiny = np.nextafter(np.float32(0), np.float32(1))
    margin = np.array([0.0, tiny, -tiny, -0.0, 0.5, -1], np.float32)
    assert beyond(margin, 0.0).tolist() == [False, True, False, False, True, False]
    assert beyond(margin, 0.5).tolist() == [False] * 6
    assert beyond(margin, -1.0).tolist() == [True] * 5 + [False]


def test_delta_is_not_rounded_to_float32():
    # float32(0.1) is above 0.1, so a margin of that value is beyond a delta of 0.1
    margin = np.array([0.1], np.float32)
    assert float(margin[0]) > 0.1
    assert beyond(margin, 0.1).tolist() == [True]
    assert beyond(margin, float(margin[0])).tolist() == [False]


def test_hull_by_hand():
    base = masked(6, [0, 2, 3, 5])
    sketch = np.array([0.1, 9, -0.1, 0, 9, -0.2], np.float32)
    r = np.array([0.3, 9, 0.2, 0, 9, -0.2], np.float32)
    rows, per_test = hull(base, {"sketch": whole(sketch), "r": whole(r)}, 0.0)
    assert rows_of(rows) == [3, 5]
    assert per_test == {"sketch": 1, "r": 2}
    rows, per_test = hull(base, {"sketch": whole(sketch), "r": in_blocks(r, 4)}, 0.25)
    assert rows_of(rows) == [2, 3, 5]
    assert per_test == {"sketch": 0, "r": 1}
    assert rows_of(base) == [0, 2, 3, 5]


@given(pools(tests=3), st.sampled_from([-0.25, 0.0, 0.25]), st.integers(1, 9))
def test_combined_removes_the_union_of_the_hulls(pool, delta, size):
    base, *margins = pool
    named = dict(zip("abc", margins, strict=True))
    blocks = {name: in_blocks(margin, size) for name, margin in named.items()}
    together, per_test = hull(base, blocks, delta)
    # the definition, row by row in float64
    removed = {
        name: {row for row in rows_of(base) if float(margin[row]) > delta}
        for name, margin in named.items()
    }
    assert set(rows_of(together)) == set(rows_of(base)) - set.union(*removed.values())
    assert per_test == {name: len(rows) for name, rows in removed.items()}


@given(pools(), st.floats(-1, 1), st.floats(-1, 1))
def test_a_larger_delta_removes_no_more(pool, a, b):
    base, margin = pool
    fewer, more = (hull(base, {"t": whole(margin)}, d)[0] for d in sorted((a, b)))
    assert (fewer <= more).all()


def test_near_and_far_by_hand():
    base = masked(7, [1, 3, 4, 6])
    similarity = np.array([9, 0.5, 9, 0.1, 0.5, 9, 0.2], np.float32)
    # by (similarity, row): 3, 6, 1, 4
    assert rows_of(near(base, similarity, 3)) == [1, 3, 6]
    assert rows_of(far(base, similarity, 1)) == [4]
    assert rows_of(far(base, similarity, 2)) == [1, 4]


@given(pools(), st.data())
def test_near_and_far_cut_the_sorted_base(pool, data):
    base, similarity = pool
    size = data.draw(st.integers(0, int(base.sum())))
    order = sorted(rows_of(base), key=lambda row: (float(similarity[row]), row))
    least = near(base, similarity, size)
    most = far(base, similarity, int(base.sum()) - size)
    assert rows_of(least) == sorted(order[:size])
    assert rows_of(most) == sorted(order[size:])


@given(hnp.arrays(np.float32, st.integers(1, 80), elements=st.floats(-1, 1, width=32)), st.data())
def test_any_similarities_are_cut_as_a_stable_sort_has_it(similarity, data):
    base = data.draw(hnp.arrays(bool, len(similarity)))
    size = data.draw(st.integers(0, int(base.sum())))
    ordered = np.flatnonzero(base)[np.argsort(similarity[base].astype(np.float64), kind="stable")]
    assert rows_of(near(base, similarity, size)) == sorted(ordered[:size].tolist())
    last = ordered[len(ordered) - size :]
    assert rows_of(far(base, similarity, size)) == sorted(last.tolist())


@given(pools(tests=3), st.integers(1, 9))
def test_similarity_to_any_is_the_largest(pool, size):
    _, *columns = pool
    before = [column.copy() for column in columns]
    found = similarity_to_any(len(columns[0]), (in_blocks(one, size) for one in columns))
    np.testing.assert_array_equal(found, np.max(columns, axis=0))
    np.testing.assert_array_equal(columns, before)


def drawn(base, size, seed):
    """The definition of a random split: the base's rows with the smallest keys."""
    rows = np.flatnonzero(base)
    keys = splitmix64(seed, len(base))
    return sorted(sorted(rows.tolist(), key=lambda row: keys[row])[:size])


@given(pools(), st.integers(0, 2**63 - 1), st.data())
def test_random_is_exact_repeatable_and_nested(pool, seed, data):
    base, _ = pool
    size = data.draw(st.integers(1, int(base.sum())))
    rows = sample(base, size, seed)
    assert rows_of(rows) == drawn(base, size, seed)
    smaller = sample(base, data.draw(st.integers(1, size)), seed)
    assert (smaller <= rows).all()
    assert (rows <= base).all()


def test_random_seeds_differ_and_overlap_as_chance_has_it():
    base = masked(40_000, np.arange(0, 40_000, 2))
    samples = [set(rows_of(sample(base, 10_000, seed))) for seed in range(4)]
    for a in range(4):
        for b in range(a):
            # hypergeometric: mean 5,000, standard deviation 35
            assert abs(len(samples[a] & samples[b]) - 5_000) < 5 * 35.4


def test_random_takes_every_part_of_the_base_alike():
    rows = np.flatnonzero(sample(np.ones(64_000, bool), 16_000, 0))
    counts = np.bincount(rows // 1000, minlength=64)
    # 250 of 1,000 are expected in each part, with a standard deviation of 13.7
    assert np.abs(counts - 250).max() < 5 * 13.7


def splitmix64(seed, count):
    """The published generator, on Python's integers."""
    mask = 2**64 - 1

    def finalise(z):
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    gamma = 0x9E3779B97F4A7C15
    state = finalise((seed * gamma + gamma) & mask)
    return [finalise((state + (row + 1) * gamma) & mask) for row in range(count)]


def test_the_published_vector_of_splitmix64():
    # first outputs for seed 0, as the generator's reference implementation prints them
    gamma = 0x9E3779B97F4A7C15
    values = np.array([gamma, 2 * gamma % 2**64], np.uint64)
    found = [hex(int(value)) for value in finalised(values)]
    assert found == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]


@given(st.integers(0, 2**63 - 1))
def test_keys_are_those_of_the_generator_on_plain_integers(seed):
    assert outputs(seed, np.arange(5)).tolist() == splitmix64(seed, 5)


@pytest.mark.parametrize(
    ("keep", "base", "size"),
    [(1, 1, 1), (7, 10, 7), (0.5, 10, 5), (0.25, 10, 3), (0.24, 10, 2), (0.999, 10, 10)],
)
def test_keep_means_rows_or_a_share(keep, base, size):
    assert target_size(keep, base) == size


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (11, "keep 11 is more than the 10 rows of the base"),
        (0, "keep 0 of 10 rows of the base keeps nothing"),
        (0.01, "keep 0.01 of 10 rows of the base keeps nothing"),
    ],
)
def test_keep_that_cannot_be(keep, message):
    with pytest.raises(ValueError, match=message):
        target_size(keep, 10)
