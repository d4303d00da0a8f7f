"""embeddings: clip-retrieval folders as LAION publishes them, and what `embed` asks before use."""

import re
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from clipcause.config.datasets import Limits
from clipcause.data import dataset, in_place, manifest
from clipcause.data.sources.folder import read_folder
from clipcause.data.sources.published_embeddings import Embeddings, adopt, read_embeddings, rescaled
from clipcause.embed import embeddings as stored
from clipcause.prune import split
from stages import prepare
from tests.artifacts_samples import make_dataset, unit_vectors
from tests.real_images import drawings

NAMES = [name for name, _ in drawings(12)]


def published(folder: Path, sizes=(5, 3), *, padded: int = 1, dim: int = 8, **changed) -> Path:
    """A folder with the columns of LAION's; ``changed`` replaces whole columns of part 0."""
    for kind in ("img_emb", "metadata"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    start = 0
    for part, size in enumerate(sizes):
        number = f"{part:0{padded}d}"
        np.save(folder / f"img_emb/img_emb_{number}.npy", unit_vectors(size, dim, seed=part))
        rows = range(start, start + size)
        columns = {
            "image_path": [f"{row:09d}" for row in rows],
            "caption": [NAMES[row % 12] for row in rows],
            "NSFW": ["UNLIKELY"] * size,
            "similarity": [0.3] * size,
            "url": [f"https://example.org/{row}.jpg" for row in rows],
            "key": [f"{row:09d}" for row in rows],
            "width": [64] * size,
            "md5": ["x"] * size,
        }
        columns |= changed if part == 0 else {}
        table = pa.table({name: column for name, column in columns.items() if column is not None})
        pq.write_table(table, folder / f"metadata/metadata_{number}.parquet")
        start += size
    return folder


def prepared(tmp_path: Path, folder: Path, **options) -> manifest.Manifest:
    parts = read_embeddings(
        str(folder), Embeddings(source="embeddings", raw="data/none", **options)
    )
    in_place.write(tmp_path / "made", str(folder), parts, max_drop_fraction=0.0)
    return manifest.read(tmp_path / "made")


@pytest.mark.parametrize("padded", [1, 2, 4])
def test_a_published_folder_is_a_data_set_without_images(tmp_path, padded):
    folder = published(tmp_path / "laion", (3, *[1] * 11), padded=padded)
    made = prepared(tmp_path, folder, width="width")
    # by number: part 10 comes behind part 9, not behind part 1
    numbers = [int(re.sub(r"\D", "", shard.name)) for shard in made.shards]
    assert numbers == list(range(12))
    assert [shard.samples for shard in made.shards] == [3, *[1] * 11]
    rows = made.table.to_pylist()
    assert [row["key"] for row in rows] == [f"{row:09d}" for row in range(14)]
    assert rows[13]["caption"] == NAMES[1]
    assert rows[13]["source_id"] == dataset.source_id("https://example.org/13.jpg", NAMES[1])
    assert {row["uid"] for row in rows} == {row["label"] for row in rows} == {None}
    assert (rows[0]["width"], rows[0]["height"]) == (64, None)
    with pytest.raises(ValueError, match="this data set has no images"):
        next(made.images())
    found = adopt(folder, made, dim=8)
    assert [part.rows for part in found] == [3, *[1] * 11]
    assert all(part.unit and part.dtype == "float16" for part in found)
    assert found[0].name == f"img_emb/img_emb_{0:0{padded}d}.npy"


def test_every_row_stays_where_its_vector_is(tmp_path):
    captions = ["one", None, "  ", "four", "five"]
    folder = published(tmp_path / "laion", caption=captions, url=None, image_path=None, key=None)
    with pytest.raises(ValueError, match=r"no column 'url' for url; .* \(or say none\)"):
        prepared(tmp_path, folder)
    # parts may differ in the columns that nobody asked for
    made = prepared(tmp_path, folder, url="none", key="none")
    assert made.captions[:5] == ["one", "", "", "four", "five"]
    rows = made.table.to_pylist()
    assert [row["key"] for row in rows][3:6] == ["000000003", "000000004", "000000000"]
    assert {row["source_id"] for row in rows} == {None}  # nobody knows where they are from
    ledger = dataset.read_drops(tmp_path / "made").to_pylist()
    assert [(line["key"], line["reason"]) for line in ledger] == [
        ("000000001", "no caption"), ("000000002", "no caption"),
    ]  # fmt: skip
    adopt(folder, made, dim=None)
    published(folder, caption=["other"] * 5)
    with pytest.raises(
        ValueError, match=r"metadata_0\.parquet: not the file that .*made is made of"
    ):
        adopt(folder, made, dim=None)


def test_rows_without_a_source_id_are_compared_by_what_they_have(tmp_path):
    made = make_dataset(tmp_path / "tars", 7, shard_size=3)
    rows = made.table.select(["source_id", "uid", "key"])
    nothing = pa.nulls(7, pa.string())
    folder = published(tmp_path / "clip", (7,))
    path = folder / "metadata/metadata_0.parquet"
    for column in ("uid", "key"):
        right = {"source_id": nothing, column: rows[column]}
        pq.write_table(pa.table(right), path)
        assert [part.rows for part in adopt(folder, made, dim=8)] == [7]
        pq.write_table(pa.table({**right, column: rows[column].to_pylist()[::-1]}), path)
        with pytest.raises(ValueError, match=f"row 0 is {column} .* of other data"):
            adopt(folder, made, dim=8)
    # other tools' uid is another number
    pq.write_table(pa.table({"uid": ["x"] * 7, "key": rows["key"]}), path)
    assert len(adopt(folder, made, dim=8)) == 1


def test_vectors_of_tars_may_be_cut_into_other_parts(tmp_path):
    made = make_dataset(tmp_path / "tars", 7, shard_size=3)
    keys = made.table["key"].to_pylist()
    folder = published(tmp_path / "clip", (5, 2))
    # clip-retrieval writes a key, or the path of a file
    for part, rows in enumerate((keys[:5], [f"/data/{key}.jpg" for key in keys[5:]])):
        table = pa.table({"image_path": rows})
        pq.write_table(table, folder / f"metadata/metadata_{part}.parquet")
    assert [part.rows for part in adopt(folder, made, dim=8)] == [5, 2]
    other = pa.table({"image_path": [*keys[:4], keys[0]]})
    pq.write_table(other, folder / "metadata/metadata_0.parquet")
    with pytest.raises(
        ValueError, match=r"metadata_0.*row 4 is image_path 'set:icon-0', the manif"
    ):
        adopt(folder, made, dim=8)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((3, 3, 2), r"img_emb_2\.npy: 2 rows, shard 00002\.tar of .* has 1"),
        ((7, 1), "8 rows in 2 parts, .* has 7 in 3 shards"),
    ],
)
def test_other_numbers_of_rows(tmp_path, sizes, message):
    made = make_dataset(tmp_path / "tars", 7, shard_size=3)
    with pytest.raises(ValueError, match=message):
        adopt(published(tmp_path / "clip", sizes), made, dim=8)


