"""Embedding stores: what is read is what was written, and damage is named."""

import hashlib
import io
import json
import os
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcause.embed import embeddings
from tests.artifacts_samples import contents, make_dataset, unit_vectors

ENCODER = "e" * 64


def parts_of(manifest, vectors):
    return [
        vectors[start:stop]
        for start, stop in zip(manifest.starts, manifest.starts[1:], strict=False)
    ]


@pytest.fixture
def manifest(tmp_path):
    return make_dataset(tmp_path / "pool", 7)


@pytest.fixture
def store(tmp_path, manifest):
    return embeddings.write(
        tmp_path / "emb", parts_of(manifest, unit_vectors(7)), manifest, ENCODER
    )


def damage(store, part, change):
    path = store.folder / "img_emb" / f"img_emb_{part:04d}.npy"
    rows = np.load(path)
    np.save(path, change(rows))


def test_layout_is_that_of_clip_retrieval(store, manifest):
    assert sorted(contents(store.folder)) == [
        "card.json",
        "img_emb/img_emb_0000.npy",
        "img_emb/img_emb_0001.npy",
        "img_emb/img_emb_0002.npy",
        "metadata/metadata_0000.parquet",
        "metadata/metadata_0001.parquet",
        "metadata/metadata_0002.parquet",
    ]
    card = json.loads((store.folder / "card.json").read_text())
    files = sorted((store.folder / "img_emb").iterdir())
    assert card == {
        "encoder": ENCODER,
        "dataset": manifest.sha256,
        "rows": 7,
        "dim": 8,
        "parts": [hashlib.sha256(path.read_bytes()).hexdigest() for path in files],
    }
    assert [store.part_id(number) for number in range(3)] == card["parts"]
    second = pq.read_table(store.folder / "metadata" / "metadata_0001.parquet")
    assert second["row"].to_pylist() == [3, 4, 5]
    assert store.metadata().equals(manifest.table.select(second.column_names))


def test_every_way_of_reading_gives_the_same_rows(store):
    vectors = unit_vectors(7)
    assert (len(store), store.dim) == (7, 8)
    np.testing.assert_array_equal(store.all(), vectors)
    np.testing.assert_array_equal(np.concatenate(store.parts), vectors)
    np.testing.assert_array_equal(store.take(np.array([6, 0, 3, 3])), vectors[[6, 0, 3, 3]])
    assert store.take(np.array([], np.int64)).shape == (0, 8)
    for size in (1, 2, 3, 7, 100):
        blocks = list(store.blocks(size))
        assert [start for start, _ in blocks] == list(range(0, 7, size))
        np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), vectors)
    with pytest.raises(ValueError, match="rows 0 to 7 of 7"):
        store.take(np.array([0, 7]))


def test_rows_are_taken_in_any_order_and_number(store):
    chance = np.random.default_rng(0)
    for count in (0, 1, 3, 20):
        wanted = chance.integers(0, 7, count)
        np.testing.assert_array_equal(store.take(wanted), store.all()[wanted])


def test_float32_parts_are_rounded_once_and_bytes_repeat(tmp_path, manifest):
    vectors = unit_vectors(7).astype(np.float32)
    for name in ("a", "b"):
        embeddings.write(tmp_path / name, iter(parts_of(manifest, vectors)), manifest, ENCODER)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    np.testing.assert_array_equal(embeddings.read(tmp_path / "a").all(), vectors.astype(np.float16))


@given(st.integers(0, 2**32 - 1), st.integers(2, 1024))
def test_rounding_to_float16_stays_within_the_tolerance(seed, dim):
    rows = unit_vectors(16, dim, seed)
    length = np.linalg.norm(rows.astype(np.float64), axis=1)
    assert np.abs(length - 1).max() < embeddings.NORM_TOLERANCE


def test_an_unnormalised_row_is_named_with_file_and_count(store):
    damage(store, 1, lambda rows: (rows * np.array([[1], [1.01], [2]])).astype(np.float16))
    message = (
        r"img_emb_0001\.npy: 2 of 3 rows are not finite vectors of length one; "
        r"the first is row 4: length 1\.0\d+, expected 1"
    )
    reopened = embeddings.read(store.folder)
    with pytest.raises(ValueError, match=message):
        reopened.all()
    with pytest.raises(ValueError, match=message):
        list(reopened.blocks(2))
    with pytest.raises(ValueError, match=message):
        reopened.take(np.array([0, 5]))
    np.testing.assert_array_equal(reopened.take(np.array([0])), unit_vectors(7)[:1])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_named(store, bad):
    def change(rows):
        rows[0, 3] = bad
        return rows

    damage(store, 2, change)
    with pytest.raises(ValueError, match=r"0002\.npy: 1 of 1 .* row 6: NaN or infinite values"):
        embeddings.read(store.folder).all()


