"""The similarity stage: thresholds, margins and neighbours by hand, in blocks, and end to end."""

import dataclasses
import hashlib
import json
import shutil
from itertools import pairwise

import numpy as np
import pytest
import torch

from clipcause.config import layout
from clipcause.config.engine import Engine
from clipcause.embed import embeddings
from clipcause.runtime import shard_cache as cache
from clipcause.search import nearest, score_pool, scores, stores
from clipcause.search.scoring import measure
from clipcause.search.tasks import Scoring, portions
from stages import similarity
from tests.test_deduplicate import on_circle, store
from tests.test_search import unit

PARAMETERS = """
encoder: {name: tiny, run: full-0}
reference: reference
tests: {val: {}, sketch: {}}
similarity: {block_rows: 70}
"""


LOCAL = Engine()
POOL = ("max_sim", "nearest", "margin")


def test_by_hand():
    # two test images at 0 and 90 degrees, thresholds cos 30 and cos 60
    query = on_circle(0, 90)
    threshold = np.cos(np.deg2rad([30, 60]))
    max_sim, row, margin = score_pool(on_circle(20, 40, 80, 200), query, threshold)
    cos = np.cos(np.deg2rad([20, 40, 10, 110]))
    np.testing.assert_allclose(max_sim, cos, atol=1e-6)
    np.testing.assert_array_equal(row, [0, 0, 1, 1])
    # at 40 degrees it is nearest to 0, outside its hull, but inside the wide one of 90
    expected = [
        np.cos(np.deg2rad(20)) - threshold[0],
        np.cos(np.deg2rad(50)) - threshold[1],
        np.cos(np.deg2rad(10)) - threshold[1],
        np.cos(np.deg2rad(110)) - threshold[1],
    ]
    np.testing.assert_allclose(margin, expected, atol=1e-6)
    assert (margin > 0).tolist() == [True, True, True, False]


def test_ties_go_to_the_lowest():
    eye = np.eye(4, dtype=np.float16)
    even = np.full((1, 4), 0.5, np.float16)
    assert score_pool(even, eye, np.zeros(4))[1].tolist() == [0]
    assert score_pool(even, eye[::-1].copy(), np.zeros(4))[1].tolist() == [0]
    assert nearest(even, eye)[1].tolist() == [0]
    assert nearest(eye, np.repeat(even, 3, 0))[1].tolist() == [0, 0, 0, 0]


def test_strictly_greater_in_float64():
    eye = np.eye(4, dtype=np.float16)
    half = np.full((1, 4), 0.5, np.float16)
    for threshold, sign in [(0.5, 0), (np.nextafter(0.5, 0), 1), (np.nextafter(0.5, 1), -1)]:
        margin = score_pool(half, eye[:1], np.array([threshold]))[2]
        assert np.sign(margin[0]) == sign  # 1e-16 survives the rounding to float32


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("clipcause.config.versions.check", lambda *names: None)
    (tmp_path / "params.yaml").write_text(PARAMETERS)
    parts = {
        "pool": unit(300, 24, 1, shared=0.4),
        "reference": unit(90, 24, 2, shared=0.4),
        "val": unit(40, 24, 3, shared=0.4),
        "sketch": unit(30, 24, 4, shared=0.4),
    }
    parts["pool"][100:110] = parts["reference"][:10]
    for number, (name, x) in enumerate(parts.items()):
        folder = name if name in ("pool", "reference") else layout.test(name)
        store(layout.embeddings("tiny", folder), x, dataset=str(number) * 64)
    return parts


