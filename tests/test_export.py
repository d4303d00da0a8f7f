"""The export stage: shards that other tools read, the same bytes however they are made."""

import gc
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from webdataset.compat import WebDataset

from clipcause.config import layout
from clipcause.config.datasets import Limits
from clipcause.config.exports import Export, load, load_all
from clipcause.data import dataset, exports, in_place, member_index, samples, shards
from clipcause.data.shards import Shard
from clipcause.data.sources import webdataset
from clipcause.data.sources.members import Texts
from clipcause.prune import split
from clipcause.runtime import metrics
from stages import export
from tests import web_tars
from tests.artifacts_samples import contents, make_dataset, sample

ROWS = [0, 1, 4, 5, 6, 7, 8, 12, 19]
PARAMETERS = {
    "splits": {"some": {"rule": "none"}},
    "exports": {"small": {"split": "some", "shard_size": 4}},
}


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A pool of 20 samples in 7 shards, and a split of 9 of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(export.__file__).parents[1]))
    items = [sample(number, extra={"url": f"https://example.org/{number}"}) for number in range(20)]
    pool = make_dataset(layout.dataset("pool"), items=items)
    split.write(layout.split("some"), ROWS, card={"pool": pool.sha256, "pool_rows": 20})
    write_parameters()
    return pool


def write_parameters(**changes):
    Path("params.yaml").write_text(yaml.safe_dump({**PARAMETERS, **changes}))


def members(path):
    with tarfile.open(path) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar}  # ty: ignore


def test_shards_hold_the_rows_in_order(house):
    assert export.main("small") == "9 samples of some in 3 shards"
    folder = layout.export("small")
    assert sorted(path.name for path in folder.iterdir()) == [
        "00000.tar",
        "00000_stats.json",
        "00001.tar",
        "00001_stats.json",
        "00002.tar",
        "00002_stats.json",
        "card.json",
        "classnames.txt",
        "sizes.json",
    ]
    keys = [
        sorted({name.partition(".")[0] for name in members(folder / f"0000{number}.tar")})
        for number in range(3)
    ]
    assert keys == [[f"{row:010d}" for row in ROWS[a : a + 4]] for a in (0, 4, 8)]
    assert json.loads((folder / "sizes.json").read_text()) == {
        "00000.tar": 4,
        "00001.tar": 4,
        "00002.tar": 1,
    }


def test_a_shard_begins_and_ends_within_the_pools(house):
    write_parameters(exports={"small": {"split": "some", "shard_size": 2}})
    assert export.main("small") == "9 samples of some in 5 shards"
    keys = [
        sorted({int(name.partition(".")[0]) for name in members(path)})
        for path in sorted(layout.export("small").glob("*.tar"))
    ]
    assert keys == [[0, 1], [4, 5], [6, 7], [8, 12], [19]]  # shards of the pool hold three rows


def test_a_sample_is_what_the_pool_has(house):
    export.main("small")
    found = members(layout.export("small") / "00000.tar")
    names = [name for name in found if name.startswith("0000000001.")]
    assert names == ["0000000001.png", "0000000001.txt", "0000000001.json", "0000000001.cls"]
    assert found["0000000001.png"] == sample(1).image
    assert found["0000000001.txt"] == b"caption 1"
    assert found["0000000001.cls"] == b"0"
    assert (layout.export("small") / "classnames.txt").read_text() == "cat\n"
    row = house.table.slice(1, 1).to_pylist()[0]
    assert json.loads(found["0000000001.json"]) == {
        "source": "set/icon-1",
        "captions": ["caption 1"],
        "url": "https://example.org/1",
        "width": 64,
        "height": 64,
        "uid": row["uid"],
        "clipcause": {
            "row": 1,
            "label": "cat",
            "uid": row["uid"],
            "source_id": row["source_id"],
            "shard": "00000.tar",
            "key": "set:icon-1",
        },
    }
    assert found["0000000000.cls"] == b"-1"  # it has no label


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_reads_it_back(house):
    export.main("small")
    urls = str(layout.export("small") / "{00000..00002}.tar")
    found = list(WebDataset(urls, shardshuffle=False))
    assert [int(one["__key__"]) for one in found] == ROWS
    assert [one["png"] for one in found] == [sample(row).image for row in ROWS]
    assert [one["txt"].decode() for one in found] == [f"caption {row}" for row in ROWS]
    sizes = json.loads((layout.export("small") / "sizes.json").read_text())
    assert len(found) == sum(sizes.values())
    gc.collect()  # the library leaves its files open


