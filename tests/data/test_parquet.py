"""parquet: pictures in Parquet files, as `datasets` and img2dataset write them."""

import io
import json
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from clipcause.config.datasets import Limits
from clipcause.config.engine import Engine
from clipcause.data import cells, dataset, in_place, manifest, samples
from clipcause.data.manifest import Manifest
from clipcause.data.sources import parquet as source
from clipcause.data.sources import table, union
from clipcause.data.sources.parquet import Read
from clipcause.data.sources.table import Table
from clipcause.runtime import shard_cache as cache
from tests import web_tars
from tests.artifacts_samples import contents

PICTURES = web_tars.images(12)
# as `datasets` 5.2.0 writes them: the schema of the file and what its metadata say
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FEATURES = {
    "image": {"_type": "Image"},
    "label": {"names": ["cat", "dog"], "_type": "ClassLabel"},
    "text": {"dtype": "string", "_type": "Value"},
    "json": {"caption": {"dtype": "string", "_type": "Value"}},
}
NAMES = {"image": "image", "caption": "text", "label": "none"}


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """A shard cache of the test's own."""
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "kept"))
    monkeypatch.chdir(tmp_path)


def structs(pictures: list[bytes | None]) -> pa.Array:
    rows = [{"bytes": one, "path": f"{at}.jpg"} for at, one in enumerate(pictures)]
    return pa.array(rows, STRUCT)


def hub(
    path: Path, count: int = 6, group: int = 3, *, write_batch_size: int = 1024, **columns: Any
) -> Path:
    """A file as the hub has it; its classes are cat, dog, none, cat …"""
    rows = range(count)
    made = {
        "image": structs([PICTURES[row % 12] for row in rows]),
        "label": pa.array([(0, 1, -1)[row % 3] for row in rows], pa.int64()),
        "text": [f"picture {row}" for row in rows],
        "json": [{"caption": f"inner {row}"} for row in rows],
        **columns,
    }
    metadata = {"huggingface": json.dumps({"info": {"features": FEATURES}})}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table(made).replace_schema_metadata(metadata),
        path,
        row_group_size=group,
        compression={"image.bytes": "NONE", "text": "SNAPPY"},
        use_dictionary=["text"],
        write_page_index=True,
        write_batch_size=write_batch_size,
    )
    return path


def prepared(
    folder: str,
    where: Path | str,
    shards="**/*.parquet",
    *,
    classes=(),
    most=0.0,
    workers=1,
    further=(),
    **columns,
) -> Manifest:
    read, engine = Read(NAMES | columns, classes, further), Engine(workers=workers)
    parts = source.parts(str(where), shards, read, Limits(), engine, "pool")
    in_place.write(Path(folder), str(where), parts, max_drop_fraction=most)
    return manifest.read(Path(folder))


def ledger(folder: str) -> list[tuple[str, ...]]:
    return [tuple(line.values()) for line in dataset.read_drops(Path(folder)).to_pylist()]


def test_a_file_of_the_hub_is_read_where_it_lies(tmp_path):
    path = hub(tmp_path / "hub/data/train-00000-of-00001.parquet")
    pool = prepared("data/pool", tmp_path / "hub", label="label")
    assert sorted(contents(Path("data/pool"))) == [
        "drops.parquet", "manifest.parquet", "members.parquet"
    ]  # fmt: skip
    assert ledger("data/pool") == []
    assert [(one.name, one.samples, one.column) for one in pool.shards] == [
        ("data/train-00000-of-00001.parquet#0", 6, "image.bytes")
    ]
    assert pool.place(0) == str(path)
    assert pool.labels == ["cat", "dog", None, "cat", "dog", None]
    assert pool.table.to_pylist()[1] == {
        "row": 1,
        "shard": "data/train-00000-of-00001.parquet#0",
        "key": "000000001",
        "uid": dataset.uid(PICTURES[1]),
        "source_id": None,
        "pool_uid": None,
        "caption": "picture 1",
        "captions": None,
        "label": "dog",
        "width": 48,
        "height": 48,
        "converted": False,
    }
    expected = [one["bytes"] for one in pq.read_table(path)["image"].to_pylist()]
    assert list(pool.images()) == list(enumerate(expected))
    assert pool.image([5, 0, 5]) == [expected[5], expected[0], expected[5]]
    wanted_M = np.array([True, False, False, False, True, False])
    found = list(samples.originals(pool, 0, wanted_M))
    assert [(one.row, one.extension, one.image) for one in found] == [
        (0, "jpg", expected[0]), (4, "jpg", expected[4])
    ]  # fmt: skip
    assert found[1].facts == {"label": 1, "text": "picture 4", "json": {"caption": "inner 4"}}


