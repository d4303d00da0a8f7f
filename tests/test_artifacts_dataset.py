"""Data sets: reproducible bytes, a ledger in which nothing is lost, checks of every shard."""

import hashlib
import io
import json
import os
import tarfile
import tracemalloc

import pyarrow.parquet as pq
import pytest

from clipcause.data import dataset, shards
from clipcause.data.manifest import SCHEMA, SHARDS_KEY, encode_shards
from tests.artifacts_samples import contents, make_dataset, sample


def test_rows_follow_the_order_of_the_samples(tmp_path):
    manifest = make_dataset(tmp_path / "pool", 7)
    assert len(manifest) == 7
    assert [(shard.name, shard.samples) for shard in manifest.shards] == [
        ("00000.tar", 3),
        ("00001.tar", 3),
        ("00002.tar", 1),
    ]
    assert manifest.table.schema.remove_metadata() == SCHEMA
    first = manifest.table.slice(4, 1).to_pylist()[0]
    image = sample(4).image
    assert first == {
        "row": 4,
        "shard": "00001.tar",
        "key": "set:icon-4",
        "uid": hashlib.blake2b(image, digest_size=16).hexdigest(),
        "source_id": dataset.source_id("set/icon-4", "caption 4"),
        "pool_uid": None,
        "caption": "caption 4",
        "captions": None,
        "label": None,
        "width": 64,
        "height": 64,
        "converted": False,
    }
    assert manifest.labels == [None, "cat", None, "cat", None, "cat", None]
    assert manifest.captions[6] == "caption 6"
    assert manifest.sha256 == shards.digest(tmp_path / "pool" / "manifest.parquet")


def test_members_are_those_of_a_webdataset(tmp_path):
    make_dataset(tmp_path / "pool", items=[sample(1, extra={"licence": "MIT"})])
    with tarfile.open(tmp_path / "pool" / "00000.tar") as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == [
            "set:icon-1.png",
            "set:icon-1.txt",
            "set:icon-1.json",
            "set:icon-1.cls",
        ]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {
            (0, 0, 0, "", "", 0o644)
        }
        facts = tar.extractfile("set:icon-1.json")
        assert facts is not None
        assert json.load(facts) == {
            "source": "set/icon-1",
            "width": 64,
            "height": 64,
            "licence": "MIT",
            "captions": ["caption 1"],
            "clipcause": {"label": "cat"},
        }
        position = tar.extractfile("set:icon-1.cls")
        assert position is not None
        assert position.read() == b"0"
    assert (tmp_path / "pool" / "classnames.txt").read_text() == "cat\n"


def test_the_same_samples_give_the_same_bytes(tmp_path):
    items = [sample(0), dataset.Drop("raw", "x", "empty", "no ink"), sample(1), sample(1)]
    for name in ("a", "b"):
        make_dataset(tmp_path / name, items=iter(items))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_images_come_back_by_row_by_shard_and_at_random(tmp_path):
    manifest = make_dataset(tmp_path / "pool", 7)
    images = [sample(number).image for number in range(7)]
    assert list(manifest.images()) == list(enumerate(images))
    assert list(manifest.images([2, 0])) == [(6, images[6]), *enumerate(images[:3])]
    assert manifest.image([5, 0, 5]) == [images[5], images[0], images[5]]
    assert manifest.image([]) == []
    with pytest.raises(ValueError, match="row 7 is not among 7 rows"):
        manifest.image([7])


def test_drops_and_duplicate_keys_are_in_the_ledger(tmp_path):
    items = [
        sample(0),
        dataset.Drop("raw.json", "bad", "undecodable", "line 3"),
        sample(1),
        sample(0, source="elsewhere", image=b"other"),
    ]
    counts = dataset.write(tmp_path / "pool", items, shard_size=1, max_drop_fraction=0.5)
    assert counts == dataset.Counts(2, 2, 2, {"duplicate key": 1, "undecodable": 1})
    assert dataset.read_drops(tmp_path / "pool").to_pylist() == [
        {"shard": "raw.json", "key": "bad", "reason": "undecodable", "detail": "line 3"},
        {
            "shard": "",
            "key": "set:icon-0",
            "reason": "duplicate key",
            "detail": "elsewhere; the key is that of set/icon-0",
        },
    ]