def test_the_manifest_is_never_held_whole(tmp_path, manifest, monkeypatch):
    def whole(self):
        raise AssertionError("the whole table was asked for")

    monkeypatch.setattr(type(manifest), "table", property(whole))
    embeddings.write(tmp_path / "emb", parts_of(manifest, unit_vectors(7)), manifest, ENCODER)


def test_nothing_bad_can_be_written(tmp_path, manifest):
    parts = parts_of(manifest, unit_vectors(7))
    cases = {
        r"img_emb_0001\.npy: 3 of 3 rows .* row 3": [parts[0], parts[1] * 0, parts[2]],
        r"img_emb_0001\.npy: shape \(2, 8\), expected \(3, 8\) for shard 00001": [
            parts[0],
            parts[1][:2],
            parts[2],
        ],
        r"img_emb_0002\.npy: shape \(1, 7\)": [*parts[:2], unit_vectors(1, 7)],
        "2 parts or more, 3 shards": parts[:2],
        "4 parts or more, 3 shards": [*parts, parts[0]],
    }
    for message, damaged in cases.items():
        with pytest.raises(ValueError, match=message):
            embeddings.write(tmp_path / "emb", damaged, manifest, ENCODER)
        assert not (tmp_path / "emb").exists()


def test_another_encoder_or_data_set_is_named_with_both_hashes(store, manifest):
    embeddings.read(store.folder, encoder=ENCODER, dataset=manifest.sha256)
    with pytest.raises(ValueError, match=r"encoder is e{12}…, the parameters' is f{12}…; embed"):
        embeddings.read(store.folder, encoder="f" * 64)
    with pytest.raises(ValueError, match=r"data set is [0-9a-f]{12}…, the parameters' is 0{12}…"):
        embeddings.read(store.folder, dataset="0" * 64)


def test_files_that_do_not_fit_are_named(store):
    folder = store.folder / "img_emb"
    whole = (folder / "img_emb_0001.npy").read_bytes()
    (folder / "img_emb_0001.npy").write_bytes(whole[:-2])
    with pytest.raises(ValueError, match=r"0001\.npy: not a readable array"):
        embeddings.read(store.folder)
    (folder / "img_emb_0001.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"part 1 is missing \(2 of 3 there\)"):
        embeddings.read(store.folder)
    np.save(folder / "img_emb_0001.npy", unit_vectors(2))
    with pytest.raises(ValueError, match=r"card says {'rows': 7.*files have {'rows': 6"):
        embeddings.read(store.folder)
    np.save(folder / "img_emb_0001.npy", unit_vectors(3, 9))
    with pytest.raises(ValueError, match=r"img_emb_0000\.npy has 8, img_emb_0001\.npy has 9"):
        embeddings.read(store.folder)
    np.save(folder / "img_emb_0001.npy", unit_vectors(3).astype(np.float32))
    with pytest.raises(ValueError, match=r"float32 of shape \(3, 8\), expected float16"):
        embeddings.read(store.folder)


def test_a_file_cut_while_it_is_open_is_named(store):
    path = store.files[0].path
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(ValueError, match=r"0000\.npy: ends before row 2"):
        store.all()


def test_a_published_store_gets_rows_from_its_part_numbers(tmp_path):
    vectors = unit_vectors(12, 4)
    (tmp_path / "img_emb").mkdir()
    (tmp_path / "metadata").mkdir()
    for number in range(12):  # unpadded, so that 10 sorts before 2 as text
        np.save(tmp_path / "img_emb" / f"img_emb_{number}.npy", vectors[number : number + 1])
        table = pa.table({"image_path": [f"{number:09d}"]})
        pq.write_table(table, tmp_path / "metadata" / f"metadata_{number}.parquet")
    store = embeddings.read(tmp_path)
    assert (store.encoder, store.dataset) == (None, None)
    np.testing.assert_array_equal(store.all(), vectors)
    metadata = store.metadata()
    assert metadata["row"].to_pylist() == list(range(12))
    assert metadata["image_path"].to_pylist() == [f"{n:09d}" for n in range(12)]
    with pytest.raises(ValueError, match=r"encoder is unknown \(there is no card\)"):
        embeddings.read(tmp_path, encoder=ENCODER)
    pq.write_table(pa.table({"image_path": ["a", "b"]}), tmp_path / "metadata/metadata_3.parquet")
    with pytest.raises(ValueError, match=r"metadata_3\.parquet: 2 rows, .*img_emb_3\.npy has 1"):
        store.metadata()


def test_an_empty_folder_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="embed the data set first"):
        embeddings.read(tmp_path)