def test_img2datasets_column_of_bytes_with_its_failures(tmp_path):
    # a download that failed is a row without a picture: it never was a sample
    columns = {
        "key": [f"{row:09d}" for row in range(100, 104)],
        "jpg": [*PICTURES[:2], None, PICTURES[3]],
        "caption": ["a", "b", "c", "d"],
        "url": [f"https://example.com/{row}" for row in range(4)],
        "width": [512] * 4,
    }
    (tmp_path / "web").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "web/00000.parquet", row_group_size=2)
    names = {"image": "jpg", "caption": "caption", "key": "key", "url": "url"}
    pool = prepared("data/pool", tmp_path / "web", **names)
    assert pool.table["key"].to_pylist() == ["000000100", "000000101", "000000103"]
    assert pool.table["width"].to_pylist() == [48] * 3  # of the picture, whatever is said of it
    identity = dataset.source_id("https://example.com/3", "d")
    assert pool.table["source_id"].to_pylist()[2] == identity
    assert ledger("data/pool") == [("00000.parquet#1", "000000102", "no image", "row 2: null")]
    assert [image for _, image in pool.images()] == [PICTURES[row] for row in (0, 1, 3)]


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.binary_view(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int16(), pa.large_string()),
    ],
    ids=str,
)
@pytest.mark.parametrize("bytes_kind", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
def test_text_and_bytes_of_every_type_are_the_same(tmp_path, kind, bytes_kind):
    texts = ["a bell", "a car", "a bell"]
    columns = {
        "text": pa.array(texts).cast(kind) if "dict" not in str(kind) else texts_of(kind, texts),
        "image": pa.array(PICTURES[:3], bytes_kind),
        "name": pa.array(["x", "y", "z"]).cast(pa.large_string()),
    }
    (tmp_path / "raw").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "raw/a.parquet")
    pool = prepared("data/pool", tmp_path / "raw", key="name", label="text")
    assert pool.captions == pool.labels == texts
    assert pool.table["key"].to_pylist() == ["x", "y", "z"]
    assert pool.image([2, 0]) == [PICTURES[2], PICTURES[0]]


def texts_of(kind: pa.DictionaryType, texts: list[str]) -> pa.Array:
    return pa.array(texts, kind.value_type).dictionary_encode().cast(kind)


def test_pictures_that_are_dictionary_encoded(tmp_path):
    encoded = pa.array([PICTURES[at] for at in (0, 1, 0)], pa.binary()).dictionary_encode()
    (tmp_path / "raw").mkdir()
    table = pa.table({"image": encoded, "text": ["a", "b", "c"]})
    pq.write_table(table, tmp_path / "raw/a.parquet")
    assert pa.types.is_dictionary(pq.read_schema(tmp_path / "raw/a.parquet").field("image").type)
    pool = prepared("data/pool", tmp_path / "raw")
    assert [image for _, image in pool.images()] == [PICTURES[at] for at in (0, 1, 0)]


