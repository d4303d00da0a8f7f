"""The benchmarks' commands work; what they measure is not looked at."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import export, splits, splits_pool
from clipcause.config import layout
from clipcause.prune import split
from tests.repository import Repository

ROOT = Path(__file__).parents[1]


def test_the_gpu_command_on_a_cpu(tmp_path):
    words = ("--device", "cpu", "--small", "--write", tmp_path / "x.md")
    Repository(ROOT, OMP_NUM_THREADS="1").python("benchmarks.gpu", *words)
    table = (tmp_path / "x.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 6
    assert "| equal | equal |" in table
    for words in ("product of", "similarity", "decoded images", "JPEGs", "train tiny"):
        assert sum(words in row for row in rows) >= 1, words
    assert "commit" in table


def test_the_export_command_without_the_resharder(tmp_path):
    words = ("--samples", "24", "--rounds", "1", "--write", tmp_path / "x.md")
    Repository(ROOT, OMP_NUM_THREADS="1").python("benchmarks.export", *words)
    rows = [line for line in (tmp_path / "x.md").read_text().splitlines() if line[:1] == "|"]
    assert [row.split("|")[2].strip() for row in rows[2:]] == ["12 of 24", "48 of 96"]


@pytest.mark.parametrize("change", ["missing", "twice", "picture", "caption", "json"])
def test_a_program_that_writes_other_samples_is_no_rival(change, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "pictures", lambda: [b"one", b"two", b"three"])
    monkeypatch.setattr(export, "DRAWN", 3)
    export.write_tars(tmp_path / "pool", 3)
    expected = dict(export.samples(tmp_path / "pool"))
    export.check(tmp_path / "pool", expected)
    (uid, one), *others = expected.items()
    other = {
        "picture": one._replace(image=""),
        "caption": one._replace(caption=b""),
        "json": one._replace(facts=""),
    }
    if change == "twice":
        (tmp_path / "pool/00001.tar").write_bytes((tmp_path / "pool/00000.tar").read_bytes())
    elif change == "missing":
        expected["another"] = one
    else:
        expected = dict([(uid, other[change]), *others])
    with pytest.raises(ValueError, match=r"samples, [34] are in the subset"):
        export.check(tmp_path / "pool", expected)


def test_decisions_on_a_small_pool(tmp_path, monkeypatch):
    """Uids are listed as DataComp's code reads them, and decisions need nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(splits_pool, "TEXTS", 1000)
    splits_pool.make(25_000)  # three shards
    splits.make(25_000, splits.TESTS[:1])
    for name in splits_pool.CHAINS:
        assert splits_pool.decide(name, 25_000).rows > 0, name
    made = split.read(layout.split("top-0"))
    assert len(made) == 7500
    pool = splits_pool.pool(25_000)
    listed = splits_pool.uids(pool, made)
    texts = pool.table["pool_uid"].take(made.rows).to_pylist()
    pairs = sorted((int(one[:16], 16), int(one[16:], 16)) for one in texts)
    assert listed.tolist() == pairs
    assert listed.dtype == np.dtype("u8,u8")
    assert splits_pool.start_of("pass", times=1).cpu > 0
