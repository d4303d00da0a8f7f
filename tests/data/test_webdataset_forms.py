"""Tars as tools and servers leave them: compressed, with captions elsewhere, or no tars at all."""

import gzip
import io
import json
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from clipcause.config.datasets import Limits
from clipcause.config.engine import Engine
from clipcause.data import dataset, in_place, manifest
from clipcause.data.sources import webdataset
from clipcause.data.sources.members import Texts
from tests import web_tars

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
PAGE = b"\n<!DOCTYPE html>\n<html><head><title>Access to this model is restricted</title>" * 20


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLIPCAUSE_SHARDS", str(tmp_path / "shards"))
    monkeypatch.setattr("clipcause.config.versions.used", lambda *_: "")


def made(shards="none", most=0.9, **read):
    parts = webdataset.parts("tars", shards, Texts(**read), Limits(), Engine(), "pool")
    in_place.write(Path("data"), "tars", parts, max_drop_fraction=most)
    return manifest.read(Path("data"))


def put(**files: bytes) -> None:
    Path("tars").mkdir(exist_ok=True)
    for name, content in files.items():
        Path("tars", name.replace("_", ".")).write_bytes(content)


def drops() -> dict[str, tuple[str, str]]:
    return {
        drop["shard"]: (drop["reason"], drop["detail"])
        for drop in dataset.read_drops(Path("data")).to_pylist()
    }


def test_a_compressed_tar_is_read_as_the_tar_that_it_was():
    content = web_tars.tar_of(web_tars.samples(5))
    put(a_tar=content)
    plain = made()
    images = list(plain.images())
    Path("tars/a.tar").unlink()
    # two members of gzip, one behind the other, are one file
    put(a_tgz=gzip.compress(content[:5000]) + gzip.compress(content[5000:]))
    packed = made()
    assert packed.table.drop_columns(["shard"]).equals(plain.table.drop_columns(["shard"]))
    assert list(packed.images()) == images
    assert packed.image([4, 0, 2]) == [images[row][1] for row in (4, 0, 2)]


def test_a_compressed_tar_that_was_cut_off_gives_what_is_there():
    # noise in front, lest all of it be in one block of the compression
    samples = {"noise": web_tars.sample(0, zzz=os.urandom(300_000)), **web_tars.samples(5)}
    whole = gzip.compress(web_tars.tar_of(samples))
    put(a_tar=web_tars.tar_of(web_tars.samples(1)))
    Path("tars/b.tar.gz").write_bytes(whole[:-200])
    found = made()
    assert 2 <= len(found) < 7
    assert drops()["b.tar.gz"][0] == "truncated tar"
    assert len(list(found.images())) == len(found)


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("0.jpg", web_tars.images(1)[0])
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("b.tar", PAGE, "an HTML page, as a server sends where a file is gone"),
        ("b.tar", POINTER, "a pointer of Git LFS; `git lfs pull` gets it"),
        ("b.tar", zipped(), "a zip archive; unpack it"),
        ("b.tar", b'{"error": "Invalid credentials"}', "JSON, as a server answers"),
        ("b.tar", b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML, as an"),
        (
            "b.tar",
            gzip.compress(b"x", mtime=0),
            "compressed by gzip; a tar so made is called .tar.gz",
        ),
        ("b.tar", b"", "it is empty"),
        ("b.tar.gz", PAGE, "an HTML page"),
        ("b.tar.gz", web_tars.tar_of(web_tars.samples(1)), "a tar that nothing compressed"),
    ],
)
def test_what_lies_in_place_of_a_tar_is_called_what_it_is(name, content, words):
    put(a_tar=web_tars.tar_of(web_tars.samples(2)))
    Path("tars", name).write_bytes(content)
    assert len(made()) == 2
    reason, detail = drops()[name]
    assert reason == "unreadable tar"
    assert words in detail


def test_where_no_tar_is_the_error_says_what_is_there():
    put(a_zip=b"x")
    with pytest.raises(FileNotFoundError, match=r"there are 1 files, such as a.zip; `shards`"):
        made()
    with pytest.raises(FileNotFoundError, match=r"nothing is called \*\.tar; .* such as a\.zip"):
        made("*.tar")


def test_statistics_of_a_compressed_tar_miss_no_other():
    put(a_tgz=gzip.compress(web_tars.tar_of(web_tars.samples(2))))
    Path("tars/a_stats.json").write_text('{"successes": 3}')
    assert len(made()) == 2
    assert drops().keys() == {"a.tgz"}
    assert drops()["a.tgz"] == (
        "counts differ from the statistics", "2 samples, the statistics say 3",
    )  # fmt: skip