def test_the_card_and_the_metrics_count(house):
    export.main("small")
    folder = layout.export("small")
    card = json.loads((folder / "card.json").read_text())
    stats = [json.loads((folder / f"0000{n}_stats.json").read_text()) for n in range(3)]
    assert card["split_card"] == {"kept": 9, "pool": house.sha256, "pool_rows": 20}
    assert (card["samples"], card["shards"], card["labelled"], card["located"]) == (9, 3, 4, 9)
    assert card["bytes"] == sum(path.stat().st_size for path in folder.glob("*.tar"))
    assert [one["successes"] for one in stats] == [4, 4, 1]
    assert [(one["first_row"], one["last_row"]) for one in stats] == [(0, 5), (6, 12), (19, 19)]
    assert metrics.read(layout.metrics("export", "small")) == {
        name: card[name]
        for name in ("samples", "shards", "labelled", "described", "located", "bytes")
    }


def test_workers_change_no_byte(house):
    export.main("small")
    one = contents(layout.export("small"))
    write_parameters(engine={"workers": 2})
    export.main("small")
    assert contents(layout.export("small")) == one
    assert [path.name for path in layout.export("small").parent.iterdir()] == ["small"]


def test_a_killed_export_goes_on(house, monkeypatch):
    export.main("small")
    undisturbed = contents(layout.export("small"))
    written = []
    whole = exports.write_shard

    def dying(path, found):
        if len(written) == 2:
            found = list(found)
            path.with_name(".00002.tar.dead.partial").write_bytes(b"half")
            raise KeyboardInterrupt
        written.append(path.name)
        return whole(path, found)

    monkeypatch.setattr(exports, "write_shard", dying)
    (layout.export("small") / "card.json").unlink()
    with pytest.raises(KeyboardInterrupt):
        export.main("small")
    assert written == ["00000.tar", "00001.tar"]
    # the older export stands until the new one is complete
    assert (layout.export("small") / "00002.tar").exists()

    monkeypatch.setattr(
        exports, "write_shard", lambda *all: written.append(all[0].name) or whole(*all)
    )
    export.main("small")
    assert written == ["00000.tar", "00001.tar", "00002.tar"]
    assert contents(layout.export("small")) == undisturbed


def test_what_another_export_left_is_not_used(house):
    stale = layout.export("small").parent / ".small.0123456789abcdef.partial"
    stale.mkdir(parents=True)
    (stale / "00000.tar").write_bytes(b"of another split")
    export.main("small")
    assert not stale.exists()


def pool_in_place(place):
    """Two tars as a downloader leaves them: the same keys in both, and a sample that was dropped
    in the first; 5 rows."""
    place.mkdir()
    parts, number = [], 0
    for name, dropped in (("a.tar", "000000001"), ("b.tar", None)):
        path, rows, places = place / name, [], []
        with shards.ShardWriter(path) as tar:
            for index in range(3):
                number += 1
                key, image = f"00000000{index}", f"image {number}".encode()
                facts = {"uid": f"{number:032x}", "url": f"https://example.org/{number}"}
                where = tar.add(key, "jpg", image, "as downloaded", None, facts)
                row = (key, dataset.uid(image), f"source {number}", None, f"caption {number}")
                if key != dropped:
                    rows.append((*row, None, None, 8, 8, False))
                    places.append(where)
        columns = [pa.array(column) for column in zip(*rows, strict=True)]
        table = pa.table(columns, names=in_place.PART.names).cast(in_place.PART)
        entry = Shard(name, shards.digest(path), path.stat().st_size, len(rows))
        parts.append(in_place.Part(entry, table, places=member_index.table(places)))
    in_place.write(layout.dataset("pool"), str(place), parts, max_drop_fraction=0.5)
    return dataset.read(layout.dataset("pool"))


