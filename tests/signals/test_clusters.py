"""Clusters of a target: by hand, against all pairs, and clusters without a row."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from clipcause.signals.kinds.clusters import Clusters, hit
from tests.signals.small import Small, cosines, unit


def signal(target="reference", clusters=5):
    return Clusters(
        kind="clusters", base="dedup", target=target, clusters=clusters, seed=0, iterations=8
    )


def test_by_hand(tmp_path):
    # two bundles around two axes, a target in one of them
    eye = np.eye(4, dtype=np.float16)
    pool = np.concatenate([np.repeat(eye[:1], 5, 0), np.repeat(eye[1:2], 7, 0)])
    found = signal(clusters=2).score(Small(tmp_path, pool=pool, reference=eye[[1, 1]]))
    np.testing.assert_array_equal(found.value_R, [0] * 5 + [1] * 7)
    assert found.numbers == {
        "clusters": 2,
        "largest": 7,
        "empty": 0,
        "target_rows": 2,
        "hit": 1,
        "hit_empty": 0,
        "kept": 7,
    }


def test_against_all_pairs_for_any_blocks(tmp_path):
    pool, target = unit(200, 8, 1), unit(3, 8, 2)
    some = np.arange(0, 200, 3)
    seen = set()
    for block_rows in (5, 64, 1000):
        small = Small(tmp_path, pool=pool, reference=target, rows=some, block_rows=block_rows)
        found = signal().score(small)
        centre = found.arrays["centres"]
        cluster = cosines(pool[some], centre).argmax(1)
        np.testing.assert_array_equal(found.arrays["cluster"], cluster)
        expected = np.isin(cluster, cosines(target, centre).argmax(1))
        np.testing.assert_array_equal(found.value_R, expected.astype(np.float32))
        seen.add((found.value_R.tobytes(), centre.tobytes()))
    assert len(seen) == 1


def test_centres_do_not_go_by_the_threads_of_the_environment(tmp_path, monkeypatch):
    """faiss takes as many as there are cores, or as OMP_NUM_THREADS says, and rounds otherwise."""
    faiss = pytest.importorskip("faiss")
    given = Small(tmp_path, pool=unit(200, 8), reference=unit(3, 8))
    before, train, used = faiss.omp_get_max_threads(), faiss.Kmeans.train, []

    def watched(self, vectors):
        used.append({one["num_threads"] for one in threadpool_info()})
        return train(self, vectors)

    monkeypatch.setattr(faiss.Kmeans, "train", watched)
    with threadpool_limits(1):
        signal().score(given)
        Clusters.model_validate({**signal().model_dump(), "threads": 3}).score(given)
    assert used == [{2}, {3}]
    assert faiss.omp_get_max_threads() == before


def test_a_card_says_other_threads_than_by_default():
    stated = {"target", "clusters", "seed", "iterations", "base", "kind"}
    assert signal().model_dump().keys() == stated
    assert Clusters.model_validate({**signal().model_dump(), "threads": 8}).model_dump() == {
        **signal().model_dump(),
        "threads": 8,
    }


def test_clusters_without_a_row_are_counted(tmp_path, monkeypatch):
    eye = np.eye(4, dtype=np.float16)
    monkeypatch.setattr("clipcause.search.centres.spherical", lambda *_: eye[:3])
    pool = np.repeat(eye[:1], 6, 0)
    found = signal(clusters=3).score(Small(tmp_path, pool=pool, reference=eye[:2]))
    assert found.numbers["empty"] == 2
    assert found.numbers["hit"] == 2
    assert found.numbers["hit_empty"] == 1
    assert found.numbers["kept"] == 6


def test_of_two_equal_centres_the_lower_one_is_nearest():
    np.testing.assert_array_equal(hit(np.array([0, 2, 2]), 4), [True, False, True, False])


def test_bad_input(tmp_path, monkeypatch):
    small = Small(tmp_path, pool=unit(20, 4), reference=unit(3, 4), rows=np.arange(4))
    with pytest.raises(ValueError, match="clusters: 5 of the 4 rows of dedup"):
        signal().score(small)
    with pytest.raises(ValueError, match="unknown data set 'refrence'; did you mean 'reference'"):
        signal(target="refrence").check({"datasets": {"pool": {}, "reference": {}}}, "signals.c")
    with pytest.raises(ValueError, match=r"signals\.c\.target: .* its own nearest image"):
        signal(target="pool").check({"datasets": {"pool": {}, "reference": {}}}, "signals.c")
    with pytest.raises(ValueError, match="target: tests, but the section tests has none"):
        signal(target="tests").score(small)
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(ValueError, match=r"install clipcause\[cpu\]"):
        signal(clusters=2).score(small)


def test_a_target_of_test_pictures_has_seen_them(tmp_path):
    small = Small(tmp_path, pool=unit(20, 4), tests_val=unit(3, 4))
    one = signal(target="tests/val")
    assert one.score(small).facts == {"seen_tests": ["tests/val"]}
    assert "has seen the test" in one.sentence()
