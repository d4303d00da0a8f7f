"""Scores: row-aligned columns that fit their cards and each other."""

import dataclasses
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest

from clipcause.runtime import atomic
from clipcause.search import scores
from tests.artifacts_samples import contents

CARD = {"encoder": "e" * 64, "pool": "p" * 64, "reference": "r" * 64, "test": "t" * 64}


def make(margin=(0.5, -0.25, 0.0), **changes):
    count = len(margin)
    pool = scores.PoolScores(
        max_sim=np.linspace(0, 1, count, dtype=np.float32),
        nearest=np.zeros(count, np.int32),
        margin=np.array(margin, np.float32),
    )
    test = scores.TestScores(
        row=np.arange(2),
        reference_sim=np.array([0.5, 1 / 3]),
        reference_row=np.array([7, 0]),
        pool_sim=np.array([1.0, 0.5]),
        pool_row=np.array([0, count - 1]),
    )
    pool_names = {field.name for field in dataclasses.fields(pool)}
    pool = dataclasses.replace(pool, **{n: v for n, v in changes.items() if n in pool_names})
    test = dataclasses.replace(test, **{n: v for n, v in changes.items() if n not in pool_names})
    return pool, test


def test_what_is_read_is_what_was_written(tmp_path):
    pool, test = make()
    scores.write(tmp_path / "a", pool, test, CARD)
    scores.write(tmp_path / "b", pool, test, CARD)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    found = scores.read(tmp_path / "a")
    for columns, expected in ((found.pool, pool), (found.test, test)):
        for field in dataclasses.fields(expected):
            values, wanted = getattr(columns, field.name), getattr(expected, field.name)
            assert values.dtype == wanted.dtype
            np.testing.assert_array_equal(values, wanted)
    assert found.card == {**CARD, "pool_rows": 3, "test_rows": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"margin": np.array([0, np.nan, np.nan], np.float32)},
            r"pool\.parquet: margin is not finite in 2 of 3 rows, first in row 1",
        ),
        (
            {"reference_sim": np.array([np.inf, 0])},
            r"test\.parquet: reference_sim is not finite in 1 of 2 rows",
        ),
        (
            {"nearest": np.array([0, 2, 0], np.int32)},
            r"nearest is out of range in 1 rows, first 2 in row 1; there are 2",
        ),
        (
            {"pool_row": np.array([0, -1])},
            r"pool_row is out of range in 1 rows, first -1 in row 1; there are 3",
        ),
    ],
)
def test_bad_columns_are_not_written(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        scores.write(tmp_path / "a", *make(**changes), CARD)
    assert not (tmp_path / "a").exists()


def test_a_card_lacks_nothing(tmp_path):
    card = {name: value for name, value in CARD.items() if name != "reference"}
    with pytest.raises(ValueError, match="card does not state 'reference'"):
        scores.write(tmp_path / "a", *make(), card)


def test_all_test_sets_are_of_one_pool_reference_and_encoder(tmp_path):
    for test in ("sketch", "val"):
        scores.write(tmp_path / test, *make(), {**CARD, "test": test})
    found = scores.read_all(tmp_path, ["val", "sketch"], pool=CARD["pool"])
    assert list(found) == ["val", "sketch"]
    with pytest.raises(ValueError, match="unknown test set 'sketsh'; did you mean 'sketch'"):
        scores.read_all(tmp_path, ["sketsh"])
    with pytest.raises(ValueError, match=r"another pool \(p{12}…, expected 0{12}…\)"):
        scores.read_all(tmp_path, ["val"], pool="0" * 64)
    scores.write(tmp_path / "r", *make(), {**CARD, "reference": "x" * 64})
    with pytest.raises(ValueError, match=r"/r: made with another reference \(x{12}…, expected r"):
        scores.read_all(tmp_path, ["val", "r"])


def test_files_of_different_runs_do_not_mix(tmp_path):
    scores.write(tmp_path / "a", *make(), CARD)
    scores.write(tmp_path / "b", *make(margin=(0.0, 0.0)), CARD)
    (tmp_path / "a" / "pool.parquet").write_bytes((tmp_path / "b" / "pool.parquet").read_bytes())
    with pytest.raises(ValueError, match="2 pool_rows, the card says 3"):
        scores.read(tmp_path / "a")


def pieces(pool, *edges):
    return [
        scores.PoolScores(*(getattr(pool, name)[a:b] for name in ("max_sim", "nearest", "margin")))
        for a, b in pairwise(edges)
    ]


def stream(folder, parts, test=None, tests=2):
    with scores.writing(folder, CARD, tests) as out:
        for part in parts:
            out.add(part)
        if test is not None:
            out.finish(test)


@pytest.mark.parametrize("edges", [(0, 1000), (0, 1, 350, 350, 999, 1000), (0, 300, 600, 1000)])
def test_pieces_give_the_bytes_of_the_whole(tmp_path, monkeypatch, edges):
    monkeypatch.setattr(atomic, "ROW_GROUP", 300)
    pool, test = make(margin=np.random.default_rng(0).standard_normal(1000))
    stream(tmp_path / "a", pieces(pool, *edges), test)
    with (tmp_path / "whole.parquet").open("wb") as file:
        table = pq.read_table(tmp_path / "a/pool.parquet")
        pq.write_table(table, file, compression="zstd", row_group_size=300)
    assert contents(tmp_path / "a")["pool.parquet"] == (tmp_path / "whole.parquet").read_bytes()
    found = scores.read(tmp_path / "a")
    np.testing.assert_array_equal(found.pool.margin, pool.margin)
    np.testing.assert_array_equal(found.pool.column("max_sim"), pool.max_sim)
    seen = list(found.pool_blocks(["margin", "nearest"], rows=70))
    assert [start for start, _ in seen][:3] == [0, 70, 140]
    assert set(seen[0][1]) == {"margin", "nearest"}
    whole = np.concatenate([block["margin"] for _, block in seen])
    np.testing.assert_array_equal(whole, pool.margin)
    with pytest.raises(ValueError, match="unknown column 'margins'; did you mean 'margin'"):
        next(found.pool_blocks(["margins"]))


def test_a_bad_piece_is_named_by_its_row_in_the_pool(tmp_path):
    good, _ = make()
    bad = dataclasses.replace(good, nearest=np.array([0, 5, 0], np.int32))
    with pytest.raises(ValueError, match=r"range in 1 rows, first 5 in row 4; there are 2"):
        stream(tmp_path / "a", [good, bad])
    assert not (tmp_path / "a").exists()


def test_what_is_not_finished_is_not_there(tmp_path):
    pool, test = make()
    with pytest.raises(ValueError, match="not finished"):
        stream(tmp_path / "a", [pool])
    with pytest.raises(ValueError, match="2 test images, not 3"):
        stream(tmp_path / "a", [pool], test, tests=3)
    assert not any(tmp_path.iterdir())


def test_damage_is_found_when_the_column_is_read(tmp_path):
    scores.write(tmp_path / "a", *make(), CARD)
    table = pq.read_table(tmp_path / "a/pool.parquet")
    column = np.array([0, np.inf, 0], np.float32)
    at = table.column_names.index("margin")
    pq.write_table(table.set_column(at, "margin", [column]), tmp_path / "a/pool.parquet")
    found = scores.read(tmp_path / "a")
    assert len(found.pool.max_sim) == 3
    with pytest.raises(ValueError, match=r"margin is not finite in 1 of 3 rows, first in row 1"):
        _ = found.pool.margin