@pytest.mark.parametrize("inner", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_a_list_of_captions_is_several(tmp_path, inner):
    said = [["a bell", "bells"], ["a car"], ["", "a key", None]]
    hub(tmp_path / "hub/a.parquet", 3, text=pa.array(said, pa.list_(inner)))
    pool = prepared("data/pool", tmp_path / "hub")
    assert pool.captions == ["a bell", "a car", "a key"]
    assert pool.table["captions"].to_pylist() == [["a bell", "bells"], None, None]


def test_fields_of_structs_by_dots_and_classes_as_captions(tmp_path):
    hub(tmp_path / "hub/a.parquet", 3)
    pool = prepared("data/pool", tmp_path / "hub", caption="json.caption")
    assert pool.captions == ["inner 0", "inner 1", "inner 2"]
    names = {"image": "image.bytes", "caption": "none", "label": "label"}
    # a row without class and caption has nothing to say
    pool = prepared("data/other", tmp_path / "hub", **names, most=0.5)
    assert (pool.captions, pool.labels) == (["cat", "dog"], ["cat", "dog"])
    assert ledger("data/other") == [("a.parquet#0", "000000002", "no caption", "row 2: ")]


def test_columns_that_the_manifest_keeps(tmp_path):
    """Of the rows that are usable alone; each file decides its types, all together by all."""
    scores = [0.31, None, 0.5, float("nan"), 1.0, 2.0]
    pictures = structs([PICTURES[0], None, PICTURES[1], b"no picture", PICTURES[2], PICTURES[3]])
    meta = [{"lang": one} for one in ("en", "de", None, "fr", "en", "it")]
    hub(tmp_path / "hub/0.parquet", image=pictures, similarity=scores, meta=meta)
    hub(tmp_path / "hub/1.parquet", similarity=[1, 2, 3, 4, 5, 6], meta=meta)
    wanted = ("similarity", "meta.lang", "text")
    found = prepared("data/pool", tmp_path / "hub", most=0.5, further=wanted)
    assert len(found) == 10
    assert found.kept("similarity").to_pylist() == [0.31, 0.5, 1.0, 2.0, 1, 2, 3, 4, 5, 6]
    assert found.kept("meta.lang").to_pylist() == [
        *("en", None, "en", "it"), *("en", "de", None, "fr", "en", "it")
    ]  # fmt: skip
    assert found.kept("text").to_pylist() == found.captions


def test_a_column_to_keep_that_is_not_there_is_told_before_any_work(tmp_path):
    hub(tmp_path / "hub/0.parquet", similarity=[0.5] * 6)
    with pytest.raises(ValueError, match=r"0\.parquet: no 'similarty'; did you mean 'similarity'"):
        prepared("data/pool", tmp_path / "hub", further=("similarty",))
    with pytest.raises(ValueError, match=r"0\.parquet: no 'json\.captain'; did you mean"):
        prepared("data/pool", tmp_path / "hub", further=("json.captain",))


def test_a_number_is_a_position_in_a_list_of_classes(tmp_path):
    hub(tmp_path / "hub/a.parquet", 4, label=pa.array([1.0, 0.0, 7.0, float("nan")]))
    names = {"label": "label", "classes": ("bell", "car")}
    pool = prepared("data/pool", tmp_path / "hub", **names, most=0.5)
    assert pool.labels == ["car", "bell", None]
    detail = "row 2: 7.0 is no position among 2 classes"
    assert ledger("data/pool") == [("a.parquet#0", "000000002", "unreadable class", detail)]


def test_every_row_that_is_none_has_a_line(tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, "PNG")
    broken = [PICTURES[0][:200], b"<html>gone</html>", stream.getvalue(), b""]
    images = structs([PICTURES[0], *broken, None, PICTURES[1], PICTURES[2], PICTURES[3]])
    texts = [b"fine", b"a", b"b", b"c", b"d", b"e", b"caf\xe9", b" ", b"good"]
    keys = [*"abcdefgh", "up\x1b[2J"]
    hub(tmp_path / "hub/a.parquet", 9, 4, image=images, label=[0] * 9, json=keys, text=texts)
    pool = prepared("data/pool", tmp_path / "hub", key="json", most=0.9)
    assert pool.captions == ["fine"]
    lines = ledger("data/pool")
    assert [line[:3] for line in lines] == [
        ("a.parquet#0", "b", "undecodable"),
        ("a.parquet#0", "c", "undecodable"),
        ("a.parquet#0", "d", "too small"),
        ("a.parquet#1", "e", "undecodable"),
        ("a.parquet#1", "f", "image is a path"),
        ("a.parquet#1", "g", "not UTF-8"),
        ("a.parquet#1", "h", "no caption"),
        ("a.parquet#2", "000000008", "unsafe name"),
    ]
    assert lines[4][3] == "row 5: '5.jpg' and no bytes; only pictures in the file are read"
    assert all(line[3].startswith(f"row {row}: ") for row, line in enumerate(lines, 1))


def test_limits_of_bytes_and_pixels(tmp_path):
    hub(tmp_path / "hub/a.parquet", 3)
    read = Read(NAMES)
    for limits, reason in ((Limits(most_bytes=100), "bytes"), (Limits(most_pixels=99), "pixels")):
        task = source.Audit(str(tmp_path / "hub"), limits, read)
        ((item,),) = source.planned(task.source, "*.parquet", read)
        part = source.read_groups(task, item)
        assert [drop.reason for drop in part.drops] == ["too large"] * 3
        assert reason in part.drops[0].detail


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (POINTER, "a pointer of Git LFS"),
        (b"<!DOCTYPE html><html>404</html>" * 9, "an HTML page"),
        (b"PK\x03\x04" + bytes(99), "a zip archive"),
        (b"", "empty"),
        (b"PAR1" + bytes(99), "no footer at its end: cut off"),
        (bytes(99) + b"\xff\xff\xff\x7fPAR1", "a footer of 2,147,483,655 bytes in a file of 107"),
        (b"PAR1" + bytes(99) + b"\x09\0\0\0PAR1", "damaged footer"),
        (bytes(99) + b"PARE", "encrypted"),
    ],
)
def test_what_lies_in_the_place_of_a_file_is_called_what_it_is(tmp_path, content, detail):
    hub(tmp_path / "hub/a.parquet")
    (tmp_path / "hub/b.parquet").write_bytes(content)
    pool = prepared("data/pool", tmp_path / "hub", most=0.2)
    assert len(pool) == 6
    ((shard, _, reason, found),) = ledger("data/pool")
    assert (shard, reason) == ("b.parquet", "unreadable parquet")
    assert detail in found


