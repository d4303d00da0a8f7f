"""Prune rules against cases worked by hand and against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stages import mixing, rules

# few distinct values, so that ties are the rule
SIMILARITY = st.sampled_from([-0.5, -0.0, 0.0, 0.25, 0.5, 1.0])


@st.composite
def pools(draw, tests=1):
    """A base of some pool rows, and a column of scores over the whole pool for each test set."""
    count = draw(st.integers(1, 40))
    base = sorted(draw(st.sets(st.integers(0, count - 1), min_size=1)))
    columns = [
        draw(hnp.arrays(np.float32, count, elements=SIMILARITY.map(np.float32)))
        for _ in range(tests)
    ]
    return np.array(base), *columns


def test_hull_is_strict_at_the_threshold():
    tiny = np.nextafter(np.float32(0), np.float32(1))
    margin = np.array([0.0, tiny, -tiny, -0.0, 0.5, -1], np.float32)
    assert rules.beyond(margin, 0.0).tolist() == [False, True, False, False, True, False]
    assert rules.beyond(margin, 0.5).tolist() == [False] * 6
    assert rules.beyond(margin, -1.0).tolist() == [True] * 5 + [False]


def test_delta_is_not_rounded_to_float32():
    # float32(0.1) is above 0.1, so a margin of that value is beyond a delta of 0.1
    margin = np.array([0.1], np.float32)
    assert float(margin[0]) > 0.1
    assert rules.beyond(margin, 0.1).tolist() == [True]
    assert rules.beyond(margin, float(margin[0])).tolist() == [False]


def test_hull_by_hand():
    base = np.array([0, 2, 3, 5])
    sketch = np.array([0.1, 9, -0.1, 0, 9, -0.2], np.float32)
    r = np.array([0.3, 9, 0.2, 0, 9, -0.2], np.float32)
    rows, per_test = rules.hull(base, {"sketch": sketch, "r": r}, 0.0)
    assert rows.tolist() == [3, 5]
    assert per_test == {"sketch": 1, "r": 2}
    rows, per_test = rules.hull(base, {"sketch": sketch, "r": r}, 0.25)
    assert rows.tolist() == [2, 3, 5]
    assert per_test == {"sketch": 0, "r": 1}


@given(pools(tests=3), st.sampled_from([-0.25, 0.0, 0.25]))
def test_combined_removes_the_union_of_the_hulls(pool, delta):
    base, *margins = pool
    named = dict(zip("abc", margins, strict=True))
    together, per_test = rules.hull(base, named, delta)
    alone = {name: rules.hull(base, {name: margin}, delta)[0] for name, margin in named.items()}
    removed = [set(base.tolist()) - set(rows.tolist()) for rows in alone.values()]
    assert set(together.tolist()) == set(base.tolist()) - set.union(*removed)
    assert per_test == {n: len(rows) for n, rows in zip(named, removed, strict=True)}


@given(pools(), st.floats(-1, 1), st.floats(-1, 1))
def test_a_larger_delta_removes_no_more(pool, a, b):
    base, margin = pool
    fewer, more = (set(rules.hull(base, {"t": margin}, d)[0].tolist()) for d in sorted((a, b)))
    assert fewer <= more


def test_near_and_far_by_hand():
    base = np.array([1, 3, 4, 6])
    similarity = np.array([9, 0.5, 9, 0.1, 0.5, 9, 0.2], np.float32)
    # by (similarity, row): 3, 6, 1, 4
    assert rules.ordered(base, similarity).tolist() == [3, 6, 1, 4]
    assert rules.near(base, similarity, 3).tolist() == [1, 3, 6]
    assert rules.far(base, similarity, 1).tolist() == [4]
    assert rules.far(base, similarity, 2).tolist() == [1, 4]


@given(pools(), st.data())
def test_near_and_far_are_complements_under_ties(pool, data):
    base, similarity = pool
    size = data.draw(st.integers(0, len(base)))
    near = rules.near(base, similarity, size)
    far = rules.far(base, similarity, len(base) - size)
    assert len(near) == size
    assert sorted([*near, *far]) == base.tolist()
    expected = sorted(base.tolist(), key=lambda row: (similarity[row], row))
    assert rules.ordered(base, similarity).tolist() == expected


@given(pools(tests=3))
def test_similarity_to_any_is_the_largest(pool):
    _, *columns = pool
    before = [column.copy() for column in columns]
    expected = np.max(columns, axis=0)
    np.testing.assert_array_equal(rules.similarity_to_any(iter(columns)), expected)
    np.testing.assert_array_equal(columns, before)


@given(pools(), st.integers(0, 2**63 - 1), st.data())
def test_random_is_exact_repeatable_and_nested(pool, seed, data):
    base, _ = pool
    size = data.draw(st.integers(1, len(base)))
    rows = rules.random(base, size, seed)
    assert len(rows) == size
    assert (np.diff(rows) > 0).all()
    assert set(rows.tolist()) <= set(base.tolist())
    np.testing.assert_array_equal(rows, rules.random(base, size, seed))
    assert set(rows.tolist()) <= set(rules.random(base, len(base), seed).tolist())
    smaller = rules.random(base, data.draw(st.integers(1, size)), seed)
    assert set(smaller.tolist()) <= set(rows.tolist())


def test_random_seeds_differ_and_overlap_as_chance_has_it():
    base = np.arange(0, 40_000, 2)
    samples = [set(rules.random(base, 10_000, seed).tolist()) for seed in range(4)]
    for a in range(4):
        for b in range(a):
            # hypergeometric: mean 5,000, standard deviation 35
            assert abs(len(samples[a] & samples[b]) - 5_000) < 5 * 35.4


def test_random_takes_every_part_of_the_base_alike():
    base = np.arange(64_000)
    rows = rules.random(base, 16_000, 0)
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
    found = [hex(int(value)) for value in mixing.finalised(values)]
    assert found == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]


@given(st.integers(0, 2**63 - 1))
def test_keys_are_those_of_the_generator_on_plain_integers(seed):
    assert rules.mixed(seed, np.arange(5)).tolist() == splitmix64(seed, 5)


@pytest.mark.parametrize(
    ("keep", "base", "size"),
    [(1, 1, 1), (7, 10, 7), (0.5, 10, 5), (0.25, 10, 3), (0.24, 10, 2), (0.999, 10, 10)],
)
def test_keep_means_rows_or_a_share(keep, base, size):
    assert rules.target_size(keep, base) == size


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
        rules.target_size(keep, 10)