def measured(block_rows, where=LOCAL):
    """Scores of the whole pool, and of the test images."""
    pool, reference, test = stores.load("tiny", "pool", "reference", "tests/val")
    parts = []
    of_test = measure(pool, reference, test, parts.append, block_rows, where)
    columns = [[getattr(part, name) for part in parts] for name in POOL]
    return scores.PoolScores(*map(np.concatenate, columns)), of_test


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("block_rows", [1, 7, 1000])
def test_blocks_and_devices_do_not_matter(world, monkeypatch, block_rows, device):
    if device != "cpu":  # the path of a GPU, on what there is
        monkeypatch.setattr("clipcause.search.device.available", lambda name: torch.device("cpu"))
    of_pool, of_test = measured(block_rows, LOCAL.model_copy(update={"device": device}))
    threshold, row = nearest(world["val"], world["reference"])
    whole = score_pool(world["pool"], world["val"], threshold)
    for got, expected in zip(
        [of_pool.max_sim, of_pool.nearest, of_pool.margin], whole, strict=True
    ):
        assert got.tobytes() == expected.tobytes()
    pool_sim, pool_row = nearest(world["val"], world["pool"])
    for got, expected in [
        (of_test.reference_sim, threshold),
        (of_test.reference_row, row),
        (of_test.pool_sim, pool_sim),
        (of_test.pool_row, pool_row),
    ]:
        assert got.tobytes() == expected.tobytes()


def split_store(world, *edges):
    """The pool's store again, in several parts."""
    folder = layout.embeddings("tiny", "pool")
    card = json.loads((folder / "card.json").read_text())
    for number, (a, b) in enumerate(pairwise(edges)):
        np.save(folder / "img_emb" / f"img_emb_{number:04d}.npy", world["pool"][a:b])
    parts = sorted((folder / "img_emb").iterdir())
    card["parts"] = [hashlib.sha256(part.read_bytes()).hexdigest() for part in parts]
    (folder / "card.json").write_text(json.dumps(card))


def test_parts_do_not_matter_and_are_searched_once(world, monkeypatch):
    monkeypatch.setattr("clipcause.search.tasks.JOINED", 1)
    whole = [getattr(one, name) for one, name in columns(*measured(70))]
    split_store(world, 0, 1, 130, 131, 300)
    calls = []
    real = Scoring.__call__
    monkeypatch.setattr(Scoring, "__call__", lambda *given: calls.append(1) or real(*given))
    for _ in range(2):
        again = [getattr(one, name) for one, name in columns(*measured(70))]
        for got, expected in zip(again, whole, strict=True):
            assert got.tobytes() == expected.tobytes()
    assert len(calls) == 4
    # neither blocks nor threads nor the device are in the key
    monkeypatch.setattr("clipcause.search.device.available", lambda name: torch.device("cpu"))
    measured(64, Engine(device="cuda"))
    assert len(calls) == 4
    # small ones are searched together
    for joined, times in [(130, 2), (1000, 1)]:
        monkeypatch.setattr("clipcause.search.tasks.JOINED", joined)
        calls.clear()
        for rows in (7, 70):
            again = [getattr(one, name) for one, name in columns(*measured(rows))]
            for got, expected in zip(again, whole, strict=True):
                assert got.tobytes() == expected.tobytes()
        assert len(calls) == times
    monkeypatch.setattr("clipcause.search.tasks.JOINED", 1)
    calls.clear()
    # a part that is changed is searched again, and no other
    world["pool"][130] = world["pool"][5]
    split_store(world, 0, 1, 130, 131, 300)
    measured(70)
    assert len(calls) == 1


def columns(of_pool, of_test):
    names = [(of_pool, name) for name in POOL]
    return names + [(of_test, field.name) for field in dataclasses.fields(of_test)]


def test_copies_in_two_parts_give_the_lower_row(world, monkeypatch):
    monkeypatch.setattr("clipcause.search.tasks.JOINED", 1)
    world["pool"][200:240] = world["val"]
    world["pool"][60:100] = world["val"]
    split_store(world, 0, 150, 300)
    of_test = measured(70)[1]
    np.testing.assert_array_equal(of_test.pool_row, 60 + np.arange(40))


def test_a_part_that_is_not_the_cards_is_an_error(world, tmp_path):
    split_store(world, 0, 150, 300)
    part = layout.embeddings("tiny", "pool") / "img_emb/img_emb_0001.npy"
    np.save(part, world["pool"][149:299])
    with pytest.raises(ValueError, match=r"img_emb_0001\.npy: its SHA-256 is not that of the card"):
        similarity.main("val")
    assert not list((tmp_path / "similarity").rglob("*.parquet"))
    # what is there is whole: nothing of the wrong part is kept
    np.save(part, world["pool"][150:])
    similarity.main("val")


