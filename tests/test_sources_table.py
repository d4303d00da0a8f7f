"""table: captions and labels of Parquet, TSV and CSV files, in the shapes that are published."""

import gzip
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from clipcause.data import dataset, in_place, manifest
from clipcause.data.sources.table import Table, read_table
from stages import prepare
from tests.real_images import drawings

NAMES = [name for name, _ in drawings(12)]


def laion(path: Path, count: int = 10, start: int = 0) -> None:
    """A file of LAION's metadata: its columns, its types, one caption that is null."""
    rows = range(start, start + count)
    captions = [None if row == 3 else NAMES[row % 12].replace("-", " ") for row in rows]
    columns = {
        "SAMPLE_ID": pa.array(rows, pa.float64()),
        "URL": [f"https://example.org/{row}.jpg" for row in rows],
        "TEXT": pa.array(captions, pa.string()),
        "HEIGHT": pa.array([48.0 + row for row in rows]),
        "WIDTH": pa.array([float("nan") if row == 4 else 64.0 for row in rows]),
        "LICENSE": ["?"] * count,
        "NSFW": ["UNLIKELY"] * count,
        "similarity": [0.31] * count,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=4)


def prepared(tmp_path: Path, where: Path, *, rows: int = 4, most: float = 0.5, **options):
    base, parts = read_table(str(where), Table(source="table", raw="data/none", **options), rows)
    counts, _ = in_place.write(tmp_path / "made", base, parts, max_drop_fraction=most)
    return manifest.read(tmp_path / "made"), counts


def test_laions_metadata_in_shards_of_a_few_rows(tmp_path):
    laion(tmp_path / "raw/part-00000.snappy.parquet")
    laion(tmp_path / "raw/part-00001.snappy.parquet", 3, start=10)
    (tmp_path / "raw/_SUCCESS").touch()
    made, counts = prepared(tmp_path, tmp_path / "raw")
    assert [(shard.name, shard.samples) for shard in made.shards] == [
        ("part-00000.snappy.parquet#0", 3),
        ("part-00000.snappy.parquet#1", 4),
        ("part-00000.snappy.parquet#2", 2),
        ("part-00001.snappy.parquet#0", 3),
    ]
    assert (counts.samples, counts.dropped, counts.reasons) == (12, 1, {"no caption": 1})
    rows = made.table.to_pylist()
    assert [row["key"] for row in rows][:5] == [f"{n:09d}" for n in (0, 1, 2, 4, 5)]
    assert rows[0]["caption"] == NAMES[0].replace("-", " ")
    assert rows[0]["source_id"] == dataset.source_id(
        "https://example.org/0.jpg", rows[0]["caption"]
    )
    assert (rows[0]["width"], rows[0]["height"]) == (64, 48)
    assert rows[3]["width"] is None  # it was no number
    assert {row["uid"] for row in rows} == {row["label"] for row in rows} == {None}
    assert len({row["source_id"] for row in rows}) == 12
    drops = dataset.read_drops(tmp_path / "made").to_pylist()
    assert [(drop["shard"], drop["key"]) for drop in drops] == [
        ("part-00000.snappy.parquet#0", "000000003")
    ]


def test_there_are_no_images(tmp_path):
    laion(tmp_path / "raw/a.parquet")
    made, _ = prepared(tmp_path, tmp_path / "raw")
    with pytest.raises(ValueError, match="this data set has no images, only captions and labels"):
        next(made.images())
    with pytest.raises(ValueError, match="this data set has no images"):
        made.image([0])


def test_the_size_of_a_shard_changes_no_row(tmp_path):
    laion(tmp_path / "raw/a.parquet")
    tables = []
    for rows in (1, 3, 4, 100):
        made, _ = prepared(tmp_path, tmp_path / "raw", rows=rows)
        tables.append(made.table.drop_columns(["shard"]))
    assert all(table.equals(tables[0]) for table in tables)


def test_captions_of_imagenet_as_tsv_and_csv(tmp_path):
    lines = [
        "wnid\ttext\tfile",
        'n01440764\ta "big" fish, caught\t1.JPEG',
        "n04507155\tumbrella\t2",
        "\tno class\t",
    ]
    (tmp_path / "a").mkdir()
    (tmp_path / "a/captions.tsv").write_text("\n".join(lines) + "\n")
    with gzip.open(tmp_path / "a/more.csv.gz", "wb") as stream:
        stream.write(b'\xef\xbb\xbfwnid,text,file\nn01440764,"two\nlines, ""quoted""",3\n')
    options: dict[str, Any] = {
        "caption": "text", "label": "wnid", "key": "file", "url": "none", "width": "none",
        "height": "none",
    }  # fmt: skip
    made, _ = prepared(tmp_path, tmp_path / "a", most=0.0, **options)
    quoted = 'two\nlines, "quoted"'
    assert made.captions == ['a "big" fish, caught', "umbrella", "no class", quoted]
    assert made.labels == ["n01440764", "n04507155", None, "n01440764"]
    rows = made.table.to_pylist()
    assert [row["key"] for row in rows] == ["1.JPEG", "2", "000000002", "3"]
    # the place of a row is that of rows of any other table
    assert {row["source_id"] for row in rows} == {None}
    # one file, by its name
    one, _ = prepared(tmp_path, tmp_path / "a/captions.tsv", most=0.0, **options)
    assert len(one) == 3