def test_another_dimension(tmp_path):
    folder = published(tmp_path / "laion")
    made = prepared(tmp_path, folder)
    with pytest.raises(ValueError, match="vectors of 8 dimensions, the encoder's have 640"):
        adopt(folder, made, dim=640)
    np.save(folder / "img_emb/img_emb_1.npy", unit_vectors(3, 9))
    with pytest.raises(ValueError, match=r"parts differ in dimension: .*_0\.npy has 8, .*has 9"):
        adopt(folder, made, dim=8)


def test_vectors_that_are_not_of_length_one(tmp_path):
    folder = published(tmp_path / "laion")
    made = prepared(tmp_path, folder)
    path = folder / "img_emb/img_emb_1.npy"
    long = unit_vectors(3)
    long[1:] *= 8
    np.save(path, long)
    with pytest.raises(
        ValueError, match=r"2 of 3 rows are not of length one, the first is row 6 with 8\.\d+; norm"
    ):
        adopt(folder, made, dim=8)
    found = adopt(folder, made, dim=8, normalise=True)
    assert [part.unit for part in found] == [True, False]
    (block,) = rescaled(folder, "img_emb/img_emb_1.npy")
    assert block.dtype == np.float16
    expected = long.astype(np.float64)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.array_equal(block, expected.astype(np.float16))
    long[2] = np.nan
    np.save(path, long)
    with pytest.raises(ValueError, match="row 7 is zero, NaN or infinite"):
        adopt(folder, made, dim=8, normalise=True)


