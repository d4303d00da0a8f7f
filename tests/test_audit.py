"""The audit: every kind of damage is a line in the ledger with shard, key and reason."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipcause.config.datasets import Limits
from clipcause.data import in_place, manifest, place
from clipcause.data.in_place import Part
from clipcause.data.sources import audit, webdataset
from clipcause.data.sources import members as samples
from clipcause.data.sources.audit import Fault, Look
from clipcause.data.sources.members import Texts
from tests import web_tars
from tests.web_tars import flat, members_tar, tar_of


def audited(folder: Path, content: bytes | None, stats: bytes | None = None, **limits) -> Part:
    """The part of one tar, which lies in a folder of its own with its statistics."""
    files = {"0.tar": content, "0_stats.json": stats}
    where = web_tars.put(str(folder), {k: v for k, v in files.items() if v is not None})
    (item,) = webdataset.tars(where, "*.tar")
    part = webdataset.read_tar(webdataset.Audit(where, Limits(**limits), Texts()), item)
    again = webdataset.decode(webdataset.encode(part))
    assert again == part  # what the cache gives back
    if content is not None and part.rows.num_rows:
        check_images(folder, where, part)
    return part


def check_images(folder: Path, where: str, part: Part) -> None:
    """The images of the rows, and no others, come back from the damaged tar."""
    target = folder / "made"
    in_place.write(target, where, [part], max_drop_fraction=1.0)
    pool = manifest.read(target)
    assert [row for row, _ in pool.images()] == list(range(len(pool)))
    assert len(pool.image(range(len(pool)))) == len(pool)


def keys(part: Part) -> list[str]:
    return part.rows["key"].to_pylist()


def lines(drops) -> list[tuple[str, str]]:
    assert all(drop.shard == "0.tar" and drop.detail for drop in drops)
    return [(drop.key, drop.reason) for drop in drops]


def png(width: int, height: int, mode: str = "1") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (width, height), 1).save(stream, "PNG")
    return stream.getvalue()


def test_a_whole_tar_has_nothing_in_the_ledger(tmp_path):
    part = audited(tmp_path, tar_of(web_tars.samples(6)), web_tars.stats(6))
    assert len(keys(part)) == 6
    assert (part.drops, part.remarks, part.lost) == ([], [], 0)


JPEG = web_tars.images(3)[-1]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"jpg": b""}, "undecodable"),
        ({"jpg": b"<html>not found</html>"}, "undecodable"),
        ({"jpg": JPEG[: len(JPEG) // 2]}, "undecodable"),
        ({"jpg": JPEG[:20]}, "undecodable"),
        ({"jpg": None, "png": web_tars.images(3, "png")[-1][:-30]}, "undecodable"),
        ({"jpg": None, "webp": web_tars.images(3, "webp")[-1][:-30]}, "undecodable"),
        ({"jpg": None, "png": png(7, 40)}, "too small"),
        ({"jpg": None, "png": png(20_000, 20_000)}, "too large"),
        ({"jpg": None, "png": png(9_000, 9_000)}, "too large"),
        ({"jpg": None, "png": png(8, 401)}, "too long"),
        ({"jpg": None, "png": png(1_000_000, 8)}, "too long"),
        ({"jpg": bytes(200_000)}, "too large"),
        ({"jpg": None}, "no image"),
        ({"txt": None, "json": None}, "no caption"),
        ({"txt": None, "json": b'{"caption": null}'}, "no caption"),
        ({"txt": b" \n", "json": None}, "empty caption"),
        ({"txt": "café".encode("latin-1")}, "unreadable caption"),
        ({"txt": b"x" * ((1 << 20) + 1)}, "unreadable caption"),
        ({"txt": None, "json": b'{"caption": "half \\ud83d"}'}, "unreadable caption"),
        ({"cls": b"\xff"}, "unreadable class"),
    ],
)
def test_a_sample_that_cannot_be_used_is_dropped_and_its_neighbours_stay(tmp_path, members, reason):
    content = {"a": web_tars.sample(0), "b": web_tars.sample(1, **members), "c": web_tars.sample(2)}
    part = audited(tmp_path, tar_of(content), most_bytes=100_000)
    assert keys(part) == ["a", "c"]
    assert lines(part.drops) == [("b", reason)]
    assert (part.remarks, part.lost) == ([], 0)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"jpg": web_tars.images(2, "png")[-1]}, "wrong extension"),
        ({"jpg": None, "png": JPEG}, "wrong extension"),
        ({"json": b"{"}, "unreadable json"),
        ({"json": b"[" * 100_000}, "unreadable json"),
        ({"json": b"[1]"}, "unreadable json"),
        ({"json": b"\xff"}, "unreadable json"),
        ({"json": b"1" * ((1 << 20) + 1)}, "unreadable json"),
        ({"json": b'{"url": ' + b"9" * 5000 + b"}"}, "unreadable json"),
    ],
)
def test_what_costs_no_sample_is_remarked(tmp_path, members, reason):
    content = {"a": web_tars.sample(0), "b": web_tars.sample(1, **members)}
    part = audited(tmp_path, tar_of(content))
    assert keys(part) == ["a", "b"]
    assert (part.drops, lines(part.remarks)) == ([], [("b", reason)])


def test_a_duplicate_key_within_a_tar_is_dropped_and_the_first_counts(tmp_path):
    a, b = flat({"a": web_tars.sample(0)}), flat({"b": web_tars.sample(1)})
    other = flat({"a": web_tars.sample(2)})
    part = audited(tmp_path, members_tar([*a, *b, *other]))
    assert keys(part) == ["a", "b"]
    assert lines(part.drops) == [("a", "duplicate key")]
    next_to_it = audited(tmp_path / "two", members_tar([*a, *other, *b]))
    assert keys(next_to_it) == ["a", "b"]
    assert lines(next_to_it.drops) == [("a", "duplicate key")]
    # a first one that is no use does not make room for the second
    broken = flat({"a": web_tars.sample(0, jpg=b"x")})
    dropped = audited(tmp_path / "three", members_tar([*broken, *b, *a]))
    assert keys(dropped) == ["b"]
    assert lines(dropped.drops) == [("a", "undecodable"), ("a", "duplicate key")]


def test_of_a_run_of_images_only_the_first_is_held():
    """The names of one extension in other cases would each be read, up to the limit."""
    reading = samples.Reading("0.tar", Limits(), Texts())
    good = web_tars.sample(0)
    for name in ("a.jpg", "a.JPG", "a.Png", "b.jpg", "a.jpg"):
        wanted = reading.is_read(name, 1 << 20)
        assert wanted == (name in ("a.jpg", "b.jpg") and not reading.rows)
        content = good["jpg"] if wanted else None
        reading.add(webdataset.tar.Member(name, "file", 1 << 20, content))
        if name == "a.Png":
            reading.add(webdataset.tar.Member("a.txt", "file", 1, b"x"))
    reading.end(damaged=False)
    assert [row.key for row in reading.rows] == ["a"]
    assert [(drop.key, drop.reason) for drop in reading.drops] == [
        ("b", "no caption"), ("a", "duplicate key"),
    ]  # fmt: skip


def test_the_most_that_a_side_may_be_longer():
    assert isinstance(audit.look(png(8, 400), Limits()), Look)
    assert isinstance(audit.look(png(8, 401), Limits(most_ratio=51)), Look)
    fault = audit.look(png(8, 401), Limits())
    assert fault == Fault("too long", "8 x 401 pixels, the sides' ratio is at most 50")


def test_members_out_of_order_are_no_sample(tmp_path):
    """As for WebDataset's readers: what does not follow the rest does not belong to it."""
    a, b = web_tars.sample(0), web_tars.sample(1)
    members = [
        ("a.jpg", a["jpg"]), *flat({"b": b}), ("a.txt", a["txt"]), *flat({"c": a}),
        ("d.txt", a["txt"]), ("e.txt", a["txt"]), ("d.jpg", a["jpg"]),
    ]  # fmt: skip
    part = audited(tmp_path, members_tar(members))
    assert keys(part) == ["b", "c"]
    assert lines(part.drops) == [("a", "no caption"), ("d", "no image"), ("e", "no image")]
    reasons = [("a", "members out of order"), ("d", "members out of order")]
    assert lines(part.remarks) == reasons


