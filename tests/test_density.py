"""Rows about the thresholds: against all pairs in float64, with ties, blocks, workers, kills."""

import json
import os
import shutil
import signal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipcause.config import layout, parse
from clipcause.config.density import Density
from clipcause.config.engine import Engine
from clipcause.prune import split
from clipcause.runtime import shard_cache as cache
from clipcause.search import counts, device_counts, measure_density, scores, stores
from clipcause.search import density as artifact
from clipcause.search.counting import Counting
from clipcause.search.counts import count_above
from stages import density, similarity
from tests.test_search import unit
from tests.test_similarity import PARAMETERS, split_store, world

__all__ = ["world"]  # a fixture

BANDS = [0.01, 0.02, 0.05]
KEPT = np.setdiff1d(np.arange(300), np.arange(0, 300, 7))


def brute(pool, query, edge_QE, chosen_N):
    """Float64, all pairs."""
    above = query.astype(np.float64) @ pool.astype(np.float64).T
    above = above[:, None, :] > edge_QE[:, :, None]
    return np.stack([above.sum(2), above[:, :, chosen_N].sum(2)])


def on_device(pool, query, edge_QE, chosen_N):
    """What a GPU would do, by torch on this machine."""
    scan = device_counts.Scan(device_counts.Columns(query, edge_QE, "cpu"))
    half = len(pool) // 2
    scan.read([(0, pool[:half]), (half, pool[half:])], chosen_N)
    return scan.result()


@pytest.mark.parametrize("many", [0, 500, 10**9])
@pytest.mark.parametrize("shared", [0.0, 0.4, 3.0])
def test_counts_are_those_of_all_pairs(monkeypatch, many, shared):
    monkeypatch.setattr(counts, "MANY", many)
    monkeypatch.setattr(counts, "PAIRS", 999)
    monkeypatch.setattr(counts, "TILE_COLUMNS", 64)
    pool, query = unit(2500, 48, 1, shared=shared), unit(150, 48, 2, shared=shared)
    sim = query.astype(np.float64) @ pool.astype(np.float64).T
    # edges that are similarities themselves, and their neighbours among float64 numbers
    tie = np.sort(sim, 1)[:, -40]
    edge_QE = np.stack([tie, np.nextafter(tie, 2), np.nextafter(tie, -2), tie - 0.3, tie + 0.1], 1)
    chosen_N = np.random.default_rng(3).random(2500) < 0.7
    expected = brute(pool, query, edge_QE, chosen_N)
    assert (expected[0, :, 0] <= 39).all()
    assert (expected[0, :, 2] > expected[0, :, 0]).all()
    for engine in ("bfloat16", "float32"):
        for threads in (1, 2):
            found = count_above(pool, query, edge_QE, chosen_N, engine=engine, threads=threads)
            np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(on_device(pool, query, edge_QE, chosen_N), expected)


# few directions, so that there are copies, and every product is one of few values
COORDINATES = st.lists(st.sampled_from([-1, 0, 1]), min_size=4, max_size=4).filter(any)
VECTORS = st.lists(COORDINATES, min_size=1, max_size=30)


@settings(max_examples=40, deadline=None)
@given(pool=VECTORS, query=VECTORS, data=st.data())
def test_ties_and_copies(pool, query, data):
    pool, query = (
        (np.array(x) / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16)
        for x in (pool, query)
    )
    values = np.unique(query.astype(np.float64) @ pool.astype(np.float64).T).tolist()
    edge = st.sampled_from([v for s in values for v in (s, np.nextafter(s, 2), s - 0.01)])
    edges = st.lists(edge, min_size=2, max_size=2)
    edge_QE = np.array([data.draw(edges) for _ in query])
    chosen_N = np.array([data.draw(st.booleans()) for _ in pool])
    expected = brute(pool, query, edge_QE, chosen_N)
    for engine in ("bfloat16", "float32"):
        found = count_above(pool, query, edge_QE, chosen_N, engine=engine, threads=1)
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(on_device(pool, query, edge_QE, chosen_N), expected)


def test_what_cannot_be_counted_is_said():
    pool, query = unit(5, 8, 1), unit(3, 8, 2)
    edges = np.zeros((3, 1))
    with pytest.raises(ValueError, match="3 queries with 0 edges: nothing to count"):
        count_above(pool, query, np.zeros((3, 0)))
    with pytest.raises(ValueError, match=r"edges: those of 1 of 3 .* \[nan\] of query 2"):
        count_above(pool, query, np.array([[0.0], [0.0], [np.nan]]))
    bad = pool * np.array([1, 1, 1, 1, 2], np.float16)[:, None]
    for scan in (count_above, on_device):
        with pytest.raises(ValueError, match=r"pool: row 4 has norm 2"):
            scan(bad, query, edges, np.ones(5, bool))


def measured(block_rows, where=None):
    pool, val = stores.load("tiny", "pool", "tests/val")
    found = scores.read(layout.similarity("tiny", "reference", "val"))
    base = split.from_rows(KEPT)
    threshold_Q = found.test.reference_sim
    where = where or Engine()
    both = measure_density.measure(pool, val, threshold_Q, BANDS, base, block_rows, where)
    return [one[name].tolist() for one in both for name in artifact.columns(BANDS)]


def expected(world):
    sim = world["val"].astype(np.float64) @ world["pool"].astype(np.float64).T
    reference = world["val"].astype(np.float64) @ world["reference"].astype(np.float64).T
    threshold = reference.max(1)[:, None]
    found = []
    for part in (sim, sim[:, KEPT]):
        found.append(part > threshold)
        found += [(part > threshold - band) & (part <= threshold) for band in BANDS]
    return [one.sum(1).tolist() for one in found]


