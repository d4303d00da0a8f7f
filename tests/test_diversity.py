"""How diverse the rows of splits are, against all pairs of rows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcause.data import dataset, manifest
from clipcause.embed import embeddings
from clipcause.embed.embeddings import Embeddings
from clipcause.prune import split
from clipcause.search import diversity
from clipcause.search.diversity import effective_number, mean_distance, measure, near, vendi

DIM = 6


@dataclass(frozen=True)
class Stored(Embeddings):
    """A store in memory."""

    vector_ND: np.ndarray

    def __len__(self):
        return len(self.vector_ND)

    def take(self, rows):
        return self.vector_ND[rows]

    def blocks(self, rows=5):
        for start in range(0, len(self), rows):
            yield start, self.vector_ND[start : start + rows]


def stored(vector_ND):
    return Stored(Path(), vector_ND.shape[1], None, None, (), vector_ND)


def unit(seed, count, dim=DIM):
    """Vectors of length one, some of them near copies of others."""
    rng = np.random.default_rng(seed)
    vector_ND = rng.standard_normal((count, dim))
    like_C = rng.integers(0, count, len(vector_ND[::3]))
    vector_ND[::3] = vector_ND[like_C] + 0.02 * rng.standard_normal((len(like_C), dim))
    return (vector_ND / np.linalg.norm(vector_ND, axis=1, keepdims=True)).astype(np.float16)


def by_pairs(vector_ND, rows, threshold):
    """Distance, Vendi score and share of copies from the whole matrix of similarities."""
    exact = vector_ND[rows].astype(np.float64)
    similarity_KK = exact @ exact.T
    apart = ~np.eye(len(rows), dtype=bool)
    kernel_KK = similarity_KK / np.trace(similarity_KK)
    value_K = np.linalg.eigvalsh(kernel_KK)
    value_K = value_K[value_K > 1e-12]
    copied = ((similarity_KK >= threshold) & apart).any(axis=1).mean()
    return (
        1 - similarity_KK[apart].mean(),
        np.exp(-(value_K * np.log(value_K)).sum()),
        copied,
    )


@given(st.integers(0, 2**32), st.integers(4, 40), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_split_is_measured_as_by_all_pairs_of_its_rows(seed, count, threshold):
    vector_ND = unit(seed, count)
    rng = np.random.default_rng(seed)
    rows = {
        "all": np.arange(count),
        "some": np.sort(rng.choice(count, max(2, count // 2), replace=False)),
    }
    splits = {name: split.from_rows(one) for name, one in rows.items()}
    found = measure(stored(vector_ND), splits, threshold=threshold)
    for name, one in found.items():
        expected = by_pairs(vector_ND, rows[name], threshold)
        assert (one.distance, one.vendi) == pytest.approx(expected[:2], abs=1e-9)
        assert one.copied == expected[2]


def test_blocks_make_no_difference(monkeypatch):
    vector_ND = unit(0, 50)
    splits = {"half": split.from_rows(np.arange(0, 50, 2)), "none": split.from_rows([])}
    whole = measure(stored(vector_ND), splits, threshold=0.95)
    monkeypatch.setattr(diversity, "BLOCK", 7)
    parts = measure(stored(vector_ND), splits, threshold=0.95)
    assert parts["half"].copied == whole["half"].copied
    assert (parts["half"].distance, parts["half"].vendi) == pytest.approx(
        (whole["half"].distance, whole["half"].vendi)
    )
    assert np.isnan([parts["none"].distance, parts["none"].vendi, parts["none"].copied]).all()


def test_of_a_large_pool_a_sample_of_rows_is_held_against_all():
    vector_ND = unit(2, 600)
    everything = {"all": split.everything(600)}
    exact = measure(stored(vector_ND), everything, threshold=0.97)["all"]
    sampled = measure(stored(vector_ND), everything, threshold=0.97, most=300)["all"]
    assert sampled.copied != exact.copied
    assert sampled.copied == pytest.approx(exact.copied, abs=0.1)
    assert (sampled.distance, sampled.vendi) == (exact.distance, exact.vendi)


def test_a_pair_at_the_threshold_is_a_copy_by_its_exact_product():
    vector_ND = unit(4, 30, 128)
    exact = vector_ND.astype(np.float64)
    value = float(exact[3] @ exact[11])
    for threshold, is_near in ((value, True), (np.nextafter(value, 2), False)):
        at_P, other_P = near(vector_ND, vector_ND, float(threshold))
        assert ((3, 11) in zip(at_P.tolist(), other_P.tolist(), strict=True)) == is_near


def test_a_store_on_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    samples = [
        dataset.Sample(f"{row}", b"\x89PNG", "png", "a", None, 1, 1, f"{row}") for row in range(9)
    ]
    dataset.write(tmp_path / "pool", samples, shard_size=4, max_drop_fraction=0.0)
    pool, vector_ND = manifest.read(tmp_path / "pool"), unit(1, 9)
    parts = [vector_ND[:4], vector_ND[4:8], vector_ND[8:]]
    store = embeddings.write(tmp_path / "pool-emb", parts, pool, "e")
    (found,) = measure(store, {"all": split.everything(9)}, threshold=0.9).values()
    expected = by_pairs(vector_ND, np.arange(9), 0.9)
    assert (found.distance, found.vendi, found.copied) == pytest.approx(expected, abs=1e-9)


def test_effective_numbers_by_hand():
    assert effective_number(np.array([5, 5, 0, 5])) == pytest.approx(3)
    assert effective_number(np.array([7])) == 1.0
    # shares of 1/2, 1/4, 1/4 have an entropy of 1.5 bits
    assert effective_number(np.array([2.0, 1.0, 1.0])) == pytest.approx(2**1.5)
    assert np.isnan(effective_number(np.array([0, 0])))


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=30))
def test_an_effective_number_is_at_most_the_number_of_kinds(sizes):
    found = effective_number(np.array(sizes))
    assert 1 - 1e-9 <= found <= len(sizes) + 1e-9
    # kinds of twice the size are as diverse, two sets of them twice
    assert effective_number(2 * np.array(sizes)) == pytest.approx(found)
    assert effective_number(np.array(sizes * 2)) == pytest.approx(2 * found)


def test_the_extremes_of_a_split():
    same = np.tile(np.eye(DIM, dtype=np.float16)[:1], (5, 1))
    apart = np.eye(DIM, dtype=np.float16)
    for vector_ND, distance, number in ((same, 0.0, 1.0), (apart, 1.0, 6.0)):
        exact = vector_ND.astype(np.float64)
        found = mean_distance(exact.sum(axis=0), float((exact * exact).sum()), len(exact))
        assert found == pytest.approx(distance)
        assert vendi(exact.T @ exact) == pytest.approx(number)
    assert np.isnan(mean_distance(apart[0].astype(np.float64), 1.0, 1))