def test_too_many_drops_fail_and_leave_nothing(tmp_path):
    items = [sample(0), dataset.Drop("s", "k", "undecodable", "cause")]
    dataset.write(tmp_path / "edge", items, shard_size=1, max_drop_fraction=0.5)
    with pytest.raises(
        ValueError,
        match=r"pool: 1 of 2 samples dropped, more than max_drop_fraction 0.4: "
        r"k: undecodable \(cause\)",
    ):
        dataset.write(tmp_path / "pool", items, shard_size=1, max_drop_fraction=0.4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["edge", "pool.drops.parquet"]
    (drop,) = pq.read_table(dataset.ledger_of(tmp_path / "pool")).to_pylist()
    assert drop == {"shard": "s", "key": "k", "reason": "undecodable", "detail": "cause"}
    dataset.write(tmp_path / "pool", items, shard_size=1, max_drop_fraction=0.5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["edge", "pool"]


def test_images_outside_the_class_list_do_not_make_room_for_damage(tmp_path):
    outside = [
        dataset.Drop("images/x", f"o{n}", dataset.OUTSIDE, "", counted=False) for n in range(50)
    ]
    damaged = [dataset.Drop("images/y", f"d{n}", "undecodable", "") for n in range(4)]
    samples = [sample(n) for n in range(6)]
    with pytest.raises(ValueError, match="4 of 10 samples dropped"):
        dataset.write(
            tmp_path / "x", [*samples, *outside, *damaged], shard_size=9, max_drop_fraction=0.3
        )
    counts = dataset.write(
        tmp_path / "x", [*samples, *outside, *damaged], shard_size=9, max_drop_fraction=0.4
    )
    assert (counts.samples, counts.dropped) == (6, 4)
    assert dataset.read_drops(tmp_path / "x").num_rows == 54


def test_a_sample_that_is_not_published_has_no_identity_but_its_bytes(tmp_path):
    made = make_dataset(tmp_path / "pool", items=[sample(1, published=False), sample(2)])
    assert made.table["source_id"].to_pylist() == [
        None, dataset.source_id("set/icon-2", "caption 2")
    ]  # fmt: skip


def test_nothing_usable_is_an_error_at_any_drop_fraction(tmp_path):
    with pytest.raises(ValueError, match="no usable sample among 0"):
        dataset.write(tmp_path / "pool", [], shard_size=1, max_drop_fraction=1.0)
    only_drops = [dataset.Drop("s", "k", "empty", "d")]
    with pytest.raises(ValueError, match="no usable sample among 1: k: empty"):
        dataset.write(tmp_path / "pool", only_drops, shard_size=1, max_drop_fraction=1.0)


@pytest.mark.parametrize("key", ["a.b", "", "folder/", "/a"])
def test_a_key_that_webdataset_would_cut_is_an_error(tmp_path, key):
    with pytest.raises(ValueError, match="a key is not empty"):
        make_dataset(tmp_path / "pool", items=[sample(0, key=key)])


def test_long_and_foreign_keys_survive(tmp_path):
    keys = ["ü" * 90, "x" * 180, "folder.with.dots/key"]
    manifest = make_dataset(
        tmp_path / "pool", items=[sample(n, key=key) for n, key in enumerate(keys)]
    )
    assert [row for row, _ in manifest.images()] == [0, 1, 2]
    assert manifest.table["key"].to_pylist() == keys


def test_writing_holds_one_sample_in_memory(tmp_path):
    image = bytes(1 << 20)
    items = (sample(number, image=image[:-1] + b"x") for number in range(64))
    tracemalloc.start()
    make_dataset(tmp_path / "pool", items=items, shard_size=32)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


def test_a_missing_shard_is_named(tmp_path):
    make_dataset(tmp_path / "pool")
    (tmp_path / "pool" / "00001.tar").unlink()
    with pytest.raises(FileNotFoundError, match=r"00001\.tar: not found; the manifest lists it"):
        dataset.read(tmp_path / "pool")
    assert len(dataset.read(tmp_path / "pool", shards=False)) == 7


def test_a_truncated_shard_is_named_with_both_sizes(tmp_path):
    make_dataset(tmp_path / "pool")
    path = tmp_path / "pool" / "00001.tar"
    path.write_bytes(path.read_bytes()[:-512])
    with pytest.raises(ValueError, match=r"00001\.tar: 9728 bytes, the manifest says 10240"):
        dataset.read(tmp_path / "pool")


def test_a_changed_image_is_found_before_it_is_yielded(tmp_path):
    manifest = make_dataset(tmp_path / "pool")
    path = tmp_path / "pool" / "00001.tar"
    content = bytearray(path.read_bytes())
    content[512] ^= 1
    path.write_bytes(bytes(content))
    rows = []
    with pytest.raises(ValueError, match=r"00001\.tar: set:icon-3: the image is not the one"):
        rows.extend(row for row, _ in manifest.images())
    assert rows == [0, 1, 2]


def test_any_other_change_of_a_shard_is_found_when_it_has_been_read(tmp_path):
    manifest = make_dataset(tmp_path / "pool")
    path = tmp_path / "pool" / "00001.tar"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"caption 4", b"caption 5"))
    rows = []
    with pytest.raises(ValueError, match=r"00001\.tar: SHA-256 .* the manifest says .*3 samples"):
        rows.extend(row for row, _ in manifest.images())
    assert rows == [0, 1, 2, 3, 4, 5]