def test_a_pool_in_place(house, tmp_path):
    pool = pool_in_place(tmp_path / "downloaded")
    split.write(layout.split("some"), [1, 2, 4], card={"pool": pool.sha256})
    export.main("small")
    found = members(layout.export("small") / "00000.tar")
    assert [name for name in found if name.endswith("jpg")] == [
        "0000000001.jpg",
        "0000000002.jpg",
        "0000000004.jpg",
    ]
    # the third, fourth and sixth image: the second was dropped
    for row, number in ((1, 3), (2, 4), (4, 6)):
        assert found[f"000000000{row}.jpg"] == f"image {number}".encode()
        assert found[f"000000000{row}.txt"] == f"caption {number}".encode()
        facts = json.loads(found[f"000000000{row}.json"])
        # the pool's own uid stays; ours has a place of its own
        assert facts["uid"] == f"{number:032x}"
        assert facts["url"] == f"https://example.org/{number}"
        assert facts["clipcause"]["uid"] == dataset.uid(f"image {number}".encode())
    assert facts["clipcause"]["shard"] == "b.tar"
    assert facts["clipcause"]["key"] == "000000002"


def test_every_pool_shard_is_read_for_its_own_exports_only(house, monkeypatch):
    read = []
    whole = samples.originals

    def watched(pool, position, wanted):
        read.append(position)
        return whole(pool, position, wanted)

    monkeypatch.setattr(samples, "originals", watched)
    export.main("small")
    # rows 0 1 4 5 | 6 7 8 12 | 19 in shards of three: the fourth has none of the split's
    assert read == [0, 1, 2, 4, 6]


@pytest.mark.parametrize("content", [b"no JSON", b"[1]", b'{"a": ' + b"[" * 100_000, None])
def test_a_sample_whose_json_cannot_be_read_is_counted(house, monkeypatch, content):
    add = shards.ShardWriter.add

    def spoiling(writer, key, *rest):
        if key != "set:icon-4":
            return add(writer, key, *rest)
        if content is None:
            return add(writer, key, *rest)._replace(json_offset=None, json_size=None)
        place = add(writer, key, *rest)
        offset = writer._member(key, "note.json", content)
        return place._replace(json_offset=offset, json_size=len(content))

    with monkeypatch.context() as patch:
        patch.setattr(shards.ShardWriter, "add", spoiling)
        pool = make_dataset(layout.dataset("pool"), 20)
    split.write(layout.split("some"), ROWS, card={"pool": pool.sha256})
    export.main("small")
    card = json.loads((layout.export("small") / "card.json").read_text())
    assert (card["samples"], card["described"]) == (9, 8)
    facts = json.loads(members(layout.export("small") / "00000.tar")["0000000004.json"])
    assert sorted(facts) == ["clipcause", "uid"]


def audited(content: bytes, folder: Path) -> dataset.Manifest:
    """The pool of one tar, read in place, and a split of all of it."""
    where = web_tars.put(str(folder), {"0.tar": content})
    (item,) = webdataset.tars(where, "*.tar")
    part = webdataset.read_tar(webdataset.Audit(where, Limits(), Texts()), item)
    in_place.write(layout.dataset("pool"), where, [part], max_drop_fraction=1.0)
    pool = dataset.read(layout.dataset("pool"))
    split.write(layout.split("some"), range(len(pool)), card={"pool": pool.sha256})
    return pool


def exported() -> dict[str, dict]:
    export.main("small")
    found = members(layout.export("small") / "00000.tar")
    return {name: json.loads(text) for name, text in found.items() if name.endswith("json")}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"similarity": NaN, "x": [-Infinity, 1e999, 0.5]}', {"similarity": None,
                                                              "x": [None, None, 0.5]}),
        (b'{"title": "half \\ud83d", "\\udc00": 1}', {"title": "half \\ud83d", "\\udc00": 1}),
    ],
)  # fmt: skip
def test_json_that_cannot_be_written_as_it_is(house, tmp_path, content, expected):
    samples = {"a": web_tars.sample(0), "b": web_tars.sample(1, json=content)}
    pool = audited(web_tars.tar_of(samples), tmp_path / "tars")
    facts = exported()["0000000001.json"]
    assert {name: facts[name] for name in expected} == expected
    assert facts["clipcause"]["source_id"] == ""
    assert pool.table["source_id"].null_count == 1


def test_what_cannot_be_written_is_named(house, tmp_path, monkeypatch):
    audited(web_tars.tar_of({"a": web_tars.sample(0)}), tmp_path / "tars")
    monkeypatch.setattr(samples, "_decoded", lambda content: {"x": float("nan")})
    with pytest.raises(ValueError, match=r"0\.tar: a \(row 0\): cannot be written"):
        export.main("small")


