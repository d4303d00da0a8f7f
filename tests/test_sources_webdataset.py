"""img2dataset's tars: read in place from a folder or a URL, once, and never copied."""

import io
import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest
import yaml
from webdataset.tariterators import group_by_keys, tar_file_iterator

from clipcause.config.datasets import Limits
from clipcause.config.engine import Engine
from clipcause.data import dataset, in_place, manifest, place
from clipcause.data.manifest import Manifest
from clipcause.data.sources import webdataset as source
from clipcause.data.sources.members import Texts
from clipcause.runtime import shard_cache as cache
from stages import prepare
from tests import web_tars
from tests.artifacts_samples import contents

TEXTS = Texts()
VERSIONS = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text())["versions"]
SIZES = {"00002.tar": 4, "00010.tar": 3, "00001.tar": 5}
HELD = ["drops.parquet", "manifest.parquet", "members.parquet"]  # no image is copied


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """A shard cache of the test's own."""
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "kept"))
    monkeypatch.chdir(tmp_path)


def prepared(folder, where, shards="*.tar", *, read=TEXTS, limit=0.0, **engine) -> Manifest:
    parts = source.parts(where, shards, read, Limits(), Engine(**engine), "pool")
    in_place.write(Path(folder), where, parts, max_drop_fraction=limit)
    return manifest.read(Path(folder))


def test_a_pool_is_read_where_it_lies(tmp_path):
    where = web_tars.pool(str(tmp_path / "laion"), SIZES)
    pool = prepared("data/pool", where)
    assert sorted(contents(Path("data/pool"))) == HELD
    assert len(dataset.read_drops(Path("data/pool"))) == 0
    # natural order, and keys that come again in every tar
    assert [(shard.name, shard.samples) for shard in pool.shards] == [
        ("00001.tar", 5),
        ("00002.tar", 4),
        ("00010.tar", 3),
    ]
    assert pool.place(1) == f"{where}/00002.tar"
    assert pool.table["key"].to_pylist()[:6] == [f"{n:09d}" for n in (0, 1, 2, 3, 4, 0)]
    first = web_tars.sample(7, "jpg")  # the first tar that was written has 4 samples, the second 3
    row = pool.shard_table(0).to_pylist()[0]
    assert row == {
        "row": 0,
        "shard": "00001.tar",
        "key": "000000000",
        "uid": dataset.uid(first["jpg"]),
        "source_id": dataset.source_id("https://example.com/7.jpg", first["txt"].decode()),
        "pool_uid": None,
        "caption": first["txt"].decode(),
        "captions": None,
        "label": None,
        "width": 48,
        "height": 48,
        "converted": False,
    }
    images = dict(pool.images())
    assert sorted(images) == list(range(12))
    assert images[0] == first["jpg"]
    assert pool.image([11, 3, 11]) == [images[11], images[3], images[11]]
    assert list(pool.images([2])) == [(row, images[row]) for row in (9, 10, 11)]


@pytest.mark.parametrize("url", ["memory://laion/part", "file://{}/laion"])
def test_a_url_gives_the_same_data_set_as_a_folder(tmp_path, url):
    local = prepared("data/pool", web_tars.pool(str(tmp_path / "folder"), SIZES))
    where = web_tars.pool(url.format(tmp_path), SIZES)
    remote = prepared("data/remote", where)
    assert remote.sha256 == local.sha256
    assert remote.table.equals(local.table)
    assert dict(remote.images()) == dict(local.images())
    assert remote.image([9]) == local.image([9])
    again = pickle.loads(pickle.dumps(remote))  # of our own making: how it goes to workers
    assert again == remote


def test_a_few_images_of_a_url_are_few_requests(tmp_path, monkeypatch):
    local = prepared("data/pool", web_tars.pool(str(tmp_path / "folder"), {"0.tar": 9}))
    remote = prepared("data/remote", web_tars.pool("memory://few", {"0.tar": 9}))
    members = remote.members(0).to_pylist()
    asked = []
    memory = type(fsspec.filesystem("memory"))
    fetch = memory.cat_file

    def counted(self, path, start=None, end=None, **options):
        asked.append((start, end))
        return fetch(self, path, start, end, **options)

    monkeypatch.setattr(memory, "cat_file", counted)
    assert remote.image([8, 0, 1, 8]) == local.image([8, 0, 1, 8])
    assert asked == [(members[0]["offset"], members[8]["offset"] + members[8]["size"])]
    asked.clear()
    monkeypatch.setattr(place, "GAP", members[1]["offset"] - members[0]["offset"])
    assert remote.image([8, 0, 1, 8]) == local.image([8, 0, 1, 8])
    neighbours = members[0]["offset"], members[1]["offset"] + members[1]["size"]
    assert asked == [neighbours, (members[8]["offset"], members[8]["offset"] + members[8]["size"])]


