"""The greatest similarity to an earlier row of the cluster: by hand, all pairs, every order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipcause.search import earlier
from clipcause.search.centres import place
from clipcause.search.earlier import greatest
from clipcause.signals.kinds.near_copies import NearCopies
from tests.signals.small import Small, cosines, unit


def brute(x, clusters, at):
    """A loop over the rows of each cluster in the order of (at, row)."""
    value = np.full(len(x), -1.0)
    every = cosines(x, x)
    for one in np.unique(clusters):
        seen = []
        for row in sorted(np.flatnonzero(clusters == one), key=lambda row: (at[row], row)):
            if seen:
                value[row] = max(-1.0, every[row, seen].max())
            seen.append(row)
    return value


def test_by_hand():
    # a chain of 0.6, and its ends by -0.28, to float16; the last row is alone in its cluster
    x = np.array([[1, 0], [0.6, 0.8], [-0.28, 0.96], [1, 0]], np.float16)
    one = np.array([0, 0, 0, 1])
    found = greatest(x.__getitem__, one)
    np.testing.assert_allclose(found, [-1, 0.6, 0.6, -1], atol=1e-3)
    # the middle one last: it is near to both, and they are far from one another
    found = greatest(x.__getitem__, one, np.array([0.0, 2, 1, 0]))
    np.testing.assert_allclose(found, [-1, 0.6, -0.28, -1], atol=1e-3)


def test_a_row_that_goes_still_counts():
    # as SemDeDup's: a copy of a copy is compared with the copy
    x = np.repeat(unit(1, 8), 3, 0)
    found = greatest(x.__getitem__, np.zeros(3, int))
    assert found[0] == -1
    np.testing.assert_allclose(found[1:], 1, rtol=2e-3)


@settings(max_examples=20)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.integers(1, 5),
    st.sampled_from([5, 1024]),
    st.sampled_from([3, 32768]),
    st.booleans(),
)
def test_against_a_loop(seed, rows, clusters, tile, held, pool_order):
    chance = np.random.default_rng(seed)
    x = unit(rows, 6, seed, shared=1.0)
    x[rows // 2 :] = x[: rows - rows // 2]
    cluster_N = chance.integers(-1, clusters, rows)
    at = np.zeros(rows) if pool_order else chance.integers(0, 4, rows).astype(float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(earlier, "GREATEST_TILE", tile)
        patch.setattr(earlier, "HELD", held)
        found = greatest(x.__getitem__, cluster_N, None if pool_order else at)
    np.testing.assert_array_equal(found, brute(x, cluster_N, at))


def test_bytes_do_not_depend_on_threads_or_tiles(monkeypatch):
    x = unit(4000, 64, 1, shared=0.5)
    clusters = np.random.default_rng(0).integers(0, 3, 4000)
    expected = greatest(x.__getitem__, clusters, threads=1).tobytes()
    assert greatest(x.__getitem__, clusters, threads=2).tobytes() == expected
    monkeypatch.setattr(earlier, "GREATEST_TILE", 97)
    monkeypatch.setattr(earlier, "HELD", 1000)
    assert greatest(x.__getitem__, clusters, threads=2).tobytes() == expected


def test_orders():
    x = unit(60, 8, 1)
    centre = unit(3, 8, 2)
    clusters = cosines(x, centre).argmax(1)
    near = cosines(x, centre)[np.arange(60), clusters]
    np.testing.assert_array_equal(place(x.__getitem__, clusters, centre, "farthest", 0), near)
    np.testing.assert_array_equal(place(x.__getitem__, clusters, centre, "nearest", 0), -near)
    assert place(x.__getitem__, clusters, centre, "pool", 0) is None
    first, again, other = (
        np.array(place(x.__getitem__, clusters, centre, "random", seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(np.sort(first), np.arange(60))
    np.testing.assert_array_equal(first, again)
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("order", ["pool", "farthest", "nearest", "random"])
def test_kind(tmp_path, order):
    pool = unit(90, 8, 1, shared=0.5)
    some = np.setdiff1d(np.arange(90), [0, 17, 18, 50])
    signal = NearCopies(
        kind="near-copies", base="dedup", order=order, clusters=4, seed=0, iterations=5
    )
    found = signal.score(Small(tmp_path, pool=pool, rows=some))
    centre, cluster = found.arrays["centres"], found.arrays["cluster"]
    assert (centre.dtype, cluster.dtype) == (np.float16, np.int32)
    np.testing.assert_array_equal(cluster, cosines(pool[some], centre).argmax(1))
    at = place(pool[some].__getitem__, cluster.astype(np.int64), centre, order, 0)
    expected = brute(pool[some], cluster, np.zeros(len(some)) if at is None else at)
    np.testing.assert_array_equal(found.value_R, expected.astype(np.float32))
    size = np.bincount(cluster, minlength=4)
    assert found.numbers == {
        "clusters": 4,
        "largest": size.max(),
        "empty": (size == 0).sum(),
    }
    assert (found.value_R == -1).sum() == (size > 0).sum()
    assert found.facts == {"comparison": "earlier"}
    again = signal.score(Small(tmp_path, pool=pool, rows=some, block_rows=7))
    assert again.value_R.tobytes() == found.value_R.tobytes()


def test_more_clusters_than_rows(tmp_path):
    signal = NearCopies(
        kind="near-copies", base="dedup", order="pool", clusters=9, seed=0, iterations=5
    )
    with pytest.raises(ValueError, match="clusters: 9 of the 8 rows of dedup"):
        signal.score(Small(tmp_path, pool=unit(20, 4), rows=np.arange(8)))


def test_only_float16_is_exact():
    with pytest.raises(ValueError, match="rows: expected float16, got float32"):
        greatest(unit(4, 4, dtype=np.float32).__getitem__, np.zeros(4, int))