def test_parts_are_the_bytes_that_numpy_writes(store):
    for path, part in zip(sorted((store.folder / "img_emb").iterdir()), store.parts, strict=True):
        expected = io.BytesIO()
        np.save(expected, np.asarray(part))
        assert path.read_bytes() == expected.getvalue()


def test_a_part_without_a_recorded_hash_is_known_by_its_file(tmp_path):
    store = published(tmp_path / "there", unit_vectors(4))
    before = [store.part_id(number) for number in range(2)]
    assert len(set(before)) == 2
    again = embeddings.read(tmp_path / "there")
    assert [again.part_id(number) for number in range(2)] == before
    path = tmp_path / "there/img_emb/img_emb_1.npy"
    os.utime(path, ns=(0, 0))
    assert [again.part_id(number) == before[number] for number in range(2)] == [True, False]


def published(folder, vectors, width=2):
    """A store as LAION publishes it: no card, numbers without leading zeros."""
    (folder / "img_emb").mkdir(parents=True)
    for number, start in enumerate(range(0, len(vectors), width)):
        np.save(folder / "img_emb" / f"img_emb_{number}.npy", vectors[start : start + width])
    return embeddings.read(folder)


def test_a_published_store_is_adopted_where_it_lies(tmp_path, manifest):
    there = tmp_path / "there"
    published(there, unit_vectors(7))
    before = contents(there)
    digests = [hashlib.sha256(before[f"img_emb/img_emb_{n}.npy"]).hexdigest() for n in range(4)]
    store = embeddings.adopt(tmp_path / "emb", there, digests, manifest, ENCODER)
    assert list(contents(store.folder)) == ["card.json"]
    assert contents(there) == before
    np.testing.assert_array_equal(store.all(), unit_vectors(7))
    assert [store.part_id(number) for number in range(4)] == digests
    again = embeddings.read(tmp_path / "emb", encoder=ENCODER, dataset=manifest.sha256)
    assert (again.dim, len(again)) == (8, 7)
    first = there / "img_emb/img_emb_0.npy"
    taken = (tmp_path / "emb/card.json").stat().st_mtime_ns
    os.utime(first, ns=(taken + 1, taken + 1))
    with pytest.raises(ValueError, match=r"img_emb_0\.npy: changed since .*emb was made from it"):
        embeddings.read(tmp_path / "emb")
    os.utime(first, ns=(taken, taken))
    np.save(there / "img_emb/img_emb_4.npy", unit_vectors(1))
    with pytest.raises(ValueError, match=r"the card has 4 parts, .*there has 5"):
        embeddings.read(tmp_path / "emb")
    there.rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"there: not found; the embeddings .*emb are read"):
        embeddings.read(tmp_path / "emb")


def test_a_store_of_other_data_is_not_adopted(tmp_path, manifest):
    store = published(tmp_path / "there", unit_vectors(6))
    with pytest.raises(ValueError, match=r"there: 6 rows, expected 7 for .*pool"):
        embeddings.adopt(tmp_path / "emb", tmp_path / "there", ["0"] * 3, manifest, ENCODER)
    with pytest.raises(ValueError, match=r"there: 3 parts, expected 2"):
        embeddings.adopt(tmp_path / "emb", tmp_path / "there", ["0"] * 2, manifest, ENCODER)
    assert not (tmp_path / "emb").exists()
    np.save(store.folder / "img_emb/img_emb_01.npy", unit_vectors(2))
    with pytest.raises(ValueError, match=r"img_emb_01\.npy and img_emb_1\.npy are both part 1"):
        embeddings.read(tmp_path / "there")


@given(
    st.lists(st.integers(0, 5), max_size=8),
    st.lists(st.integers(1, 7), min_size=1, max_size=8),
)
def test_blocks_are_cut_into_parts(blocks, sizes):
    rows = np.arange(sum(blocks), dtype=np.float16)[:, None]
    ends = np.cumsum([0, *blocks])
    pieces = [rows[start:stop] for start, stop in pairwise(ends)]
    parts = list(embeddings.cut(iter(pieces), sizes))
    assert [len(part) for part in parts[: len(sizes)]] == [
        len(part) for part in np.split(rows, np.cumsum(sizes))[: len(sizes)]
    ][: len(parts)]
    joined = np.concatenate([rows[:0], *parts])
    np.testing.assert_array_equal(joined, rows[: len(joined)])
    # what is left over is seen as one part too many
    assert (len(parts) > len(sizes)) == (sum(blocks) > sum(sizes))


@pytest.mark.parametrize(("count", "second"), [(1, "0001"), (10_000, "0001"), (10_001, "00001")])
def test_parts_sort_as_text_by_number(count, second):
    names = [embeddings.digits(number, count) for number in range(count)]
    assert names == sorted(names)
    assert len(set(names)) == count
    assert embeddings.digits(1, count) == second
