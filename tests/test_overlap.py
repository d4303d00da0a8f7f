"""Link rot: which rows of two manifests are the same samples, and a split carried over."""

import dataclasses
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipcause.config.datasets import Limits
from clipcause.data import dataset, in_place, manifest, overlap
from clipcause.data.dataset import Sample
from clipcause.data.overlap import commands
from clipcause.data.shards import Shard
from clipcause.data.sources import webdataset
from clipcause.data.sources.members import Texts
from clipcause.prune import split
from tests import web_tars
from tests.real_images import SIDE, drawings, encoded

IMAGES = [encoded(pixels, "PNG") for _, pixels in drawings(12)]
Ids = tuple[str | None, str | None]  # source_id and uid
AGAIN = [encoded(pixels, "JPEG") for _, pixels in drawings(12)]  # the same, encoded again


def sample(number: int, *, image: bytes | None = None, caption: str = "", label=None) -> Sample:
    return Sample(
        key=f"{number:05d}",
        image=IMAGES[number % 12] if image is None else image,
        extension="png",
        caption=caption or drawings(12)[number % 12][0],
        label=label,
        width=SIDE,
        height=SIDE,
        source=f"https://example.org/{number}.png",
        published=True,
    )


def made(folder: Path, samples: list[Sample], shard_size: int = 4) -> manifest.Manifest:
    numbered = [dataclasses.replace(one, key=f"{row:05d}") for row, one in enumerate(samples)]
    dataset.write(folder, numbered, shard_size=shard_size, max_drop_fraction=0.0)
    return manifest.read(folder, shards=False)


@pytest.fixture
def days(tmp_path):
    """A pool, and what was left of it on another day: in another order, with changes."""
    first = [sample(n, label="cat" if n < 4 else "dog" if n < 8 else None) for n in range(12)]
    second = [
        sample(11),
        sample(3, image=AGAIN[3]),  # encoded again
        sample(20, image=IMAGES[5]),  # moved to another URL
        sample(0),
        sample(7, caption="another caption"),  # the same image and URL
        sample(21, image=b"new", caption="new"),
        sample(9),
    ]
    return made(tmp_path / "a", first), made(tmp_path / "b", second, 3)


def test_source_id_comes_first_and_uid_second(days, tmp_path):
    found = overlap.match(*days, tmp_path / "scratch")
    expected = {11: 0, 3: 1, 5: 2, 0: 3, 7: 4, 9: 6}
    partner = [expected.get(row, overlap.NONE) for row in range(12)]
    assert found.partner_N.tolist() == partner
    assert found.counts == {
        "rows_a": 12, "rows_b": 7, "by_source_id": 4, "by_uid": 2, "same_bytes": 3,
        "ambiguous_source_id": 0, "ambiguous_uid": 0, "only_in_a": 6, "only_in_b": 1,
        "no_source_id_a": 0, "no_source_id_b": 0,
    }  # fmt: skip
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_split_goes_over_with_a_report_of_what_is_lost(days, tmp_path):
    a, b = days
    folder = tmp_path / "splits/core"
    split.write(folder, [0, 1, 2, 3, 5, 8, 11], card={"pool": a.sha256, "rule": "core"})
    out = tmp_path / "splits/core-b"
    command = [sys.executable, "-m", "clipcause"]
    told = subprocess.run(
        [*command, "project", folder, a.folder, b.folder / "manifest.parquet", out],
        capture_output=True, text=True, check=True, env={"CLIPCAUSE_SHARDS": str(tmp_path / "s")},
    )  # fmt: skip
    assert "4 of 7 rows found in" in told.stdout
    assert "3 lost (42.86%)" in told.stdout
    projected = split.read_for(out, b.sha256)
    assert projected.rows.tolist() == [0, 1, 2, 3]
    card = projected.card["projected"]
    assert (card["rows"], card["lost"], card["lost_share"]) == (7, 3, 0.428571)
    assert card["lost_share_of_all_rows"] == 0.5
    assert card["per_class"] == {
        "cat": {"rows": 4, "lost": 2, "lost_share": 0.5},
        "dog": {"rows": 1, "lost": 0, "lost_share": 0.0},
    }
    assert card["card"]["rule"] == "core"
    assert card["pool"] == a.sha256
    assert projected.card["pool_rows"] == 7
    shown = subprocess.run(
        [*command, "overlap", a.folder, b.folder], capture_output=True, text=True, check=True,
        env={"CLIPCAUSE_SHARDS": str(tmp_path / "s")},
    )  # fmt: skip
    lines = dict(line.split()[:2] for line in shown.stdout.splitlines()[:9])
    assert (lines["by_source_id"], lines["by_uid"], lines["only_in_b"]) == ("4", "2", "1")
    assert "6 rows are in both" in shown.stdout