def test_a_duplicate_that_was_dropped_gives_nothing_to_the_first(house, tmp_path):
    a, b = web_tars.flat({"a": web_tars.sample(0)}), web_tars.flat({"b": web_tars.sample(1)})
    other = web_tars.flat({"a": web_tars.sample(2)})
    for number, content in enumerate(([*a, *other, *b], [*a, *b, *other])):
        pool = audited(web_tars.members_tar(content), tmp_path / f"tars{number}")
        assert len(pool) == 2
        assert exported()["0000000000.json"]["url"] == "https://example.com/0.jpg"


def test_sizes_that_headers_declare_are_not_believed(house, tmp_path):
    header = tarfile.TarInfo("a.png")
    header.size = 1 << 45
    good = web_tars.members_tar(web_tars.flat({"a": web_tars.sample(0)})).rstrip(b"\0")
    good += bytes(-len(good) % 512)
    huge = header.tobuf(tarfile.GNU_FORMAT) + bytes(5000)
    audited(good + huge, tmp_path / "one")  # of the same key, behind the image
    assert list(exported()) == ["0000000000.json"]


def test_an_index_that_does_not_fit_its_shard_is_named(house):
    pool = dataset.read(layout.dataset("pool"))
    path = pool.folder / member_index.INDEX
    table = pq.read_table(path)
    wrong = table.set_column(
        table.column_names.index("offset"), "offset", pa.array(table["offset"].to_numpy() + 1)
    )
    shards_of = [pool.starts[n + 1] - pool.starts[n] for n in range(len(pool.shards))]
    write_groups(path, wrong, shards_of)
    with pytest.raises(ValueError, match=r"00000\.tar: set:icon-0: the image is not the one"):
        list(samples.originals(dataset.read(pool.folder), 0, np.ones(shards_of[0], bool)))
    write_groups(path, table.slice(1), [shards_of[0] - 1, *shards_of[1:]])
    with pytest.raises(ValueError, match=r"members\.parquet: \d+ shards and 19 rows, the manifest"):
        list(dataset.read(pool.folder).images())
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"members\.parquet: not found; prepare the data"):
        list(dataset.read(pool.folder).images())


def write_groups(path, table, sizes):
    """Write a table with a row group of each size."""
    with pq.ParquetWriter(path, table.schema) as writer:
        start = 0
        for size in sizes:
            writer.write_table(table.slice(start, size), row_group_size=size)
            start += size


def test_splits_of_other_pools_are_refused(house):
    make_dataset(layout.dataset("pool"), 21)
    with pytest.raises(ValueError, match=r"splits/some/pool: made from pool manifest .* again"):
        export.main("small")
    assert not layout.export("small").exists()


def test_an_empty_split_is_refused(house):
    split.write(layout.split("some"), [], card={"pool": house.sha256})
    with pytest.raises(ValueError, match=r"exports\.small: splits/some/pool has no rows"):
        export.main("small")


def test_a_pool_shard_that_changed_is_named(house):
    path = layout.dataset("pool") / "00002.tar"
    content = path.read_bytes()
    image = sample(6).image
    path.write_bytes(content.replace(image, image[::-1]))
    with pytest.raises(ValueError, match=r"00002\.tar: set:icon-6: the image is not the one"):
        export.main("small")
    # the caption of a sample that is not in the split, which only the shard's hash covers
    path.write_bytes(content.replace(b'"height": 64', b'"height": 46'))
    with pytest.raises(ValueError, match=r"00002\.tar: SHA-256 .* prepare the data set again"):
        export.main("small")
    path.write_bytes(content[:-512])
    with pytest.raises(ValueError, match=r"00002\.tar: .* bytes, the manifest says"):
        export.main("small")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"00002\.tar"):
        export.main("small")


def test_unknown_names_are_named(house):
    assert load_all() == {"small": Export(split="some", shard_size=4)}
    with pytest.raises(ValueError, match="unknown export 'smal'; did you mean 'small'"):
        load("smal")
    write_parameters(exports={"small": {"split": "sone", "shard_size": 4}})
    with pytest.raises(
        ValueError, match=r"small\.split: unknown split 'sone'; did you mean 'some'"
    ):
        export.main("small")
    write_parameters(exports={"small": {"split": "some", "shard_size": 0}})
    with pytest.raises(ValueError, match=r"shard_size: .*greater than or equal to 1"):
        export.main("small")
    write_parameters(exports={})
    assert load_all() == {}