def test_rows_are_what_webdataset_yields(tmp_path):
    where = web_tars.pool(str(tmp_path / "laion"), {"0.tar": 9})
    pool = prepared("data/pool", where)
    stream: Any = io.BytesIO(Path(where, "0.tar").read_bytes())  # the annotation there is wrong
    members = (member | {"__url__": "0.tar"} for member in tar_file_iterator(stream))
    yielded = list(group_by_keys(members))
    assert [one["__key__"] for one in yielded] == pool.table["key"].to_pylist()
    assert [one["txt"].decode() for one in yielded] == pool.captions
    images = [next(one[k] for k in ("jpg", "png", "webp") if k in one) for one in yielded]
    assert images == [image for _, image in pool.images()]


def test_workers_change_no_byte(tmp_path, monkeypatch):
    where = web_tars.pool(str(tmp_path / "laion"), {f"{n}.tar": 2 for n in range(4)})
    prepared("data/one", where)
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "other"))
    prepared("data/two", where, workers=2)
    assert contents(Path("data/one")) == contents(Path("data/two"))


def test_tars_that_were_read_are_not_read_again(tmp_path, monkeypatch):
    where = web_tars.pool(str(tmp_path / "laion"), {"0.tar": 2, "1.tar": 2})
    first = prepared("data/pool", where)
    read: list[str] = []
    real = source.read_tar

    def counted(task, item):
        read.append(item.name)
        return real(task, item)

    monkeypatch.setattr(source, "read_tar", counted)
    assert prepared("data/pool", where).sha256 == first.sha256
    assert read == []
    web_tars.pool(where, {"2.tar": 1})
    assert len(prepared("data/pool", where)) == 5
    assert read == ["2.tar"]


def test_captions_and_labels_come_from_several_members(tmp_path):
    facts = json.dumps({"caption": "from json", "url": "http://a/b", "class": 3}).encode()
    content = {
        "a": web_tars.sample(0, txt=None, json=facts, cls=b"n01440764\n"),
        "b": web_tars.sample(1, txt=b" spaces around \n", json=None),
        "c": web_tars.sample(2, txt=b"text", json=facts),
        "d": web_tars.sample(3, txt=None, json=None, cls=b"tabby_cat"),
    }
    where = web_tars.put(str(tmp_path / "own"), {"0.tar": web_tars.tar_of(content)})
    pool = prepared("data/pool", where, read=Texts("class"))
    assert pool.captions == ["from json", "spaces around", "text", "tabby cat"]
    assert pool.labels == ["n01440764", None, "3", "tabby_cat"]
    assert pool.table["source_id"].to_pylist() == [
        dataset.source_id("http://a/b", "from json"),
        None,  # shard and key are those of samples of any other pool
        dataset.source_id("http://a/b", "text"),
        None,
    ]


def test_a_source_id_survives_another_download(tmp_path):
    """Other shards, keys and bytes of an image, the same URL and caption."""
    one = web_tars.put("memory://day1", {"0.tar": web_tars.tar_of({"a": web_tars.sample(4)})})
    other = web_tars.sample(4, jpg=web_tars.images(9)[-1])
    two = web_tars.put("memory://day2", {"7.tar": web_tars.tar_of({"zz": other})})
    first, second = (prepared(f"data/{n}", where) for n, where in enumerate((one, two)))
    assert first.table["source_id"] == second.table["source_id"]
    assert first.table["uid"] != second.table["uid"]


@pytest.mark.parametrize(
    ("shards", "names"),
    [
        ("{00001..00002}.tar", ["00001.tar", "00002.tar"]),
        ("000{10,02}.tar", ["00010.tar", "00002.tar"]),
        (["00010.tar", "0000[12].tar"], ["00010.tar", "00001.tar", "00002.tar"]),
        ("sub/*.tar", ["sub/3.tar", "sub/20.tar"]),
        ("**/*.tar", ["00001.tar", "00002.tar", "00010.tar", "sub/3.tar", "sub/20.tar"]),
    ],
)
def test_shards_are_named_by_lists_braces_and_patterns(tmp_path, shards, names):
    listed = (*SIZES, "sub/20.tar", "sub/3.tar")
    where = web_tars.put(str(tmp_path / "laion"), dict.fromkeys(listed, b""))
    assert [item.name for item in source.tars(where, shards)] == names


def test_shards_that_are_not_there_are_named(tmp_path):
    where = web_tars.pool(str(tmp_path / "laion"), {"00000.tar": 1})
    with pytest.raises(FileNotFoundError, match=r"00001\.tar: not found \(2 of 3 named shards"):
        source.tars(where, "{00000..00002}.tar")
    with pytest.raises(FileNotFoundError, match=r"laion: nothing is called part-\*\.tar"):
        source.tars(where, "part-*.tar")
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder"):
        source.tars(str(tmp_path / "nowhere"), "*.tar")
    with pytest.raises(FileNotFoundError, match=r"memory://nowhere: nothing there"):
        source.tars("memory://nowhere", "*.tar")