def test_a_part_that_shrinks_or_holds_no_unit_vectors(world, monkeypatch):
    split_store(world, 0, 150, 300)
    (portion, *_) = portions(stores.load("tiny", "pool")[0])
    path = portion.files[1].path
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(ValueError, match=r"img_emb_0001\.npy: ends before row 299"):
        list(portion.blocks(100))
    world["pool"][10] *= np.float16(2)
    split_store(world, 0, 150, 300)
    monkeypatch.setattr("clipcause.search.device.available", lambda name: torch.device("cpu"))
    for device in ("cpu", "cuda"):
        with pytest.raises(ValueError, match=r"0000\.npy to .*0001\.npy: pool: row 10 has norm"):
            measured(70, LOCAL.model_copy(update={"device": device}))


def test_two_processes_give_the_same(world, monkeypatch):
    monkeypatch.setattr("clipcause.search.tasks.JOINED", 1)
    split_store(world, 0, 1, 130, 131, 300)
    whole = measured(70)
    shutil.rmtree(cache.folder())
    for (one, name), (other, _) in zip(
        columns(*measured(70, Engine(workers=2))), columns(*whole), strict=True
    ):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


def test_no_gpu_is_said_before_any_work(world):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ValueError, match=r"engine\.device is cuda, and torch finds no GPU"):
        measured(70, Engine(device="cuda"))


def test_stage(world):
    done = similarity.main("val")
    found = scores.read(layout.similarity("tiny", "reference", "val"))
    assert found.card == {
        "encoder": "e" * 64,
        "pool": "0" * 64,
        "reference": "1" * 64,
        "test": "2" * 64,
        "pool_rows": 300,
        "test_rows": 40,
    }
    # a copy of a reference image is never inside a hull
    assert (found.pool.margin[100:110] <= 0).all()
    sim = world["pool"].astype(np.float64) @ world["val"].astype(np.float64).T
    inside = (sim > found.test.reference_sim).any(1)
    np.testing.assert_array_equal(found.pool.margin > 0, inside)
    assert f"{inside.sum()} of 300" in done


def test_unknown_test_set(world):
    with pytest.raises(ValueError, match="unknown test set 'skech'; did you mean 'sketch'"):
        similarity.main("skech")


def test_embeddings_of_another_encoder(world, tmp_path):
    store(tmp_path / "embeddings/mixed/pool", world["pool"], encoder="a" * 64)
    store(tmp_path / "embeddings/mixed/val", world["val"], encoder="b" * 64)
    with pytest.raises(ValueError, match=r"mixed/val: embeddings of encoder bbbbbbbbbbbb… .*aaaa"):
        stores.load("mixed", "pool", "val")


def test_embeddings_of_an_encoder_that_was_replaced(world, tmp_path):
    card = layout.model("full-0") / "card.json"
    card.parent.mkdir(parents=True)
    card.write_text(json.dumps({"fingerprint": "e" * 64}))
    assert len(stores.load("tiny", "pool", "tests/val")) == 2
    card.write_text(json.dumps({"fingerprint": "f" * 64}))
    with pytest.raises(ValueError, match=r"tiny/pool: .* e{12}…, .* f{12}…; embed again"):
        similarity.main("val")
    assert not (tmp_path / "similarity").exists()
    # published embeddings do not say what made them
    (layout.embeddings("tiny", "pool") / "card.json").unlink()
    assert len(stores.load("tiny", "pool")) == 1
    card.write_text("{}")
    with pytest.raises(ValueError, match="'fingerprint' is missing"):
        stores.load("tiny", "pool")


def test_missing_embeddings_leave_nothing(world, tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMETERS.replace("val:", "v2:"))
    with pytest.raises(FileNotFoundError, match="v2"):
        similarity.main("v2")
    assert not (tmp_path / "similarity").exists()


def test_published_embeddings_without_a_card(world):
    path = layout.embeddings("tiny", "pool")
    (path / "card.json").unlink()
    assert embeddings.read(path).encoder is None
    (only,) = stores.load("tiny", "pool")
    assert stores.source(only, only.encoder) == "unknown (pool)"


def test_no_encoder_name(tmp_path):
    (tmp_path / "p.yaml").write_text(json.dumps({"encoder": {}}))
    with pytest.raises(ValueError, match=r"encoder\.name is missing"):
        stores.encoder_name(tmp_path / "p.yaml")
