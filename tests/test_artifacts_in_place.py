"""Manifests of pools in place: one row group a shard, one identity wherever the pool lies."""

import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipcause.data import dataset, in_place, manifest
from clipcause.data.dataset import Drop
from clipcause.data.in_place import PART, Part
from clipcause.data.shards import Shard


def rows(count: int, start: int = 0, caption: str = "caption") -> pa.Table:
    numbers = range(start, start + count)
    columns = {
        "key": [f"{number:09d}" for number in numbers],
        "uid": [f"{number:032x}" for number in numbers],
        "source_id": [f"{number + 7:032x}" for number in numbers],
        "pool_uid": [None] * count,
        "caption": [f"{caption} {number}" for number in numbers],
        "captions": [None] * count,
        "label": [None] * count,
        "width": [256] * count,
        "height": [256] * count,
        "converted": [False] * count,
    }
    return pa.table(columns, schema=PART)


def part(name: str, count: int, start: int = 0, **facts) -> Part:
    return Part(Shard(name, f"{start:064x}", 1000 + count, count), rows(count, start), **facts)


def write(folder: Path, parts, source="s3://bucket/pool", most=0.9):
    counts, lost = in_place.write(folder, source, parts, max_drop_fraction=most)
    return manifest.read(folder, shards=False), counts, lost


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sizes=st.lists(st.integers(0, 6), min_size=1, max_size=7).filter(any))
def test_every_shard_with_rows_is_a_row_group(tmp_path, sizes):
    parts = [part(f"{n}.tar", size, 100 * n) for n, size in enumerate(sizes)]
    pool, counts, _ = write(tmp_path / "pool", parts)
    full = [(n, size) for n, size in enumerate(sizes) if size]
    assert [(s.name, s.samples) for s in pool.shards] == [(f"{n}.tar", size) for n, size in full]
    assert (counts.samples, counts.shards, len(pool)) == (sum(sizes), len(full), sum(sizes))
    assert pq.ParquetFile(tmp_path / "pool/manifest.parquet").num_row_groups == len(full)
    tables = [pool.shard_table(position) for position in range(len(full))]
    for table, (n, size), start in zip(tables, full, pool.starts, strict=False):
        assert table["row"].to_pylist() == list(range(start, start + size))
        assert set(table["shard"].to_pylist()) == {f"{n}.tar"}
        assert table.select(PART.names).equals(rows(size, 100 * n))
    assert pa.concat_tables(tables).equals(pool.table.replace_schema_metadata(None))


def test_the_identity_is_that_of_the_content_and_not_of_the_place(tmp_path):
    parts = [part("0.tar", 3), part("1.tar", 2, 50)]
    here, _, _ = write(tmp_path / "a", parts)
    moved, _, _ = write(tmp_path / "b", parts, source="/data/pool")
    assert moved.sha256 == here.sha256
    assert moved.place(1) == "/data/pool/1.tar"
    assert here.place(0) == "s3://bucket/pool/0.tar"
    other_rows = [part("0.tar", 3), Part(parts[1].shard, rows(2, 50, "another"))]
    other_file = [part("0.tar", 3), Part(parts[1].shard._replace(sha256="0"), rows(2, 50))]
    for number, changed in enumerate((other_rows, other_file, parts[::-1], parts[:1])):
        found, _, _ = write(tmp_path / f"c{number}", changed)
        assert found.sha256 != here.sha256


def test_drops_remarks_and_losses_are_counted_apart(tmp_path):
    drop, remark = (Drop("0.tar", name, name, "why") for name in ("broken", "odd"))
    parts = [
        part("0.tar", 5, drops=[drop], remarks=[remark]),
        part("1.tar", 0, 50, drops=[drop]),
        part("2.tar", 3, 90, lost=2, remarks=[remark]),
    ]
    pool, counts, lost = write(tmp_path / "pool", parts, most=1 / 3)
    assert (len(pool), counts.dropped, counts.shards, lost) == (8, 4, 2, 2)
    assert counts.reasons == {"broken": 2, "odd": 2}
    ledger = dataset.read_drops(tmp_path / "pool")["reason"].to_pylist()
    assert ledger == ["broken", "odd", "broken", "odd"]
    with pytest.raises(ValueError, match=r"4 of 12 samples dropped.*; see .*few\.drops\.parquet"):
        write(tmp_path / "few", parts, most=0.33)
    assert dataset.ledger_of(tmp_path / "few").exists()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([part("0.tar", 1), part("0.tar", 1)], "two shards are called 0.tar"),
        ([Part(Shard("0.tar", "", 1, 3), rows(2))], "0.tar has 2 rows"),
        ([part("0.tar", 0)], "no usable sample among 0"),
        ([], "no usable sample among 0"),
    ],
)
def test_parts_that_do_not_fit_leave_nothing(tmp_path, parts, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "pool", parts)
    assert not (tmp_path / "pool").exists()


def test_a_flipped_byte_of_the_rows_is_found_when_they_are_read(tmp_path):
    write(tmp_path / "pool", [part("0.tar", 200), part("1.tar", 200, 900)])
    path = tmp_path / "pool/manifest.parquet"
    column = pq.ParquetFile(path).metadata.row_group(1).column(4)
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 9] ^= 1
    path.write_bytes(content)
    pool = manifest.read(tmp_path / "pool", shards=False)
    assert len(pool.shard_table(0)) == 200
    with pytest.raises(ValueError, match=r"the rows of 1\.tar are damaged.*prepare the data set"):
        pool.shard_table(1, ["source_id"])


def test_writing_holds_one_shard(tmp_path):
    caption = "x" * 1000

    def parts():
        for number in range(40):
            made = rows(1000, 1000 * number, caption)
            yield Part(Shard(f"{number}.tar", "", 1, 1000, rows="0" * 64), made)

    before = pa.total_allocated_bytes()
    pool = pa.default_memory_pool()
    tracemalloc.start()
    in_place.write(tmp_path / "pool", "s3://pool", parts(), max_drop_fraction=0.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20  # 40 MB of captions went through
    assert pool.bytes_allocated() - before < 4 << 20


def test_several_shards_may_be_parts_of_one_file(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/table.tsv").write_bytes(bytes(1003))
    parts = [part("table.tsv#0", 3), part("table.tsv#1", 3, 50)]
    in_place.write(tmp_path / "pool", str(tmp_path / "raw"), parts, max_drop_fraction=0.0)
    pool = manifest.read(tmp_path / "pool")
    assert pool.place(1) == str(tmp_path / "raw/table.tsv")