def facts(number: int, **more) -> bytes:
    return json.dumps({"url": f"https://a.b/{number}", **more}).encode()


def test_captions_under_another_key_or_member():
    # a member of two dots, as some tools write
    content = {
        "0": web_tars.sample(0, txt=None, json=facts(0, text=["a bell", "a car"])),
        "1": web_tars.sample(1, txt=b"not this", json=facts(1, text="a key")),
        "2": web_tars.sample(2, txt=b"not this", Text=b"a door\n", json=facts(2)),
        "3": web_tars.sample(3, txt=b"not this", json=facts(3)),
    }
    put(a_tar=web_tars.tar_of(content))
    found = made(caption="text")
    assert found.captions == ["a bell", "a key", "a door"]
    assert found.table["captions"].to_pylist()[0] == ["a bell", "a car"]
    (drop,) = dataset.read_drops(Path("data")).to_pylist()
    assert (drop["key"], drop["reason"]) == ("3", "no caption")
    content = {"0": web_tars.sample(0, **{"txt": None, "json": None, "blip.txt": b"a bell"})}
    put(a_tar=web_tars.tar_of(content))
    assert made(caption="blip.txt").captions == ["a bell"]


def test_without_captions_the_error_names_what_is_there():
    content = web_tars.sample(0, txt=None, blip=b"a bell", json=facts(0, text="a"))
    put(a_tar=web_tars.tar_of({"0": content}))
    with pytest.raises(ValueError, match=r"say which has it by `caption`: blip, text, url"):
        made()
    with pytest.raises(ValueError, match=r"no 'texte'; did you mean 'text'"):
        made(caption="texte")


def test_named_values_are_kept_with_their_types():
    first = {
        "0": web_tars.sample(0, json=facts(0, similarity=0.31, width=640, nsfw="NO", ok=True)),
        "1": web_tars.sample(1, json=facts(1, similarity=None, width=480, nsfw="UNSURE")),
        "2": web_tars.sample(2, json=facts(2, similarity=float("nan"), width="wide", nsfw=None)),
    }
    second = {"0": web_tars.sample(3, json=facts(3, similarity=1, width=320.5))}
    put(a_tar=web_tars.tar_of(first), b_tar=web_tars.tar_of(second))
    names = ("similarity", "width", "nsfw", "ok")
    found = made(columns=names)
    kept = {name: found.kept(name) for name in names}
    assert {name: str(column.type) for name, column in kept.items()} == {
        "similarity": "double", "width": "double", "nsfw": "string", "ok": "bool",
    }  # fmt: skip
    assert kept["similarity"].to_pylist() == [0.31, None, None, 1.0]
    assert kept["width"].to_pylist() == [640.0, 480.0, None, 320.5]
    assert kept["nsfw"].to_pylist() == ["NO", "UNSURE", None, None]
    assert kept["ok"].to_pylist() == [True, None, None, None]
    (drop,) = dataset.read_drops(Path("data")).to_pylist()
    assert (drop["key"], drop["reason"]) == ("2", "value of another type")
    assert drop["detail"] == "width: text, most are a number"
    with pytest.raises(ValueError, match=r"keeps no column 'similarty'; did you mean 'similarity'"):
        found.kept("similarty")
    # a pool's own `width` is no other column's, and the rest is what it would be without
    rest = found.table.drop_columns(["columns"])
    plain = made().table
    assert rest.equals(plain)
    assert manifest.SCHEMA.names == plain.column_names


def test_whole_numbers_of_64_bits_stay_whole():
    put(a_tar=web_tars.tar_of({"0": web_tars.sample(0, json=facts(0, hash=-(2**63) + 1))}))
    column = made(columns=("hash",)).kept("hash")
    assert column.type == pa.int64()
    assert column.to_pylist() == [-(2**63) + 1]


def test_a_name_that_no_sample_has_is_an_error_with_the_nearest():
    put(a_tar=web_tars.tar_of(web_tars.samples(2)))
    with pytest.raises(ValueError, match=r"a\.tar: the json of its samples: no 'widht'; did you"):
        made(columns=("widht",))
    with pytest.raises(ValueError, match=r"no 'statsu'; did you mean 'status'"):
        made(label="statsu")


def test_a_column_of_two_types_names_both_tars():
    put(
        a_tar=web_tars.tar_of({"0": web_tars.sample(0, json=facts(0, a=1))}),
        b_tar=web_tars.tar_of({"0": web_tars.sample(1, json=facts(1, a="x"))}),
    )
    with pytest.raises(ValueError, match=r"'a' is int64 in a\.tar and string in b\.tar"):
        made(columns=("a",))
    assert not Path("data").exists()