def test_float32_is_rescaled_or_refused(tmp_path):
    folder = published(tmp_path / "laion")
    made = prepared(tmp_path, folder)
    wide = unit_vectors(5).astype(np.float32)
    np.save(folder / "img_emb/img_emb_0.npy", wide)
    with pytest.raises(ValueError, match="float32, where float16 can be taken in place; normalise"):
        adopt(folder, made, dim=8)
    assert [part.dtype for part in adopt(folder, made, dim=8, normalise=True)] == [
        "float32", "float16",
    ]  # fmt: skip
    (block,) = rescaled(folder, "img_emb/img_emb_0.npy")
    assert np.abs(block - wide).max() <= 2**-11


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), r"part 0 of img_emb/img_emb_\*\.npy is missing \(1 of 2"),
        (lambda path: path.write_bytes(path.read_bytes()[:-2]), "bytes, .* needs .*; fetch it"),
        (lambda path: path.write_bytes(b"no array"), "not a readable array"),
        (lambda path: np.save(path, np.zeros((5, 8), np.float64)), "float64 of shape"),
        (lambda path: np.save(path, np.zeros((8, 5), np.float16).T), "in Fortran order"),
        (lambda path: np.save(path, unit_vectors(4)), "metadata_0.* 5 rows, .* has 4 vectors"),
        (lambda path: np.save(path.with_name("img_emb_00.npy"), unit_vectors(5)), "both part 0"),
    ],
)
def test_damaged_parts(tmp_path, damage, message):
    folder = published(tmp_path / "laion")
    damage(folder / "img_emb/img_emb_0.npy")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        prepared(tmp_path, folder)


def test_metadata_that_are_missing_or_damaged(tmp_path):
    folder = published(tmp_path / "laion")
    path = folder / "metadata/metadata_1.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"metadata_1\.parquet: cannot be read"):
        prepared(tmp_path, folder)
    path.unlink()
    with pytest.raises(ValueError, match="2 parts of vectors, 1 of metadata"):
        prepared(tmp_path, folder)