def test_the_split_of_another_pool(days, tmp_path):
    a, b = days
    split.write(tmp_path / "s", [0], card={"pool": b.sha256})
    with pytest.raises(ValueError, match="made from pool manifest"):
        commands.write_projection(
            str(tmp_path / "s"), str(a.folder), str(b.folder), str(tmp_path / "out")
        )


def test_equal_ids_match_in_row_order(tmp_path):
    # the same URL and caption three times in A and twice in B; one image under two URLs in A
    a = made(tmp_path / "a", [sample(1), sample(2), sample(1), sample(1), sample(5), sample(17)])
    b = made(tmp_path / "b", [sample(8), sample(1), sample(30, image=IMAGES[5]), sample(1)], 1)
    found = overlap.match(a, b, tmp_path)
    none = overlap.NONE
    assert found.partner_N.tolist() == [1, none, 3, none, 2, none]
    assert found.counts["ambiguous_source_id"] == 2
    assert found.counts["ambiguous_uid"] == 1
    assert (found.counts["only_in_a"], found.counts["only_in_b"]) == (3, 1)


def by_hand(a: list[Ids], b: list[Ids]) -> list[int]:
    """The rule, row by row: k-th of an id with the k-th, source_id first."""
    partner = [overlap.NONE] * len(a)
    for column in (0, 1):
        waiting = defaultdict(list)
        for row, ids in enumerate(b):
            if row not in partner and ids[column] is not None:
                waiting[ids[column]].append(row)
        for row, ids in enumerate(a):
            if partner[row] == overlap.NONE and ids[column] is not None and waiting[ids[column]]:
                partner[row] = waiting[ids[column]].pop(0)
    return partner


class Rows(manifest.Manifest):
    """A manifest of ids alone, which no file has."""

    def shard_table(self, position: int, columns: list[str] | None = None) -> pa.Table:
        part = self.__dict__["ids"][self.starts[position] : self.starts[position + 1]]
        place = {"source_id": 0, "uid": 1}
        return pa.table(
            {
                name: pa.array([ids[place[name]] for ids in part], pa.string())
                for name in columns or place
            }
        )


def rows(ids: list[Ids], size: int) -> Rows:
    """A manifest of these ids in shards of ``size`` rows."""
    sizes = [min(size, len(ids) - start) for start in range(0, len(ids), size)]
    shards = tuple(Shard(f"{place}", "", 0, count) for place, count in enumerate(sizes))
    found = Rows(Path("made"), "", shards)
    found.__dict__["ids"] = ids
    return found


# few ids, some of which differ in one half alone, so that every tie and every collision comes up
HALVES = ("0" * 16, "f" * 16, "0123456789abcdef")
IDS = st.sampled_from([first + second for first in HALVES for second in HALVES])
SIDE_ROWS = st.lists(st.tuples(st.none() | IDS, st.none() | IDS), max_size=24)


@settings(deadline=None, max_examples=200)
@given(a=SIDE_ROWS, b=SIDE_ROWS, size=st.integers(1, 7))
def test_matches_are_those_of_the_rule(tmp_path_factory, a, b, size):
    scratch = tmp_path_factory.getbasetemp()
    found = overlap.match(rows(a, size), rows(b, 3), scratch)
    expected = by_hand(a, b)
    assert found.partner_N.tolist() == expected
    pairs = [(row, other) for row, other in enumerate(expected) if other != overlap.NONE]
    assert len({other for _, other in pairs}) == len(pairs)  # every row has at most one partner
    counts = found.counts
    by_source = sum(a[row][0] == b[other][0] is not None for row, other in pairs)
    assert counts["by_source_id"] == by_source
    assert counts["by_source_id"] + counts["by_uid"] == len(pairs)
    assert counts["only_in_a"] == len(a) - len(pairs)
    assert counts["only_in_b"] == len(b) - len(pairs)
    without = [sum(source is None for source, _ in side) for side in (a, b)]
    assert [counts["no_source_id_a"], counts["no_source_id_b"]] == without


