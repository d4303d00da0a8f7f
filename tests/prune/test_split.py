"""Splits against Python sets, their size on disk, and the comparison of two of them."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clipcause.prune import split
from clipcause.prune.split import diff as cli
from tests.artifacts_samples import contents, make_dataset
from tests.repository import Repository

ROWS = st.sets(st.integers(0, 2**32 - 1) | st.integers(0, 300), max_size=200)


def of(rows):
    return split.from_rows(np.array(sorted(rows), np.int64))


@given(ROWS, ROWS)
def test_operations_are_those_of_sets(a, b):
    x, y = of(a), of(b)
    assert split.union(x, y).rows.tolist() == sorted(a | b)
    assert split.intersection(x, y).rows.tolist() == sorted(a & b)
    assert split.difference(x, y).rows.tolist() == sorted(a - b)
    expected = len(a & b) / len(a | b) if a | b else 1.0
    assert split.jaccard(x, y) == expected == split.jaccard(y, x)
    assert x.rows.tolist() == sorted(a)
    assert x.rows.dtype == np.int64
    assert len(x) == len(a)


@given(ROWS, st.integers(0, 2**32 - 1) | st.integers(0, 300), st.integers(0, 300))
def test_within_is_the_mask_of_some_rows(rows, start, count):
    stop = start + count
    expected = [row in rows for row in range(start, stop)]
    assert of(rows).within(start, stop).tolist() == expected


def test_within_takes_no_range_backwards():
    for start, stop in ((3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="no range of pool rows"):
            of({1}).within(start, stop)


@given(st.lists(st.sampled_from(["cat", "dog", "owl", None]), min_size=1, max_size=50), st.data())
def test_class_change_counts_labels(labels, data):
    rows = st.sets(st.integers(0, len(labels) - 1))
    a, b = data.draw(rows), data.draw(rows)
    size = data.draw(st.integers(1, 60))
    column = pa.array(labels, pa.string())
    blocks = [(start, column.slice(start, size)) for start in range(0, len(labels), size)]
    changed = split.class_change(of(a), of(b), blocks)
    expected = {
        name: counts
        for name in ("cat", "dog", "owl")
        if len(set(counts := tuple(sum(labels[r] == name for r in s) for s in (a, b)))) == 2
    }
    assert changed == expected
    sizes = [abs(after - before) for before, after in changed.values()]
    assert sizes == sorted(sizes, reverse=True)


def test_a_row_without_a_place_among_the_labels():
    labels = [(0, pa.array(["cat", "dog"]))]
    with pytest.raises(ValueError, match=r"row 2 of the split has no label \(2 rows\)"):
        split.class_change(of({0}), of({2}), labels)


SHAPES = {
    "random": lambda noise: noise < 0.5,
    "dense": lambda noise: noise < 0.9,
    "sparse": lambda noise: noise < 0.02,
    "very sparse": lambda noise: noise < 1e-5,
    "about 4,096 of 65,536": lambda noise: noise < 1 / 16,
    "alternating": lambda noise: np.arange(len(noise)) % 2 == 0,
    "runs of three": lambda noise: np.arange(len(noise)) % 4 > 0,
    "long runs": lambda noise: np.arange(len(noise)) // 50_000 % 3 == 1,
    "some runs": lambda noise: np.repeat(noise[::100] < 0.3, 100)[: len(noise)],
    "all": lambda noise: noise < 2,
    "none": lambda noise: noise > 2,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_however_the_rows_were_found_the_bytes_are_the_same(tmp_path, shape):
    mask = SHAPES[shape](np.random.default_rng(0).random(700_123, np.float32))
    rows = np.flatnonzero(mask)
    found = split.from_mask(mask)
    assert found.rows.tolist() == rows.tolist()
    split.write(tmp_path / "rows", rows)
    split.write(tmp_path / "mask", found)
    # what operations leave may hold runs, arrays and bits in other places than new bitmaps do
    everything = split.everything(len(mask))
    rest = split.difference(everything, found)
    rest.bitmap.run_optimize()
    split.write(tmp_path / "operations", split.difference(everything, rest))
    split.write(tmp_path / "again", split.read(tmp_path / "rows"))
    for other in ("mask", "operations", "again"):
        assert contents(tmp_path / other) == contents(tmp_path / "rows"), other
    np.testing.assert_array_equal(found.mask(len(mask)), mask)


@given(hnp.arrays(bool, st.integers(0, 300)))
def test_a_mask_is_the_set_of_its_true_rows(mask):
    found = split.from_mask(mask)
    assert found.rows.tolist() == np.flatnonzero(mask).tolist()
    assert found.mask(len(mask)).tolist() == mask.tolist()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_any_integer_array_in_any_order(tmp_path, dtype):
    split.write(tmp_path / "s", np.array([3, 100, 0, 7], dtype))
    found = split.read(tmp_path / "s")
    assert found.rows.tolist() == [0, 3, 7, 100]
    assert found.card == {"kept": 4}


def test_order_of_rows_does_not_change_the_bytes(tmp_path):
    rows = np.random.default_rng(0).permutation(200_000)[:50_000]
    split.write(tmp_path / "a", rows, card={"pool": "p", "rule": "none"})
    split.write(tmp_path / "b", np.sort(rows).astype(np.uint32), card={"rule": "none", "pool": "p"})
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([1, 2, 1, 2], "2 rows come twice, the first is 1"),
        ([4, -1], "row -1 is negative"),
        ([2**32], f"row {2**32} does not fit"),
        ([0.0, 1.0], "rows are float64"),
        ([True, False], "rows are bool"),
        ([[1, 2]], r"of shape \(1, 2\)"),
    ],
)
def test_rows_that_are_no_split(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        split.write(tmp_path / "s", np.array(rows))
    assert list(tmp_path.iterdir()) == []


def test_the_largest_row_and_the_empty_split(tmp_path):
    split.write(tmp_path / "s", np.array([2**32 - 1], np.uint64))
    assert split.read(tmp_path / "s").rows.tolist() == [2**32 - 1]
    split.write(tmp_path / "t", split.union(split.read(tmp_path / "s"), of({3})))
    assert split.read(tmp_path / "t").rows.tolist() == [3, 2**32 - 1]
    split.write(tmp_path / "e", np.array([]))
    assert split.read(tmp_path / "e").rows.tolist() == []
    assert split.read(tmp_path / "e").mask(3).tolist() == [False] * 3


def test_a_card_that_does_not_fit_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="card says 3 rows kept, the split has 2"):
        split.write(tmp_path / "s", np.arange(2), card={"kept": 3})
    with pytest.raises(ValueError, match="row 9 is not among the 5 rows of the pool"):
        split.write(tmp_path / "s", np.array([9]), card={"pool_rows": 5})
    with pytest.raises(ValueError, match="row 9 of the split is not among 5 pool rows"):
        of({9}).mask(5)
    split.write(tmp_path / "a", np.arange(2))
    split.write(tmp_path / "b", np.arange(3))
    (tmp_path / "a" / "card.json").write_bytes((tmp_path / "b" / "card.json").read_bytes())
    with pytest.raises(ValueError, match="card says 3 rows kept, the split has 2"):
        split.read(tmp_path / "a")


def test_damaged_and_missing_files_are_named(tmp_path):
    split.write(tmp_path / "s", np.arange(0, 1000, 3))
    path = tmp_path / "s" / "rows.roaring"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match=r"rows\.roaring: damaged"):
        split.read(tmp_path / "s")
    path.unlink()
    with pytest.raises(FileNotFoundError, match="make the split first"):
        split.read(tmp_path / "s")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_row_costs_at_most_a_bit(tmp_path, shape):
    count = 4_000_000
    mask = SHAPES[shape](np.random.default_rng(0).random(count, np.float32))
    split.write(tmp_path / "s", split.from_mask(mask))
    assert (tmp_path / "s" / "rows.roaring").stat().st_size * 8 <= count * 1.01


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A repository root with a labelled pool of six rows and two splits of it."""
    monkeypatch.chdir(tmp_path)
    labels = ["cat", "cat", "cat", "dog", "dog", None]
    pool = make_dataset(Path("data/pool"), labels=labels).sha256
    split.write(Path("splits/full/pool"), np.arange(6), card={"pool": pool})
    split.write(Path("splits/hull-sketch/pool"), np.array([2, 3, 4, 5]), card={"pool": pool})
    return tmp_path