def test_lines_that_are_none_go_to_the_ledger(tmp_path):
    content = b"https://a.b/1\tone\nhttps://a.b/2\tca\xf1on\nhttps://a.b/3\n\nhttps://a.b/4\t \n"
    (tmp_path / "cc12m.tsv").write_bytes(content + b"https://a.b/5\tfive\n")
    options: dict[str, Any] = {"caption": "t", "url": "u", "width": "none", "height": "none"}
    made, counts = prepared(
        tmp_path, tmp_path / "cc12m.tsv", most=0.7, header=["u", "t"], **options
    )
    assert made.captions == ["one", "five"]
    assert counts.reasons == {"broken line": 1, "no caption": 1, "not UTF-8": 1}
    drops = dataset.read_drops(tmp_path / "made").to_pylist()
    assert drops[0]["detail"] == "1 columns instead of 2: https://a.b/3"
    with pytest.raises(ValueError, match="3 of 5 samples dropped, more than max_drop_fraction"):
        prepared(tmp_path, tmp_path / "cc12m.tsv", most=0.1, header=["u", "t"], **options)


def test_strings_of_parquet_that_are_no_utf8(tmp_path):
    bad = pa.array([b"good", b"ca\xf1on"], pa.binary())
    strings = pa.StringArray.from_buffers(2, bad.buffers()[1], bad.buffers()[2])
    table = pa.table({"TEXT": strings, "URL": ["https://a.b/1", "https://a.b/2"]})
    pq.write_table(table, tmp_path / "a.parquet")
    made, counts = prepared(tmp_path, tmp_path / "a.parquet", width="none", height="none")
    assert made.captions == ["good"]
    assert counts.reasons == {"not UTF-8": 1}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", b"url\ttext\nx\ty\n", r"no column 'TEXT' for caption; .*or say none"),
        (
            "a.csv.gz",
            gzip.compress(b"TEXT,URL\n" + b"a,b\n" * 999, mtime=0)[:40],
            "cannot be read to its end",
        ),
        (
            "a.tsv.gz",
            gzip.compress(b"TEXT\tURL\n" + b"a\tb\n" * 9, mtime=0)[:12] + b"\xff" * 40,
            r"a\.tsv\.gz: cannot be read to its end",
        ),
        ("a.parquet", b"PAR1 and no more", "cannot be read to its end"),
        ("a.txt", b"", "no tables there"),
    ],
)
def test_files_that_are_no_tables(tmp_path, name, content, message):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / name).write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        prepared(tmp_path, tmp_path / "raw", width="none", height="none")
    assert not (tmp_path / "made").exists()


def test_prepare_makes_a_pool_of_captions(tmp_path, monkeypatch):
    laion(tmp_path / "metadata/part-00000.parquet")
    root = Path(__file__).parents[1]
    shown = yaml.safe_load((root / "params.yaml").read_text())
    entry = {"source": "table", "raw": "data/none", "place": str(tmp_path / "metadata")}
    params = {
        "versions": shown["versions"],
        "prepare": {"image_size": 32, "shard_size": 10, "max_drop_fraction": 0.2},
        "datasets": {"pool": entry},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    assert prepare.main("pool") == "9 samples in 1 shards, 1 dropped"
    assert manifest.read(Path("data/pool")).captions[:3] == [
        name.replace("-", " ") for name in NAMES[:3]
    ]
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump({**params, "datasets": {"pool": {**entry, "captoin": "TEXT"}}})
    )
    with pytest.raises(ValueError, match=r"captoin: unknown parameter; did you mean 'caption'\?"):
        prepare.main("pool")


