"""The rule `given`, and `python -m clipcause subset`: lists of samples in, and out."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clipcause import __main__ as commands
from clipcause.check import graph
from clipcause.config import layout
from clipcause.config.datasets import Limits
from clipcause.data import in_place, manifest
from clipcause.data.sources import webdataset
from clipcause.data.sources.members import Texts
from clipcause.prune import listed, rules, split
from clipcause.runtime import metrics
from stages import prune
from tests import web_tars

SLOTS = {"rule": "given", "base": "all", "of": "none", "with": "none"}
# uids whose order as numbers is not that of the rows; two have one first half, one begins with 0
HIGH = [9, 2**63, 1, 1, 2**64 - 1, 0, 77, 8]
LOW = [1, 0, 2**64 - 1, 5, 3, 12, 2**63, 8]
UIDS = [f"{high:016x}{low:016x}" for high, low in zip(HIGH, LOW, strict=True)]
WANTED = [1, 2, 3, 5]


@pytest.fixture
def house(tmp_path, monkeypatch) -> manifest.Manifest:
    """A pool as DataComp's download has it, two tars of four samples with the same keys, and a
    base without row 3."""
    monkeypatch.chdir(tmp_path)
    samples = {}
    for number, uid in enumerate(UIDS):
        facts = {"uid": uid, "url": f"https://example.org/{number}", "caption": f"thing {number}"}
        samples[number] = web_tars.sample(
            number, json=json.dumps(facts).encode(), txt=f" thing {number}\n".encode()
        )
    tars = {
        f"0000000{part}.tar": web_tars.tar_of(
            {f"{at:09d}": samples[4 * part + at] for at in range(4)}
        )
        for part in range(2)
    }
    where = web_tars.put(str(tmp_path / "tars"), tars)
    parts = [
        webdataset.read_tar(webdataset.Audit(where, Limits(), Texts()), item)
        for item in webdataset.tars(where, "*.tar")
    ]
    in_place.write(layout.dataset("pool"), where, parts, max_drop_fraction=0.0)
    pool = manifest.read(layout.dataset("pool"))
    card = {"pool": pool.sha256, "pool_rows": len(pool)}
    split.write(layout.split("all"), range(len(pool)), card=card)
    split.write(layout.split("wanted"), WANTED, card=card)
    layout.LISTS.mkdir()
    return pool


def made(file, **changes):
    item = {**SLOTS, "file": file, **changes}
    Path("params.yaml").write_text(yaml.safe_dump({"splits": {"theirs": item}}))
    prune.main("theirs")
    return split.read(layout.split("theirs"))


def datacomps(uids):
    """A subset file as DataComp's README makes it."""
    pairs = np.array([(int(uid[:16], 16), int(uid[16:32], 16)) for uid in uids], np.dtype("u8,u8"))
    pairs.sort()
    return pairs


def text(lines):
    return "\ufeff" + "\r\n".join(map(str, lines)) + "\r\n\r\n"


def url(row):
    return f"https://example.org/{row}"


def lists() -> dict[str, tuple]:
    """Lists of the wanted rows in every form, each with two entries that the pool does not have:
    what is written, and what the rule is told."""
    unknown = ["f" * 32, "0" * 31 + "1"]
    uids = [UIDS[row] for row in WANTED] + unknown
    addresses = [url(row) for row in WANTED] + ["http://x", "http://y"]
    captions = [f" thing {row}" for row in WANTED] + ["thing 1", None]
    return {
        "datacomp.npy": (datacomps(uids), {}),
        "unsorted.npy": (datacomps(uids)[::-1], {}),
        "uids.txt": (text(uids), {"by": "uid"}),
        "short.txt": (text(one.lstrip("0").upper().rjust(24, "0") for one in uids), {}),
        "uids.parquet": ({"uid": uids, "text": uids}, {}),
        "ids.parquet": ({"id": uids}, {"column": "id"}),
        "rows.npy": (np.array([*WANTED, 8, -1]), {"by": "row"}),
        "rows.txt": (text([5, 1, 2, 3, 99, -7]), {"by": "row"}),
        "rows.parquet": ({"row": [*WANTED, 8, 9]}, {"by": "row"}),
        "urls.txt": (text(addresses), {"by": "url"}),
        "urls.parquet": ({"url": addresses}, {"by": "url"}),
        "pairs.parquet": ({"URL": addresses, "TEXT": captions}, {"by": "url", "column": "URL"}),
    }