@pytest.mark.parametrize("cut", [2500, 20_000])
def test_a_truncated_tar_keeps_the_samples_before_the_damage(tmp_path, cut):
    content = tar_of(web_tars.samples(9))
    part = audited(tmp_path, content[:cut])
    known = sorted(web_tars.samples(9))
    assert keys(part) == known[: len(keys(part))]
    assert {reason for _, reason in lines(part.drops)} <= {"truncated tar", "cut off"}
    assert ("", "truncated tar") in lines(part.drops)
    with_stats = audited(tmp_path / "two", content[:cut], web_tars.stats(9))
    assert keys(with_stats) == keys(part)
    assert with_stats.lost + len(with_stats.drops) + len(keys(part)) == 9
    reasons = {reason for _, reason in lines(with_stats.remarks)}
    assert reasons == {"truncated tar", "counts differ from the statistics"}


def test_the_last_sample_before_a_damage_counts_where_it_is_whole(tmp_path):
    a, b = flat({"a": web_tars.sample(0)}), flat({"b": web_tars.sample(1)})
    end = 1024 + 512 * sum(1 + -(-len(body) // 512) for _, body in (*a, *b))
    content = members_tar([*a, *b])
    whole = audited(tmp_path, content[: end - 1024])
    assert keys(whole) == ["a", "b"]
    assert lines(whole.drops) == [("", "truncated tar")]
    short = audited(tmp_path / "two", members_tar([*a, *b[:2]])[: end - 1024 - 1024])
    assert keys(short) == ["a"]
    assert lines(short.drops) == [("b", "cut off"), ("", "truncated tar")]


def test_a_damaged_header_ends_a_tar_and_does_not_hide_it(tmp_path):
    """The standard library's reader takes it for the end of the archive."""
    content = bytearray(tar_of(web_tars.samples(6)))
    third = content.index(b"000000003.", 512)
    content[third : third + 100] = b"\xff" * 100
    part = audited(tmp_path, bytes(content))
    assert keys(part) == ["000000000", "000000001", "000000002"]
    assert lines(part.drops) == [("", "damaged tar")]


@pytest.mark.parametrize("content", [b"", b"no tar" * 300, bytes(range(256)) * 8])
def test_an_unreadable_tar_is_a_line(tmp_path, content):
    part = audited(tmp_path, content)
    assert keys(part) == []
    assert lines(part.drops) == [("", "unreadable tar")]
    stated = audited(tmp_path / "two", content, web_tars.stats(50))
    assert (stated.lost, stated.drops) == (50, [])


def test_data_behind_the_end_are_remarked(tmp_path):
    two = tar_of(web_tars.samples(1)) + tar_of(web_tars.samples(2, 5))
    part = audited(tmp_path, two)
    assert len(keys(part)) == 1
    assert lines(part.remarks) == [("", "data after the end of the tar")]


@pytest.mark.parametrize(
    ("stats", "remarks", "lost"),
    [
        (web_tars.stats(3), [], 0),
        (web_tars.stats(5), ["counts differ from the statistics"], 2),
        (web_tars.stats(2), ["counts differ from the statistics"], 0),
        (web_tars.stats(3, count=10), [], 0),  # seven could not be downloaded: no damage
        (b"{", ["unreadable statistics"], 0),
        (b"[]", ["unreadable statistics"], 0),
        (b'{"successes": -1}', ["unreadable statistics"], 0),
        (b'{"successes": "3"}', ["unreadable statistics"], 0),
        (b"{}", ["unreadable statistics"], 0),
    ],
)
def test_counts_are_compared_with_the_statistics(tmp_path, stats, remarks, lost):
    part = audited(tmp_path, tar_of(web_tars.samples(3)), stats)
    assert [reason for _, reason in lines(part.remarks)] == remarks
    assert (part.lost, part.drops, len(keys(part))) == (lost, [], 3)


def test_a_tar_without_statistics_where_others_have_them_and_the_reverse(tmp_path):
    where = web_tars.pool(str(tmp_path), {"0.tar": 2, "1.tar": 2, "2.tar": 2})
    (tmp_path / "1_stats.json").unlink()
    (tmp_path / "2.tar").unlink()
    task = webdataset.Audit(where, Limits(), Texts())
    parts = [webdataset.read_tar(task, item) for item in webdataset.tars(where, "*.tar")]
    assert [part.shard.name for part in parts] == ["0.tar", "1.tar", "2.tar"]
    assert [[r.reason for r in part.remarks] for part in parts] == [
        [],
        ["no statistics"],
        ["missing tar", "counts differ from the statistics"],
    ]
    assert [part.lost for part in parts] == [0, 0, 2]
    counts, lost = in_place.write(tmp_path / "made", where, parts, max_drop_fraction=0.5)
    assert (counts.samples, counts.dropped, counts.shards, lost) == (4, 2, 2, 2)


def test_what_belongs_to_no_sample_is_remarked(tmp_path):
    members = [("README", b"x"), ("._000.jpg", b"x"), *flat({"a": web_tars.sample(0)})]
    part = audited(tmp_path, members_tar(members))
    assert keys(part) == ["a"]
    assert lines(part.remarks) == [("README", "not of a sample"), ("._000.jpg", "not of a sample")]


@pytest.mark.parametrize("kind", ["header", "draft", "full"])
@pytest.mark.parametrize("extension", ["jpg", "png", "webp"])
def test_images_are_looked_at_in_three_ways(kind, extension):
    content = web_tars.images(1, extension)[0]
    limits = Limits(decode=kind)
    assert audit.look(content, limits) == Look(48, 48, extension, False)
    broken = audit.look(content[: len(content) * 2 // 3], limits)
    # WebP's header has the length of the file
    assert isinstance(broken, Look if kind == "header" and extension != "webp" else Fault)


def test_a_jpeg_of_a_thousand_scans_is_not_decoded():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG", progressive=True)
    content = stream.getvalue()
    at = content.rindex(b"\xff\xda")
    bomb = content[:at] + content[at:-2] * 1000 + content[-2:]
    fault = audit.look(bomb, Limits())
    assert isinstance(fault, Fault)
    assert fault.reason == "too large"
    assert "scans in a JPEG" in fault.detail
    assert isinstance(audit.look(content, Limits()), Look)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(["jpg", "png", "webp"]), st.data())
def test_no_content_makes_the_audit_fail(extension, data):
    content = bytearray(web_tars.images(1, extension)[0])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    limits = Limits(most_pixels=100_000)
    assert isinstance(audit.look(bytes(content), limits), Look | Fault)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from("abc"), max_size=12), st.data())
def test_every_sample_of_any_order_is_a_row_or_in_the_ledger(names, data):
    """Whatever the order of members: no key twice among the rows, none lost without a line."""
    good = web_tars.sample(0)
    members = [(f"{key}.{data.draw(st.sampled_from(['jpg', 'txt']))}") for key in names]
    reading = samples.Reading("0.tar", Limits(decode="header"), Texts())
    for name in members:
        content = good[name.partition(".")[2]]
        reading.add(webdataset.tar.Member(name, "file", len(content), content))
    reading.end(damaged=False)
    rows = [row.key for row in reading.rows]
    said = {drop.key for drop in (*reading.drops, *reading.remarks)}
    assert len(set(rows)) == len(rows)
    assert {*rows, *said} == set(names)


def test_a_part_keeps_its_facts_in_the_cache(tmp_path):
    part = audited(tmp_path, tar_of({"ü": web_tars.sample(0), "b": {"jpg": b"x", "txt": b"x"}}))
    table = webdataset.encode(part)
    assert json.loads(table.schema.metadata[webdataset.FACTS])["shard"]["samples"] == 1
    assert place.facts(str(tmp_path / "0.tar")).bytes == part.shard.bytes


def test_texts_are_known_in_capitals_and_without_a_mark_of_the_byte_order(tmp_path):
    texts = [("TXT", "\ufeffa bell"), ("CLS", "\ufeff7"), ("JSON", '{"url": "http://x/1"}')]
    members = [("a.JPG", web_tars.sample(0)["jpg"])]
    members += [(f"a.{extension}", text.encode()) for extension, text in texts]
    found = audited(tmp_path, members_tar(members))
    (row,) = found.rows.to_pylist()
    assert (row["caption"], row["label"]) == ("a bell", "7")
    assert row["source_id"] is not None
    assert not found.drops


@pytest.mark.parametrize("letter", ["\u00a0", "\u202f", "\u3000", "\u200d", "é"])
def test_blanks_and_joiners_of_other_scripts_are_fine_in_keys(tmp_path, letter):
    name = f"a{letter}b"
    assert keys(audited(tmp_path, members_tar(flat({name: web_tars.sample(0)})))) == [name]