def test_tables_behind_a_url(tmp_path):
    laion(tmp_path / "raw/a.parquet")
    with gzip.open(tmp_path / "raw/b.tsv.gz", "wt") as stream:
        stream.write("URL\tTEXT\tWIDTH\tHEIGHT\nhttps://a.b/1\tone\t64\t48\n")
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "raw"), "/tables", recursive=True)
    try:
        found = [
            [part.rows for part in read_table(where, Table(source="table", raw="data/none"))[1]]
            for where in (str(tmp_path / "raw"), "memory://tables")
        ]
        (one,) = read_table("memory://tables/b.tsv.gz", Table(source="table", raw="data/none"))[1]
    finally:
        memory.rm("/tables", recursive=True)
    assert len(found[0]) == len(found[1]) == 2
    assert all(a.equals(b) for a, b in zip(*found, strict=True))
    assert one.rows.equals(found[0][1])


NONE: dict[str, Any] = {"url": "none", "width": "none", "height": "none"}


def test_what_a_table_lacks_the_error_says_by_which_option(tmp_path):
    (tmp_path / "a.tsv").write_text("a bell\thttps://a.b/1\n")
    with pytest.raises(ValueError, match=r"a\.tsv: no column 'TEXT' .*; if the first .* `header`"):
        prepared(tmp_path, tmp_path / "a.tsv", **NONE)
    (tmp_path / "a.csv").write_text('TEXT;n\n"a bell; big";1\n')
    with pytest.raises(ValueError, match=r"a\.csv: no column 'TEXT' .* say `separator: ';'`"):
        prepared(tmp_path, tmp_path / "a.csv", **NONE)
    made, _ = prepared(tmp_path, tmp_path / "a.csv", separator=";", **NONE)
    assert made.captions == ["a bell; big"]
    (tmp_path / "b").mkdir()
    (tmp_path / "b/a.jsonl").write_text('{"TEXT": "a bell"}\n')
    for where in (tmp_path / "b", tmp_path / "b/a.jsonl"):
        with pytest.raises(FileNotFoundError, match=r"a\.jsonl\) are read .* by `metadata` of sou"):
            prepared(tmp_path, where, **NONE)


@pytest.mark.parametrize("name", ["a.parquet", "a.tsv", "a.csv", "a.csv.gz"])
def test_what_lies_in_place_of_a_table_is_called_what_it_is(tmp_path, name):
    (tmp_path / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    with pytest.raises(ValueError, match=f"{name}: it is a pointer of Git LFS"):
        prepared(tmp_path, tmp_path / name, **NONE)
    (tmp_path / name).write_bytes(b"<html>")
    with pytest.raises(ValueError, match=f"{name}: it is an HTML page"):
        prepared(tmp_path, tmp_path / name, **NONE)


def test_named_columns_are_kept_with_their_types(tmp_path):
    laion(tmp_path / "raw/a.parquet")
    names = ["similarity", "NSFW", "WIDTH", "SAMPLE_ID"]
    made, _ = prepared(tmp_path, tmp_path / "raw", columns=names)
    kinds = [str(made.kept(name).type) for name in names]
    assert kinds == ["double", "string", "double", "double"]
    # the row without a caption is none here either, and NaN is missing
    assert made.kept("SAMPLE_ID").to_pylist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert made.kept("WIDTH").to_pylist() == [64.0] * 3 + [None] + [64.0] * 5
    assert len(made.table["columns"]) == len(made)
    with pytest.raises(ValueError, match="no 'similarty'; did you mean 'similarity'"):
        prepared(tmp_path, tmp_path / "raw", columns=["similarty"])


def test_columns_of_csv_are_numbers_where_all_are(tmp_path):
    lines = [
        "TEXT,whole,half,code,some,mixed",
        'a,1,0.5,007,,"x, y"',
        "b,,nan,8,2,1",
        "c,3,-1e3,9,3,2",
    ]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    names = lines[0].split(",")[1:]
    made, _ = prepared(tmp_path, tmp_path / "a.csv", rows=9, columns=names, **NONE)
    assert {name: made.kept(name).to_pylist() for name in names} == {
        "whole": [1, None, 3],
        "half": [0.5, None, -1000.0],
        "code": ["007", "8", "9"],
        "some": [None, 2, 3],
        "mixed": ["x, y", "1", "2"],
    }
    assert made.kept("whole").type == pa.int64()
    with pytest.raises(ValueError, match=r"'mixed' is string in a\.csv#0 and int64 in a\.csv#1"):
        prepared(tmp_path, tmp_path / "a.csv", rows=1, columns=["mixed"], **NONE)


def test_a_column_of_lists_can_not_be_kept(tmp_path):
    pq.write_table(pa.table({"TEXT": ["a"], "faces": [[[1.0]]]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"column 'faces' is list<.*; columns that are kept are"):
        prepared(tmp_path, tmp_path / "a.parquet", columns=["faces"], **NONE)