def test_diff_says_what_changed(house, capsys):
    line = cli.main("full", "hull-sketch")
    assert line == "0 rows added, 2 removed, Jaccard 0.6667"
    assert capsys.readouterr().out == (
        "A = full\nB = hull-sketch\n\n"
        "rows in A       6\n"
        "rows in B       4\n"
        "added           0\n"
        "removed         2\n"
        "Jaccard    0.6667\n"
        "\n"
        "class  in A  in B  change\n"
        "cat       3     1      -2\n"
    )


def test_diff_of_unknown_names_gives_the_nearest(house):
    with pytest.raises(ValueError, match="unknown split 'hull-scetch'; did you mean 'hull-sketch'"):
        cli.main("full", "hull-scetch")
    with pytest.raises(ValueError, match="expected the name of a split"):
        cli.main("full", "HEAD:")


def test_splits_of_two_pools_are_not_compared(house):
    split.write(Path("splits/other/pool"), np.arange(3), card={"pool": "0" * 64})
    with pytest.raises(ValueError, match=r"full and other are not comparable: .* and 0{12}…\)"):
        cli.main("full", "other")


def test_classes_of_another_pool_are_not_counted(house, capsys):
    make_dataset(Path("data/pool"), labels=["cat", "dog"])
    cli.main("full", "hull-sketch")
    assert "not compared, data/pool/manifest.parquet is not the splits' pool" in (
        capsys.readouterr().out
    )