def test_a_damaged_row_group_costs_its_rows_alone(tmp_path):
    path = hub(tmp_path / "hub/a.parquet", 9, 3)
    chunk = pq.ParquetFile(path).metadata.row_group(1).column(3)
    assert chunk.path_in_schema == "text"
    content = bytearray(path.read_bytes())
    start = chunk.dictionary_page_offset
    content[start : start + 8] = b"\xff" * 8
    path.write_bytes(content)
    where = str(tmp_path / "hub")
    parts = list(source.parts(where, "*", Read(NAMES), Limits(), Engine(), "pool"))
    assert [part.lost for part in parts] == [3]
    counts, lost = in_place.write(Path("data/pool"), where, parts, max_drop_fraction=0.34)
    assert (counts.samples, counts.dropped, lost) == (6, 3, 3)
    pool = manifest.read(Path("data/pool"))
    assert pool.captions == [f"picture {row}" for row in (0, 1, 2, 6, 7, 8)]
    ((shard, _, reason, detail),) = ledger("data/pool")
    assert (shard, reason) == ("a.parquet#1", "damaged row group")
    assert detail.endswith("after 0 of 3 rows")
    # its pictures are not damaged, and those of other row groups are found by their rows
    assert pool.image([3]) == [PICTURES[6]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": "imag"}, r"a\.parquet: no column 'imag' for image; did you mean 'image'\?"),
        ({"caption": "txt"}, r"no column 'txt' for caption; did you mean 'text'\? Its columns are"),
        ({"caption": "json.caption2"}, r"did you mean 'json\.caption'\?"),
        ({"image": "text"}, r"column 'text' for image is string, expected bytes, or a struct"),
        ({"image": "json"}, r"column 'json' for image is struct<caption: string>, expected bytes"),
        ({"label": "json"}, r"column 'label' for label is struct|for label is struct"),
        ({"image": "none"}, "image is none, but"),
    ],
)
def test_a_column_that_cannot_be_meant_is_told_before_any_work(tmp_path, columns, message):
    hub(tmp_path / "hub/a.parquet")
    with pytest.raises(ValueError, match=message):
        prepared("data/pool", tmp_path / "hub", **columns)


def test_a_column_that_one_file_lacks_names_the_file(tmp_path):
    hub(tmp_path / "hub/a.parquet")
    pq.write_table(pa.table({"n": [1]}), tmp_path / "hub/facts.parquet")
    with pytest.raises(ValueError, match=r"facts\.parquet: no column 'image'.*by shards"):
        prepared("data/pool", tmp_path / "hub")
    assert len(prepared("data/pool", tmp_path / "hub", "a.parquet")) == 6
    with pytest.raises(FileNotFoundError, match=r"b\.parquet: not found; did you mean 'a\.parq"):
        prepared("data/pool", tmp_path / "hub", "b.parquet")


def test_row_groups_are_cut_into_shards(tmp_path, monkeypatch):
    for number in (10, 9):
        hub(tmp_path / f"hub/{number}.parquet", 9, 2)
    whole = prepared("data/whole", tmp_path / "hub")
    monkeypatch.setattr(source, "ROWS", 4)
    pool = prepared("data/pool", tmp_path / "hub")
    assert [(one.name, one.samples) for one in pool.shards] == [
        (f"{file}.parquet#{first}", rows)
        for file in (9, 10)
        for first, rows in ((0, 4), (2, 4), (4, 1))
    ]
    assert dict(pool.images()) == dict(whole.images())
    assert pool.table.drop_columns("shard").equals(whole.table.drop_columns("shard"))
    assert list(pool.images([1, 4])) == [
        (row, PICTURES[row % 9]) for row in (*range(4, 8), *range(13, 17))
    ]
    assert pool.image([17, 0, 9]) == [PICTURES[8], PICTURES[0], PICTURES[0]]
    # batches of one row, of two row groups: the same pictures
    monkeypatch.setattr(cells, "MOST_ROWS", 1)
    assert dict(pool.images()) == dict(whole.images())


