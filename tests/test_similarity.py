"""The similarity stage: thresholds, margins and neighbours by hand, in blocks, and end to end."""

import json

import numpy as np
import pytest

from stages import similarity
from stages.artifacts import embeddings, layout, scores
from stages.search import stores
from stages.similarity import measure, nearest, score_pool
from tests.test_deduplicate import on_circle, store
from tests.test_search import unit

PARAMETERS = """
encoder: {name: tiny}
reference: reference
tests: {val: {}, sketch: {}}
similarity: {block_rows: 70}
"""


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
    monkeypatch.setattr("stages.versions.check", lambda *names: None)
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


@pytest.mark.parametrize("block_rows", [1, 7, 1000])
def test_blocks_do_not_matter(world, block_rows):
    pool, reference, test = stores.load("tiny", "pool", "reference", "tests/val")
    of_pool, of_test = measure(pool, reference, test, block_rows)
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
    card = layout.model("encoder") / "card.json"
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