def test_a_missing_driver_is_named_before_any_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ValueError, match=r"s3://laion: .* needs a package: s3fs \(pip install"):
        source.tars("s3://laion", "*.tar")
    with pytest.raises(ValueError, match=r"s4://laion: .*s4"):
        place.check("s4://laion")
    place.check("/a/folder")


def test_the_stage_writes_manifest_ledger_and_metrics(tmp_path):
    where = web_tars.pool("memory://stage", {"0.tar": 3, "1.tar": 2})
    pool = {"source": "webdataset", "raw": "data/none", "place": where}
    settings = {"image_size": 32, "shard_size": 2, "max_drop_fraction": 0.0}
    stated = {"versions": VERSIONS, "prepare": settings, "datasets": {"pool": pool}, "tests": {}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(stated))
    assert prepare.main("pool") == "5 samples in 2 shards, 0 dropped"
    assert sorted(contents(Path("data/pool"))) == HELD
    metrics = json.loads(Path("metrics/prepare/pool.json").read_text())
    assert metrics == {"dropped": 0, "lost": 0, "reasons": {}, "samples": 5, "shards": 2}
    assert len(dict(dataset.read(Path("data/pool")).images())) == 5


def test_too_many_drops_fail_with_the_ledger_beside(tmp_path):
    files = {"0.tar": web_tars.tar_of(web_tars.samples(3) | {"bad": {"jpg": b"x", "txt": b"x"}})}
    where = web_tars.put(str(tmp_path / "laion"), files)
    with pytest.raises(
        ValueError, match=r"1 of 4 samples dropped.*bad: undecodable.*see data/pool\.drops\.parquet"
    ):
        prepared("data/pool", where, limit=0.2)
    assert not Path("data/pool").exists()
    (drop,) = pq.read_table(dataset.ledger_of(Path("data/pool"))).to_pylist()
    assert (drop["shard"], drop["key"], drop["reason"]) == ("0.tar", "bad", "undecodable")
    assert len(prepared("data/pool", where, limit=0.25)) == 3
    assert not dataset.ledger_of(Path("data/pool")).exists()


def test_a_tar_that_vanishes_or_changes_is_named(tmp_path):
    where = web_tars.pool(str(tmp_path / "laion"), {"0.tar": 2, "1.tar": 2})
    pool = prepared("data/pool", where)
    path = Path(where, "1.tar")
    content = path.read_bytes()
    swapped = content.replace(b"number 2", b"number 3")
    assert swapped != content
    path.write_bytes(swapped)
    with pytest.raises(ValueError, match=r"1\.tar: SHA-256 .*the manifest says"):
        list(pool.images())
    path.write_bytes(content[:-512])
    with pytest.raises(ValueError, match=r"1\.tar: \d+ bytes, the manifest says"):
        manifest.read(Path("data/pool"))
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"1\.tar: not found; the manifest lists it"):
        manifest.read(Path("data/pool"))
    with pytest.raises(FileNotFoundError, match=r"1\.tar: not found"):
        list(pool.images([1]))
    assert len(manifest.read(Path("data/pool"), shards=False)) == 4


def test_a_tar_that_changes_while_it_is_audited_is_named(tmp_path):
    where = web_tars.pool(str(tmp_path / "laion"), {"0.tar": 2})
    (item,) = source.tars(where, "*.tar")
    os.utime(Path(where, "0.tar"), ns=(5, 5))
    with pytest.raises(ValueError, match=r"laion/0\.tar: changed while it was read"):
        source.read_tar(source.Audit(where, Limits(), Texts()), item)


def test_other_members_and_dropped_samples_are_passed_over_when_images_are_read(tmp_path):
    content = web_tars.samples(5)
    content["000000002"] = web_tars.sample(2, txt=b"  ", json=None)
    content["000000003"]["npy"] = b"features"
    content["000000003"]["seg.png"] = b"another picture of the sample"
    where = web_tars.put(str(tmp_path / "laion"), {"0.tar": web_tars.tar_of(content)})
    pool = prepared("data/pool", where, limit=0.5)
    assert pool.table["key"].to_pylist() == [f"{n:09d}" for n in (0, 1, 3, 4)]
    assert dict(pool.images())[2] == content["000000003"]["jpg"]
    assert pool.image([3]) == [content["000000004"]["png"]]
    (drop,) = dataset.read_drops(Path("data/pool")).to_pylist()
    assert (drop["key"], drop["reason"]) == ("000000002", "empty caption")