def put(name, content):
    path = layout.LISTS / name
    if isinstance(content, str):
        path.write_bytes(content.encode())
    elif isinstance(content, dict):
        pq.write_table(pa.table(content), path)
    else:
        np.save(path, content)


@pytest.mark.parametrize("name", lists())
def test_a_list_in_every_form(house, name):
    content, told = lists()[name]
    put(name, content)
    found = made(name, **told)
    assert found.rows.tolist() == WANTED
    numbers = metrics.read(layout.metrics("prune", "theirs"))
    # of urls with captions an entry without a caption is none
    entries = 5 if name == "pairs.parquet" else 6
    assert (numbers["entries"], numbers["entries_found"]) == (entries, 4)
    assert (numbers["rows_named"], numbers["kept"]) == (4, 4)
    assert found.card["list"]["sha256"] == listed.digest(layout.LISTS / name)


def test_a_key_names_every_row_that_has_it(house):
    put("keys.txt", text(["000000001", "000000003", "000000009"]))
    assert made("keys.txt", by="key").rows.tolist() == [1, 3, 5, 7]
    numbers = metrics.read(layout.metrics("prune", "theirs"))
    assert (numbers["entries_found"], numbers["rows_named"]) == (2, 4)


def test_a_list_reaches_as_far_as_the_base(house):
    card = {"pool": house.sha256, "pool_rows": len(house)}
    split.write(layout.split("dedup"), [0, 1, 2, 4, 5], card=card)
    put("uids.txt", text(UIDS[row] for row in WANTED))
    assert made("uids.txt", base="dedup").rows.tolist() == [1, 2, 5]


def test_entries_that_come_twice_count_once(house):
    put("uids.npy", datacomps([UIDS[4]] * 3 + [UIDS[0]]))
    assert made("uids.npy").rows.tolist() == [0, 4]
    numbers = metrics.read(layout.metrics("prune", "theirs"))
    assert [numbers[f"entries{end}"] for end in ("", "_distinct", "_found")] == [4, 2, 2]


def test_a_split_that_was_carried_over(house):
    split.write("lists/theirs", [0, 6], card={"pool": house.sha256, "pool_rows": len(house)})
    assert made("theirs").rows.tolist() == [0, 6]
    split.write("lists/other", [0, 6], card={"pool": "0" * 64, "pool_rows": 8})
    with pytest.raises(ValueError, match=r"lists/other: a split of another pool; .* project"):
        made("other")


@pytest.mark.parametrize(
    ("name", "content", "told", "message"),
    [
        ("a.txt", "nobody\n", {}, r"lists/a\.txt: the pool has none of its 1 entries by uid"),
        ("a.txt", "", {"by": "key"}, r"none of its 0 entries by key"),
        ("a.txt", "one\n", {"by": "row"}, r"a\.txt: rows are whole numbers"),
        ("a.npy", np.zeros(3, np.float32), {}, r"a\.npy: float32 of shape \(3,\); an array has"),
        ("a.npy", np.zeros(3, np.int64), {}, r"a\.npy: int64 of shape \(3,\)"),
        ("a.parquet", {"uids": ["x"]}, {}, r"no column 'uid'; did you mean 'uids'\?.*`column`"),
        ("a.parquet", {"uid": [[1]]}, {}, r"column 'uid': "),
        ("a.csv", "x", {}, r"a\.csv: a list is one of \.npy, \.parquet, \.txt, or a"),
    ],
)  # fmt: skip
def test_what_is_no_list_is_named(house, name, content, told, message):
    put(name, content)
    with pytest.raises(ValueError, match=message):
        made(name, **told)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"file": "uid.npy"}, r"theirs\.file: lists: .*'uid\.npy'; did you mean 'uids\.npy'"),
        ({"file": "../uids.npy"}, r"'\.\./uids\.npy' is no name of a file in lists/"),
        ({"file": "/uids.npy"}, r"is no name of a file in lists/; put or link it there"),
        ({}, r"theirs\.file: missing: the name of a list"),
        ({"file": "uids.npy", "by": "uids"}, r"theirs\.by: 'uids' is not valid; did you mean"),
    ],
)  # fmt: skip
def test_wrong_parameters(house, item, message):
    put("uids.npy", datacomps(UIDS))
    Path("params.yaml").write_text(yaml.safe_dump({"splits": {"theirs": {**SLOTS, **item}}}))
    with pytest.raises(ValueError, match=message):
        rules.load("theirs")