def test_a_shard_that_changes_after_it_was_verified_is_an_error(tmp_path):
    manifest = make_dataset(tmp_path / "pool")
    assert len(list(manifest.images())) == 7
    path = tmp_path / "pool" / "00001.tar"
    os.utime(path, ns=(1, 1))
    with pytest.raises(ValueError, match=r"00001\.tar: changed while the stage ran"):
        list(manifest.images())


def test_the_manifest_of_other_shards_is_an_error(tmp_path):
    make_dataset(tmp_path / "a", items=[sample(0), sample(1), sample(2)])
    make_dataset(tmp_path / "b", items=[sample(0), sample(2), sample(1)])
    (tmp_path / "a" / "00000.tar").write_bytes((tmp_path / "b" / "00000.tar").read_bytes())
    with pytest.raises(ValueError, match=r"00000\.tar: set:icon-1: the image is not the one"):
        list(dataset.read(tmp_path / "a").images())


def rewritten(manifest, members):
    """The manifest with a shard of other members whose hash and size are right nevertheless."""
    path = manifest.folder / manifest.shards[0].name
    with tarfile.open(path, "w") as tar:
        for number, name in enumerate(members):
            header = tarfile.TarInfo(name)
            header.size = len(sample(number).image)
            tar.addfile(header, io.BytesIO(sample(number).image))
    entry = manifest.shards[0]._replace(sha256=shards.digest(path), bytes=path.stat().st_size)
    return dataset.Manifest(manifest.folder, manifest.sha256, (entry, *manifest.shards[1:]))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (["set:icon-0.png", "set:icon-2.png"], "set:icon-1: the image is not the one"),
        (["set:icon-0.png"], "set:icon-1: the image is not the one"),
        ([f"set:icon-{n}.png" for n in range(4)], "set:icon-1: the image is not the one"),
    ],
)
def test_members_that_do_not_fit_the_manifest_are_named(tmp_path, members, message):
    manifest = make_dataset(tmp_path / "pool")
    with pytest.raises(ValueError, match=rf"00000\.tar: {message}"):
        list(rewritten(manifest, members).images([0]))


def test_a_manifest_of_other_rows_is_an_error(tmp_path):
    manifest = make_dataset(tmp_path / "pool")
    path = tmp_path / "pool" / "manifest.parquet"
    table = manifest.table
    metadata = {SHARDS_KEY: encode_shards(manifest.shards)}
    damages = {
        "5 rows, but its list of 3 shards counts 7": table.slice(0, 5),
        "column 'row' does not count from 0 to 2 in 00000.tar": table.take([3, 1, 2, 0, 4, 5, 6]),
        "column 'shard' does not fit": table.set_column(1, "shard", [["00000.tar"] * 7]),
    }
    for message, damaged in damages.items():
        pq.write_table(damaged.replace_schema_metadata(metadata), path, row_group_size=3)
        with pytest.raises(ValueError, match=message):
            dataset.read(tmp_path / "pool", shards=False)
    pq.write_table(table.replace_schema_metadata(metadata), path)
    with pytest.raises(ValueError, match="1 row groups for 3 shards"):
        dataset.read(tmp_path / "pool")
    swapped = table.take([0, 1, 2, 3, 4, 5, 6]).set_column(0, "row", [[0, 1, 2, 3, 3, 5, 6]])
    pq.write_table(swapped.replace_schema_metadata(metadata), path, row_group_size=3)
    with pytest.raises(ValueError, match=r"'row' does not count through 00001\.tar"):
        dataset.read(tmp_path / "pool").shard_table(1)
    pq.write_table(table.replace_schema_metadata(None), path)
    with pytest.raises(ValueError, match="no list of shards"):
        dataset.read(tmp_path / "pool")
    pq.write_table(table.drop_columns("label").replace_schema_metadata(metadata), path)
    with pytest.raises(ValueError, match="columns are"):
        dataset.read(tmp_path / "pool")