def test_diff_reads_revisions_through_dvc(house):
    """One split in git, one in the DVC cache, both changed since: the workspace is not touched."""
    here = Repository(Path.cwd(), PYTHONPATH=str(Path(cli.__file__).parents[3]))
    here.init()
    shutil.move("splits/full/pool", "splits/moved")
    shutil.rmtree("splits/full")
    shutil.move("splits/moved", "splits/full")  # where splits lay once
    here.dvc("add", "-q", "splits/hull-sketch/pool")
    # of a graph that was not run since
    Path("dvc.yaml").write_text("stages: {never: {cmd: x, outs: [splits/never/pool]}}")
    here.run("git", "add", "-A", "splits", ".dvc", "dvc.yaml")
    here.run("git", "commit", "-q", "-m", "first")
    pool = split.read(Path("splits/full")).card["pool"]
    split.write(Path("splits/hull-sketch/pool"), np.array([0, 5]), card={"pool": pool})
    split.write(Path("splits/full/pool"), np.arange(2), card={"pool": pool})

    assert cli.load("HEAD:full").rows.tolist() == list(range(6))
    assert cli.load("main:hull-sketch").rows.tolist() == [2, 3, 4, 5]
    assert cli.load("hull-sketch").rows.tolist() == [0, 5]
    with pytest.raises(ValueError, match="unknown split 'hull-sketsh'; did you mean 'hull-sketch'"):
        cli.load("HEAD:hull-sketsh")
    with pytest.raises(ValueError, match=r"HEAD:splits/never/pool: .* dvc\.lock records no such"):
        cli.load("HEAD:never")
    with pytest.raises(ValueError, match="nowhere:splits/full/pool: "):
        cli.load("nowhere:full")
    for path in Path(".dvc/cache/files/md5").rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(FileNotFoundError, match="not in the DVC cache"):
        cli.load("HEAD:hull-sketch")

    said = here.python("clipcause", "diff", "HEAD:full", "full")
    last = "diff: 0 rows added, 4 removed, Jaccard 0.3333"
    assert said.splitlines()[-1].startswith(last)


def test_folders_may_be_text_as_in_a_notebook(tmp_path):
    split.write(str(tmp_path / "mine"), np.array([3, 1]))
    assert split.read(str(tmp_path / "mine")).rows.tolist() == [1, 3]