def test_a_url_gives_the_same_and_is_not_read_whole(tmp_path, monkeypatch):
    waste = pa.array(
        np.random.default_rng(0).bytes(4_000_000).hex()[: 800_000 * 9][i::9] for i in range(9)
    )
    path = hub(tmp_path / "hub/a.parquet", 9, 3, waste=waste)
    local = prepared("data/local", tmp_path / "hub")
    fsspec.filesystem("memory").pipe("/hub/a.parquet", path.read_bytes())
    asked = []
    memory_file = type(fsspec.filesystem("memory").open("/hub/a.parquet"))
    fetch = memory_file.read

    def counted(self, size=-1):
        content = fetch(self, size)
        asked.append(len(content))
        return content

    monkeypatch.setattr(memory_file, "read", counted)
    remote = prepared("data/remote", "memory://hub")
    assert 0 < sum(asked) < path.stat().st_size / 10
    assert remote.sha256 == local.sha256
    assert remote.table.equals(local.table)
    asked.clear()
    assert remote.image([4]) == local.image([4])
    assert sum(asked) < 20_000
    assert dict(remote.images()) == dict(local.images())


def test_a_killed_audit_goes_on_where_it_was(tmp_path, monkeypatch):
    hub(tmp_path / "hub/a.parquet", 9, 3)
    hub(tmp_path / "hub/b.parquet", 9, 2)
    monkeypatch.setattr(source, "ROWS", 3)
    prepared("data/whole", tmp_path / "hub")
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "again"))
    read, done = source.read_groups, []

    def dies(task, item):
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(item.name)
        return read(task, item)

    monkeypatch.setattr(source, "read_groups", dies)
    with pytest.raises(KeyboardInterrupt):
        prepared("data/pool", tmp_path / "hub")
    before, done[:] = list(done), []
    prepared("data/pool", tmp_path / "hub")
    assert not {*before} & {*done}
    assert (len(before), len(done)) == (4, 3)
    assert contents(Path("data/pool")) == contents(Path("data/whole"))


def test_workers_change_no_byte(tmp_path, monkeypatch):
    for number in range(3):
        hub(tmp_path / f"hub/{number}.parquet", 4)
    prepared("data/one", tmp_path / "hub")
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "other"))
    prepared("data/two", tmp_path / "hub", workers=2)
    assert contents(Path("data/one")) == contents(Path("data/two"))


def test_a_file_that_was_written_anew_is_refused(tmp_path):
    path = hub(tmp_path / "hub/a.parquet")
    pool = prepared("data/pool", tmp_path / "hub")
    size = path.stat().st_size
    hub(path, text=[f"Picture {row}" for row in range(6)])
    assert path.stat().st_size == size
    with pytest.raises(ValueError, match=r"a\.parquet: changed since it was prepared"):
        list(pool.images())
    hub(path, 7)
    with pytest.raises(ValueError, match=r"a\.parquet: \d+ bytes, the manifest says \d+"):
        pool.image([0])


def test_a_picture_that_was_changed_in_place_is_found(tmp_path):
    path = hub(tmp_path / "hub/a.parquet")
    pool = prepared("data/pool", tmp_path / "hub")
    content = path.read_bytes()
    at = content.index(PICTURES[4]) + len(PICTURES[4]) // 2
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with pytest.raises(ValueError, match="000000004: the image is not the one"):
        list(pool.images())


def test_memory_holds_a_part_of_a_row_group(tmp_path):
    # 96 MB of pictures in one row group, in pages of 4 MB; a page is the least that can be read
    filler = np.random.default_rng(0)
    large = [PICTURES[0] + filler.bytes(1_000_000) for _ in range(96)]
    hub(tmp_path / "hub/a.parquet", 96, 96, write_batch_size=4, image=structs(large))
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        made = prepared("data/pool", tmp_path / "hub")
        assert sum(1 for _ in made.images()) == 96
    finally:
        pa.set_memory_pool(before)
    assert pool.max_memory() < 48_000_000


def test_the_entry_and_its_labels(tmp_path):
    hub(tmp_path / "hub/a.parquet")
    entry = {"source": "parquet", "raw": str(tmp_path / "hub/a.parquet"), "label": "label"}
    found = union.parse(entry, "datasets.pool")
    assert found.captioned
    with pytest.raises(ValueError, match=r"datasets\.pool\.lable: unknown .*'label'"):
        union.parse({**entry, "lable": "x"}, "datasets.pool")


def test_a_table_with_pictures_says_which_source_reads_them(tmp_path, capsys):
    path = hub(tmp_path / "hub/a.parquet")
    table.read_table(str(path), Table(source="table", raw="none", caption="text", url="none"))
    said = capsys.readouterr().err
    assert "the column 'image' looks like images" in said
    assert "source: parquet reads them" in said