@settings(deadline=None)
@given(a=SIDE_ROWS, size=st.integers(1, 7))
def test_a_manifest_is_all_of_itself(tmp_path_factory, a, size):
    scratch = tmp_path_factory.getbasetemp()
    found = overlap.match(rows(a, size), rows(a, size + 1), scratch)
    known = [any(ids) for ids in a]
    assert (found.partner_N != overlap.NONE).tolist() == known
    if all(source is not None for source, _ in a):
        assert found.partner_N.tolist() == list(range(len(a)))
    assert found.counts["by_source_id"] == sum(source is not None for source, _ in a)


def test_ids_that_differ_in_the_lowest_bit_are_two(tmp_path):
    """A floating-point number of 128 bits would not tell them apart."""
    for last in (0, 2**64, 2**127, 2**128 - 2):
        first, second = (f"{last + bit:032x}" for bit in (0, 1))
        by_source: list[Ids] = [(first, None), (second, None)]
        by_uid: list[Ids] = [(None, first), (None, second)]
        for ids in (by_source, by_uid):
            found = overlap.match(rows(ids, 1), rows(ids[::-1], 1), tmp_path)
            assert found.partner_N.tolist() == [1, 0]
            found = overlap.match(rows(ids[:1], 1), rows(ids[1:], 1), tmp_path)
            assert found.partner_N.tolist() == [overlap.NONE]


def test_more_rows_than_memory_has_room_for(tmp_path, monkeypatch):
    """The join spills, and leaves nothing behind; the same partners as in memory."""
    monkeypatch.setattr(overlap, "cores", lambda: 2)  # every thread holds some
    count = 600_000
    number = np.random.default_rng(0).permutation(count)
    a: list[Ids] = [(f"{n // 2:032x}" if n < 1000 else f"{n:032x}", None) for n in range(count)]
    b = [a[n] for n in number.tolist()]
    sides = rows(a, 100_000), rows(b, 100_000)
    found = overlap.match(*sides, tmp_path / "spilled", 32 << 20)
    assert found.counts["by_source_id"] == count
    assert found.counts["ambiguous_source_id"] == 1000
    assert np.array_equal(found.partner_N, overlap.match(*sides, tmp_path).partner_N)
    alone = np.flatnonzero(number >= 1000)
    assert np.array_equal(found.partner_N[number[alone]], alone)
    assert list((tmp_path / "spilled").iterdir()) == []


def test_shards_and_keys_of_one_name_are_no_match(tmp_path):
    """Every pool has a 00000.tar with a sample 000000000."""
    pools = []
    for name, start in (("x", 0), ("y", 4)):
        content = {f"{n}": web_tars.sample(start + n, json=None) for n in range(4)}
        where = web_tars.put(str(tmp_path / name), {"0.tar": web_tars.tar_of(content)})
        (item,) = webdataset.tars(where, "*.tar")
        part = webdataset.read_tar(webdataset.Audit(where, Limits(), Texts()), item)
        in_place.write(tmp_path / f"pool-{name}", where, [part], max_drop_fraction=0.0)
        pools.append(manifest.read(tmp_path / f"pool-{name}"))
    a, b = pools
    counts = overlap.match(a, b, tmp_path / "scratch").counts
    assert (counts["by_source_id"], counts["by_uid"]) == (0, 0)
    assert (counts["no_source_id_a"], counts["no_source_id_b"]) == (4, 4)
    same = overlap.match(a, a, tmp_path / "scratch").counts
    assert (same["by_source_id"], same["by_uid"]) == (0, 4)


@pytest.mark.parametrize("bad", ["xyz", "0" * 31, "0" * 33, "g" * 32, "0" * 30 + "é"])
def test_an_id_that_is_none(tmp_path, bad):
    for column in ([bad], ["0" * 32, bad]):
        with pytest.raises(ValueError, match="an id is not 32 hexadecimal digits"):
            overlap.numbers(pa.chunked_array([column]), "here")


def test_ids_are_numbers_whatever_the_chunks():
    ids = [f"{n:032x}" for n in (1, 2**64, 2**128 - 1)]
    whole = pa.chunked_array([["0" * 32, *ids]])
    for column in (whole[1:], pa.chunked_array([ids[:1], [], ids[1:]])):
        found = overlap.numbers(column, "here")
        assert found.tolist() == [[0, 1], [1, 0], [2**64 - 1, 2**64 - 1]]
    assert overlap.numbers(pa.chunked_array([pa.array([], pa.string())]), "here").shape == (0, 2)
    assert np.array_equal(overlap.numbers(whole, "x")[0], [0, 0])
