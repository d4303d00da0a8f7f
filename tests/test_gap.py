"""The gap of a split: exact, and the reference's own after hull pruning."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch

from clipcause.config import layout
from clipcause.config.engine import Engine
from clipcause.prune import split
from clipcause.runtime import atomic
from clipcause.search import gap as artifact
from clipcause.search import nearest, scores, stores
from stages import gap, similarity
from tests.test_similarity import split_store, world

__all__ = ["world"]  # a fixture


@pytest.fixture
def scored(world):
    for test in ("val", "sketch"):
        similarity.main(test)
    return world


def measured(name, test):
    table = artifact.read(layout.gap(name), test)
    return {column: table[column].to_numpy() for column in artifact.SCHEMA.names}


def test_after_hull_pruning_the_gap_is_the_references(scored):
    found = scores.read(layout.similarity("tiny", "reference", "sketch"))
    split.write(layout.split("hull-sketch"), np.flatnonzero(found.pool.margin <= 0))
    gap.main("hull-sketch")
    of = measured("hull-sketch", "sketch")
    assert of["similarity"].tobytes() == found.test.reference_sim.tobytes()
    # and not because nothing was above: the pool was
    assert (found.test.pool_sim > found.test.reference_sim).any()
    assert (of["split_similarity"] <= found.test.reference_sim).all()


def test_is_nearest_among_the_rows_of_the_split(scored):
    rows = np.sort(np.random.default_rng(0).choice(300, 60, replace=False))
    split.write(layout.split("some"), rows)
    gap.main("some")
    for test in ("val", "sketch"):
        of = measured("some", test)
        sim, at = nearest(scored[test], scored["pool"][rows])
        assert of["split_similarity"].tobytes() == sim.tobytes()
        np.testing.assert_array_equal(of["split_row"], rows[at])
        reference = scores.read(layout.similarity("tiny", "reference", test)).test.reference_sim
        np.testing.assert_array_equal(of["similarity"], np.maximum(sim, reference))
        np.testing.assert_array_equal(of["row"], np.arange(len(sim)))
    numbers = json.loads(layout.metrics("gap", "some").read_text())
    assert set(numbers) == {"val", "sketch"}
    assert numbers["val"]["split"]["mean"] == pytest.approx(
        measured("some", "val")["split_similarity"].mean(), abs=1e-6
    )
    assert numbers["val"]["pool"]["mean"] >= numbers["val"]["split"]["mean"]


def test_the_full_split_has_the_pools_gap(scored):
    split.write(layout.split("all"), np.arange(300))
    gap.main("all")
    found = scores.read(layout.similarity("tiny", "reference", "val")).test
    of = measured("all", "val")
    assert of["split_similarity"].tobytes() == found.pool_sim.tobytes()
    np.testing.assert_array_equal(of["split_row"], found.pool_row)


def test_blocks_and_devices_do_not_matter(scored, monkeypatch, tmp_path):
    pool, val = stores.load("tiny", "pool", "tests/val")
    kept = split.from_rows(np.arange(0, 300, 3))
    seen = set()
    monkeypatch.setattr("clipcause.search.device.available", lambda name: torch.device("cpu"))
    for rows, device in [(1, "cpu"), (7, "cpu"), (1000, "cpu"), (7, "cuda"), (1000, "cuda")]:
        monkeypatch.setenv("CLIPCAUSE_SHARDS", str(tmp_path / f"{rows}-{device}"))
        where = Engine().model_copy(update={"device": device})
        found = gap.to_split(pool, kept, {"val": val}, rows, where)["val"]
        seen.add(tuple(part.tobytes() for part in found))
    assert len(seen) == 1


def test_parts_without_rows_of_the_split(scored, monkeypatch):
    monkeypatch.setattr("clipcause.search.tasks.JOINED", 1)
    split_store(scored, 0, 100, 200, 300)
    assert len(stores.load("tiny", "pool")[0].files) == 3
    split.write(layout.split("some"), np.arange(120, 140), card={})
    gap.main("some")
    sim, at = nearest(scored["val"], scored["pool"][120:140])
    of = measured("some", "val")
    assert of["split_similarity"].tobytes() == sim.tobytes()
    np.testing.assert_array_equal(of["split_row"], 120 + at)


def test_a_split_with_rows_beyond_the_pool(scored):
    split.write(layout.split("beyond"), np.array([1, 300]))
    with pytest.raises(ValueError, match="row 300 is not among 300 pool rows"):
        gap.main("beyond")


def test_a_split_of_another_pool_or_of_nothing(scored):
    split.write(layout.split("other"), np.arange(3), card={"pool": "f" * 64})
    with pytest.raises(ValueError, match="made from another pool"):
        gap.main("other")
    split.write(layout.split("empty"), np.zeros(0, int))
    with pytest.raises(ValueError, match="no rows"):
        gap.main("empty")
    assert not layout.gap("other").exists()


def test_scores_of_another_pool(scored):
    split.write(layout.split("some"), np.arange(3))
    folder = layout.embeddings("tiny", "pool")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, "dataset": "9" * 64}))
    with pytest.raises(ValueError, match=r"made with another pool \(0{12}…, expected 9{12}…\)"):
        gap.main("some")
    assert not layout.gap("some").exists()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (([0, 2], [0.5, 0.5], [0.5, 0.4], [7, 8]), "row does not count from 0 in 1 of 2 rows"),
        (([0, 1], [0.5, np.inf], [0.5, 0.4], [7, 8]), "not finite .* first in row 1"),
        (([0, 1], [0.5, 0.3], [0.5, 0.4], [7, 8]), "similarity is below split_similarity"),
        (([0, 1], [0.5, 0.5], [0.5, 0.4], [7, -1]), "split_row is negative .* gap stage again"),
        (([0, 1], [0.5, 0.5], [0.5, None], [7, 8]), "split_similarity is missing in 1 of 2"),
    ],
)
def test_damaged_gaps(tmp_path, columns, words):
    table = pa.table([pa.array(values) for values in columns], schema=artifact.SCHEMA)
    with pytest.raises(ValueError, match=words):
        artifact.write(tmp_path / "out", {"val": table})
    assert not (tmp_path / "out").exists()
    atomic.write_table(tmp_path / "out/val.parquet", table)
    with pytest.raises(ValueError, match=words):
        artifact.read(tmp_path / "out", "val")
    with pytest.raises(ValueError, match="unknown test set 'vall'; did you mean 'val'"):
        artifact.read(tmp_path / "out", "vall")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        artifact.read(tmp_path / "nowhere", "val")


def test_an_unknown_split(scored):
    with pytest.raises(FileNotFoundError, match="splits/nowhere"):
        gap.main("nowhere")