def test_the_page_says_what_it_is():
    rule = rules.parse({**SLOTS, "file": "a.npy"}, "splits.theirs")
    assert rule.sentence() == "given: the rows that the list a.npy names by uid"


def test_a_list_that_is_replaced_reruns_the_split():
    stages = graph.read(Path(__file__).parents[2] / "dvc.yaml")
    assert "lists" in stages["prune"]["do"]["deps"]


def subset(*words):
    commands.main(["subset", *words])


def test_a_subset_is_what_datacomps_own_code_makes(house, capsys):
    subset("wanted", "subset.npy")
    assert capsys.readouterr().out == "subset: subset.npy: 4 entries of the 4 rows of wanted\n"
    expected = datacomps([UIDS[row] for row in WANTED])
    found = np.load("subset.npy", mmap_mode="r")
    assert found.dtype == np.dtype("u8,u8") == expected.dtype
    assert found.tolist() == expected.tolist()
    # as the resharder looks for a sample
    for row, uid in enumerate(UIDS):
        key = np.array([divmod(int(uid, 16), 2**64)], np.dtype("u8,u8"))[0]
        count = np.searchsorted(found, key, "right") - np.searchsorted(found, key, "left")
        assert count == (row in WANTED)


def test_a_folder_without_a_split_is_not_offered(house, capsys):
    (layout.SPLITS / "wantid").mkdir()
    with pytest.raises(SystemExit):
        subset("wantid", "subset.npy")
    assert "unknown split 'wantid'; did you mean 'wanted'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "by"),
    [(f"a.{end}", by) for end in ("txt", "parquet") for by in ("uid", "row", "url")]
    + [("a.npy", "uid"), ("a.npy", "row")],
)
def test_a_subset_comes_back(house, file, by):
    subset("splits/wanted/pool", f"lists/{file}", by)
    assert made(file, by=by).rows.tolist() == WANTED


def test_texts_and_tables_of_a_subset(house):
    subset("wanted", "a.txt")
    assert Path("a.txt").read_text().splitlines() == sorted(UIDS[row] for row in WANTED)
    subset("wanted", "b.txt", "url")
    assert Path("b.txt").read_text().splitlines() == [url(row) for row in WANTED]
    subset("wanted", "c.txt", "key")
    assert Path("c.txt").read_text().split() == [f"{row % 4:09d}" for row in WANTED]
    subset("wanted", "d.parquet")
    assert pq.read_table("d.parquet").to_pylist() == [
        {"row": row, "uid": UIDS[row], "shard": f"0000000{row // 4}.tar", "key": f"{row % 4:09d}"}
        for row in WANTED
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("wantd", "a.npy"), r"'wantd'; did you mean 'wanted'"),
        (("wanted", "a.npz"), r"a\.npz: a list is one of"),
        (("wanted", "a.npy", "key"), r"an array has uids or rows; write keys as \.txt"),
        (("wanted", "a.npy", "keys"), r"'keys'; did you mean 'key'"),
    ],
)
def test_a_wrong_subset_is_told(house, capsys, words, message):
    with pytest.raises(SystemExit):
        subset(*words)
    assert list(Path().glob("a.*")) == []
    assert re.search(message, capsys.readouterr().err)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12),
)
def test_a_number_is_found_among_others_of_its_first_half(entries, asked):
    pairs = listed._pairs(entries)
    at = pairs.at(np.array(asked, np.uint64).reshape(-1, 2))
    assert [tuple(pair) for pair in pairs.pair_K.tolist()] == sorted(set(entries))
    assert [sorted(set(entries))[one] if one >= 0 else None for one in at] == [
        pair if pair in entries else None for pair in asked
    ]