@pytest.fixture
def scored(world, tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMETERS + f"density: {{bands: {BANDS}}}\n")
    similarity.main("val")
    split.write(layout.split("dedup"), KEPT, card={"pool": "0" * 64})
    return world


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("block_rows", [1, 7, 1000])
def test_blocks_and_devices_do_not_matter(scored, monkeypatch, block_rows, device):
    monkeypatch.setattr(
        "clipcause.search.device_counts.available", lambda name: torch.device("cpu")
    )
    monkeypatch.setattr("clipcause.search.device.available", lambda name: torch.device("cpu"))
    assert measured(block_rows, Engine().model_copy(update={"device": device})) == expected(scored)


def test_workers_and_parts_do_not_matter(scored, monkeypatch):
    monkeypatch.setattr("clipcause.search.tasks.JOINED", 1)
    split_store(scored, 0, 1, 130, 131, 300)
    assert measured(70, Engine(workers=2)) == expected(scored)
    # everything is in the shard cache now, whatever the blocks
    monkeypatch.setattr(Counting, "__call__", None)
    assert measured(64) == expected(scored)


def test_killed_and_resumed(scored, monkeypatch):
    monkeypatch.setattr("clipcause.search.tasks.JOINED", 1)
    split_store(scored, 0, 1, 130, 131, 300)
    shutil.rmtree(cache.folder())
    calls, real = [], Counting.__call__

    def counted(task, portion):
        calls.append(portion.start)
        if os.getpid() != parent and len(calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(task, portion)

    parent = os.getpid()
    monkeypatch.setattr(Counting, "__call__", counted)
    child = os.fork()
    if child == 0:
        density.main("val")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert not layout.density("tiny", "reference", "val").exists()
    assert measured(70) == expected(scored)
    assert calls == [130, 131]


def test_a_copy_of_what_sets_the_threshold_is_under_it(scored):
    found = scores.read(layout.similarity("tiny", "reference", "val")).test
    # pool rows 100 to 109 are copies of the reference rows 0 to 9
    copied = np.flatnonzero(found.reference_row < 10)
    assert len(copied)
    density.main("val")
    of = artifact.read(layout.density("tiny", "reference", "val"))
    assert (of.pool["within_0.01"][copied] >= 1).all()


def test_stage(scored):
    done = density.main("val")
    of = artifact.read(layout.density("tiny", "reference", "val"))
    assert [one.tolist() for part in (of.pool, of.base) for one in part.values()] == expected(
        scored
    )
    assert of.card == {
        "encoder": "e" * 64,
        "pool": "0" * 64,
        "reference": "1" * 64,
        "test": "2" * 64,
        "bands": BANDS,
        "base": "dedup",
        "pool_rows": 300,
        "base_rows": len(KEPT),
        "test_rows": 40,
    }
    numbers = json.loads(layout.metrics("density", "val").read_text())
    within = np.array(expected(scored)[3])
    assert numbers["pool"]["within_0.05"]["mean"] == pytest.approx(within.mean(), abs=1e-6)
    assert numbers["pool"]["within_0.05"]["median"] == np.median(within)
    assert numbers["pool"]["within_0.05"]["none"] == pytest.approx((within == 0).mean(), abs=1e-6)
    assert f"{within.mean():.1f} of 300 pool rows lie within 0.05" in done
    first = {path.name: path.read_bytes() for path in of.folder.iterdir()}
    shutil.rmtree(cache.folder())
    density.main("val")
    assert {path.name: path.read_bytes() for path in of.folder.iterdir()} == first


def test_what_does_not_fit_is_said(scored):
    with pytest.raises(ValueError, match="unknown test set 'vall'; did you mean 'val'"):
        density.main("vall")
    split.write(layout.split("dedup"), KEPT, card={"pool": "9" * 64})
    with pytest.raises(ValueError, match="splits/dedup/pool: made with another pool"):
        density.main("val")
    split.write(layout.split("dedup"), KEPT, card={"pool": "0" * 64})
    folder = layout.similarity("tiny", "reference", "val")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"encoder": "a" * 64}))
    with pytest.raises(ValueError, match="similarity/tiny/reference/val: made with another enc"):
        density.main("val")
    assert not layout.density("tiny", "reference", "val").exists()


def test_a_file_that_cannot_be_is_refused(scored):
    density.main("val")
    folder = layout.density("tiny", "reference", "val")
    of = artifact.read(folder)
    card = {name: value for name, value in of.card.items() if name != "test_rows"}
    swapped = {**of.pool, "within_0.01": of.pool["within_0.05"] + 1}
    with pytest.raises(ValueError, match=r"within_0\.02 is less than a narrower band in"):
        artifact.write(folder, swapped, of.base, card)
    with pytest.raises(ValueError, match="of the base is more than of the pool"):
        artifact.write(folder, of.base, of.pool, card)
    with pytest.raises(ValueError, match="does not state 'reference'"):
        artifact.write(folder, of.pool, of.base, card | {"reference": ""})
    (folder / "card.json").write_text(json.dumps(card | {"test_rows": 39}))
    with pytest.raises(ValueError, match="40 test_rows, the card says 39"):
        artifact.read(folder)


@pytest.mark.parametrize("bands", [[], [0.0], [0.02, 0.01], [0.01, 0.01], [-0.1], [3.0], 0.1])
def test_bands_that_are_not_valid(bands):
    with pytest.raises(ValueError, match=r"params.yaml: density\.bands"):
        parse({"bands": bands}, Density, "params.yaml: density")