def test_prepare_makes_a_pool_of_published_embeddings_and_embed_takes_them(tmp_path, monkeypatch):
    folder = published(tmp_path / "laion")
    root = Path(__file__).parents[1]
    shown = yaml.safe_load((root / "params.yaml").read_text())
    entry = {"source": "embeddings", "raw": "data/none", "place": str(folder)}
    params = {
        "versions": shown["versions"],
        "prepare": {"image_size": 32, "shard_size": 10, "max_drop_fraction": 0.0},
        "datasets": {"pool": entry},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    assert prepare.main("pool") == "8 samples in 2 shards, 0 dropped"
    pool = manifest.read(Path("data/pool"))
    assert pool.place(1) == f"{folder}/metadata/metadata_1.parquet"
    digests = [part.sha256 for part in adopt(folder, pool, dim=8)]
    store = stored.adopt(tmp_path / "embeddings/clip/pool", folder, digests, pool, "encoder")
    expected = np.concatenate([unit_vectors(5, 8, seed=0), unit_vectors(3, 8, seed=1)])
    assert np.array_equal(store.all(), expected)
    # a split can be made on it without an image
    split.write(tmp_path / "splits/first", [0, 6], card={"pool": pool.sha256})
    assert split.read_for(tmp_path / "splits/first", pool.sha256).rows.tolist() == [0, 6]


def test_a_folder_behind_a_url(tmp_path):
    folder = published(tmp_path / "laion")
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/laion", recursive=True)
    try:
        local, remote = (
            [
                part.rows
                for part in read_embeddings(where, Embeddings(source="embeddings", raw="data/none"))
            ]
            for where in (str(folder), "memory://laion")
        )
    finally:
        memory.rm("/laion", recursive=True)
    assert len(local) == len(remote) == 2
    assert all(a.equals(b) for a, b in zip(local, remote, strict=True))


def test_a_part_for_which_clip_retrieval_found_nothing(tmp_path):
    folder = published(tmp_path / "own", (5, 1, 3))
    for name in ("img_emb/img_emb_1.npy", "metadata/metadata_1.parquet"):
        (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=r"part 1 of .* is missing .* stats/1\.json"):
        prepared(tmp_path, folder)
    # what its logger leaves of a part without a batch, and of one that has rows
    (folder / "stats").mkdir()
    (folder / "stats/1.json").write_text('{"sample_count": 1}')
    with pytest.raises(FileNotFoundError, match="part 1 of"):
        prepared(tmp_path, folder)
    (folder / "stats/1.json").write_text("{}")
    made = prepared(tmp_path, folder)
    assert [shard.samples for shard in made.shards] == [5, 3]
    facts = adopt(folder, made, dim=8)
    assert [part.rows for part in facts] == [5, 3]
    store = stored.adopt(tmp_path / "store", folder, [one.sha256 for one in facts], made, "x")
    assert np.array_equal(store.all()[5:], unit_vectors(3, 8, seed=2))
    (folder / "metadata/metadata_2.parquet").unlink()
    (folder / "stats/2.json").write_text("{}")
    with pytest.raises(ValueError, match="2 parts of vectors, 1 of metadata; of part 2 only one"):
        prepared(tmp_path, folder)


def test_clip_retrieval_over_ones_own_folder(tmp_path):
    raw = tmp_path / "pictures"
    names = ["a/b.jpg", "a/v1.0 b.png", "c.tar.png"]
    for number, name in enumerate(names):
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (number, 0, 0)).save(raw / name)
        (raw / name).with_suffix(".txt").write_text("a bell")
    found = read_folder(raw, 16, Limits())
    dataset.write(tmp_path / "made", found, shard_size=10, max_drop_fraction=0.0)
    made = manifest.read(tmp_path / "made")
    folder = published(tmp_path / "clip", (3,))
    path = folder / "metadata/metadata_0.parquet"
    for given in ([str(raw / name) for name in names], names, [f"C:\\p\\{n}" for n in names]):
        pq.write_table(pa.table({"image_path": given}), path)
        assert [part.rows for part in adopt(folder, made, dim=8)] == [3]
    wrong = [str(raw / name) for name in ("a/b.jpg", "c.tar.png", "a/v1.0 b.png")]
    pq.write_table(pa.table({"image_path": wrong}), path)
    with pytest.raises(ValueError, match=r"row 1 is image_path .* or in another order"):
        adopt(folder, made, dim=8)


def test_named_columns_are_kept(tmp_path):
    folder = published(tmp_path / "laion")
    made = prepared(tmp_path, folder, columns=["similarity", "NSFW", "width"])
    assert made.kept("similarity").to_pylist() == [0.3] * 8
    assert made.kept("NSFW").to_pylist() == ["UNLIKELY"] * 8
    assert made.kept("width").to_pylist() == [64] * 8
    with pytest.raises(ValueError, match="no 'similarty'; did you mean 'similarity'"):
        prepared(tmp_path, folder, columns=["similarty"])


def test_an_error_page_in_place_of_a_part_is_called_so(tmp_path):
    folder = published(tmp_path / "laion")
    for name in ("img_emb/img_emb_1.npy", "metadata/metadata_1.parquet"):
        right = (folder / name).read_bytes()
        (folder / name).write_bytes(b"<!DOCTYPE html><html>")
        with pytest.raises(ValueError, match=f"{name}: it is an HTML page"):
            prepared(tmp_path, folder)
        (folder / name).write_bytes(right)
