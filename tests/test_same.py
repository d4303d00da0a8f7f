"""The comparison of two runs: each kind of file, the table of what may differ, the command."""

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
import yaml
from pyroaring import BitMap

from benchmarks import same, same_rules
from benchmarks.same_files import difference, facts
from benchmarks.same_rules import Rule
from benchmarks.same_trees import compare, listing, report

ROOT = Path(__file__).parents[1]


def parquet(path: Path, **columns) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def shard(path: Path, members: list[tuple[str, bytes]], mtime: int = 0) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size, header.mtime = len(content), mtime
            tar.addfile(header, io.BytesIO(content))


def study(folder: Path) -> Path:
    """A run of three outputs, metrics and a report."""
    parquet(folder / "similarity/clip/pool.parquet", max_sim=[0.5, 0.25], nearest=[1, 0])
    (folder / "data/pool").mkdir(parents=True)
    shard(folder / "data/pool/00000.tar", [("a.png", b"A"), ("a.txt", b"one"), ("b.png", b"B")])
    for name, content in {
        "models/encoder/card.json": {"fingerprint": "f", "training": {"code": "1", "seed": 0}},
        "metrics/gap/core.json": {"val": {"mean": 0.5}},
    }.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(json.dumps(content))
    (folder / "report").mkdir()
    (folder / "report/table.csv").write_text("split,top1\nfull,0.7\ncore,0.6\n")
    outs = ["similarity/clip", "data/pool", "models/encoder", "metrics/gap/core.json"]
    lock = {"stages": {name: {"cmd": "x", "outs": [{"path": name}]} for name in outs}}
    (folder / "dvc.lock").write_text(yaml.safe_dump(lock))
    return folder


@pytest.fixture
def runs(tmp_path):
    return study(tmp_path / "old"), study(tmp_path / "new")


def compared(runs, *rules: Rule):
    return compare(listing(runs[0]), listing(runs[1]), rules)


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_equal_runs(runs):
    found = compared(runs)
    assert found.holds
    assert found.same == {"similarity": 1, "data": 1, "models": 1, "metrics": 1, "report": 1}
    assert "same bytes: 5 files" in report(found, [])


def test_one_float_of_a_table(runs):
    path = "similarity/clip/pool.parquet"
    parquet(runs[1] / path, max_sim=[0.5, np.nextafter(0.25, 1)], nearest=[1, 0])
    found = compared(runs)
    assert found.differs == {
        path: ["[max_sim] [1]: 0.25 became 0.25000000000000006 (1 of 2 differ)"]
    }
    assert not found.holds


def test_a_column_is_renamed_and_one_is_added(runs):
    path = "similarity/clip/pool.parquet"
    parquet(runs[1] / path, highest=[0.5, 0.25], nearest=[1, 0], uid=["a", "b"])
    assert compared(runs).differs[path] == [
        "[max_sim] only in the old one",
        "[highest] only in the new one",
        "[uid] only in the new one",
    ]
    name = Rule("similarity/{encoder}/pool.parquet", "a name", key="max_sim", to="highest")
    added = Rule("similarity/**", "an index", key="uid", new=True)
    found = compared(runs, name, added)
    assert found.holds
    assert found.explained == {name: [f"{path} [max_sim]"], added: [f"{path} [uid]"]}
    # a renamed column is still compared
    parquet(runs[1] / path, highest=[0.5, 0.75], nearest=[1, 0], uid=["a", "b"])
    differs = compared(runs, name, added).differs[path]
    assert differs == ["[max_sim -> highest] [1]: 0.25 became 0.75 (1 of 2 differ)"]


def test_the_type_of_a_column_and_of_a_number(runs):
    path = "similarity/clip/pool.parquet"
    parquet(runs[1] / path, max_sim=[0.5, 0.25], nearest=pa.array([1, 0], pa.int32()))
    rewrite(runs[1] / "metrics/gap/core.json", "0.5", "1")
    rewrite(runs[0] / "metrics/gap/core.json", "0.5", "1.0")
    found = compared(runs)
    assert found.differs[path] == ["[nearest] int64 became int32"]
    assert found.differs["metrics/gap/core.json"] == ["[val.mean] 1.0 became 1"]


def test_members_of_a_tar(runs):
    path = runs[1] / "data/pool/00000.tar"
    members = [("a.png", b"A"), ("a.txt", b"one"), ("b.png", b"B")]
    shard(path, members, mtime=1)  # headers may differ
    found = compared(runs)
    assert found.holds
    assert found.rewritten == ["data/pool/00000.tar"]
    shard(path, [members[2], *members[:2]])
    differs = compared(runs).differs["data/pool/00000.tar"]
    assert differs == ["[(order)] [0]: 'a.png' became 'b.png' (3 of 3 differ)"]
    shard(path, [members[0], ("a.txt", b"onf"), members[2]])
    differs = compared(runs).differs["data/pool/00000.tar"]
    assert differs == ["[a.txt] bytes differ from 2 on, of 3 and 3"]
    shard(path, [*members, ("a.png", b"again")])
    assert len(compared(runs).differs["data/pool/00000.tar"]) == 2


def test_files_without_a_counterpart(runs):
    (runs[1] / "report/table.csv").rename(runs[1] / "report/rows.csv")
    found = compared(runs)
    assert (found.only_old, found.only_new) == (["report/table.csv"], ["report/rows.csv"])
    gone, new = Rule("report/table.csv", "why", gone=True), Rule("report/*", "why", new=True)
    assert compared(runs, gone, new).holds
    assert not compared(runs, gone).holds


def test_an_output_that_is_locked_and_not_there(runs):
    (runs[1] / "metrics/gap/core.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"metrics/gap/core.json is in dvc.lock"):
        listing(runs[1])


def test_a_moved_folder_with_a_key_that_went_and_one_renamed(runs):
    source, target = runs[1] / "models/encoder", runs[1] / "models/full-0"
    source.rename(target)
    (target / "card.json").write_text('{"fingerprint": "f", "training": {"seeds": 0}}')
    rewrite(runs[1] / "dvc.lock", "models/encoder", "models/full-0")
    assert compared(runs).only_old == ["models/encoder/card.json"]
    rules = [
        Rule("models/encoder/**", "a run", to="models/full-0/**"),
        Rule("models/*/card.json", "no hash of code", key="training.code", gone=True),
        Rule("models/*/card.json", "a name", key="{section}.seed", to="{section}.seeds"),
        Rule("models/*/card.json", "not needed", key="fingerprint", changes=True),
    ]
    found = compared(runs, *rules)
    assert found.holds
    assert list(found.explained) == [rules[0], rules[1], rules[2]]
    text = report(found, rules)
    assert "lines of the table that nothing needed: 1" in text
    assert "not needed" in text.partition("nothing needed")[2]


def test_a_line_for_one_key_explains_no_other(runs):
    rewrite(runs[1] / "models/encoder/card.json", '"1"', '"2"')
    rewrite(runs[1] / "models/encoder/card.json", ": 0", ": 1")
    rule = Rule("models/**", "code", key="training.code", changes=True)
    found = compared(runs, rule)
    assert found.differs == {"models/encoder/card.json": ["[training.seed] 0 became 1"]}
    assert compared(runs, rule, Rule("models/**", "all of it", changes=True)).holds


def test_words_that_became_others(runs):
    rewrite(runs[1] / "report/table.csv", "core", "kernel")
    rule = Rule("report/*.csv", "a name", key="split", values={"core": "kernel"})
    assert compared(runs, rule).holds
    rewrite(runs[1] / "report/table.csv", "full", "fuller")
    assert not compared(runs, rule).holds


def test_a_name_on_both_sides_is_never_renamed(runs):
    rule = Rule("models/encoder/**", "a run", to="models/full-0/**")
    found = compared(runs, rule)
    assert found.holds
    assert not found.explained


def test_weights_to_the_last_bit(tmp_path):
    one, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    for path, value in ((one, 0.0), (other, -0.0)):
        weights = {"w": np.array([1, value], np.float32), "n": np.array([np.nan], np.float16)}
        path.write_bytes(safetensors.numpy.save(weights))
    old, new = facts(one), facts(other)
    assert old.keys() >= {"w", "n"}
    assert difference(old["n"], new["n"]) is None
    assert difference(old["w"], new["w"]) == "[1]: 0.0 became -0.0 (1 of 2 differ)"


def test_arrays_bitmaps_and_pages(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3), np.float16))
    np.save(tmp_path / "b.npy", np.zeros((3, 2), np.float16))
    old, new = facts(tmp_path / "a.npy"), facts(tmp_path / "b.npy")
    assert difference(old["(array)"], new["(array)"]) == "float16 (2, 3) became float16 (3, 2)"
    (tmp_path / "a.roaring").write_bytes(BitMap([1, 5]).serialize())
    assert facts(tmp_path / "a.roaring") == {"(rows)": [1, 5]}
    (tmp_path / "a.html").write_text(
        "<h2 id=top>Seen <b>−7.7</b> of 1,000</h2><style>p {width: 3px}</style>"
        "<svg><text id=no>4</text></svg><table><tr><td>full<td>70.9 <i>%</i></table>"
    )
    assert facts(tmp_path / "a.html") == {
        "text": ["Seen", "−7.7", "of 1,000", "full", "70.9", "%"],
        "cells": ["full", "70.9 %"],
        "numbers": ["−7.7", "1,000", "70.9"],
        "ids": ["top"],
    }
    (tmp_path / "a.json").write_text("{")
    assert "not readable" in next(iter(facts(tmp_path / "a.json")))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"file": "a", "why": "b", "changs": True}, "did you mean 'changes'"),
        ({"file": "a", "gone": True}, "'why' is missing"),
        ({"file": "a", "why": "b"}, "one of to, gone"),
        ({"file": "a", "why": "b", "gone": True, "new": True}, "one of to, gone"),
        ({"file": "a/*", "why": "b", "to": "b/*/{name}"}, "names what"),
        ({"file": "a", "why": "b", "values": {"x": "y"}}, "values need a key"),
        ("a", "expected"),
    ],
)
def test_a_line_that_is_wrong(tmp_path, line, words):
    (tmp_path / "table.yaml").write_text(
        yaml.safe_dump([{"file": "x", "why": "y", "new": 1}, line])
    )
    with pytest.raises(ValueError, match=rf"line 2.*{words}"):
        same_rules.read(tmp_path / "table.yaml")


def test_the_committed_table_is_read():
    assert len(same_rules.read(same.TABLE)) > 3


def command(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.same", *map(str, words)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip


def test_the_command(runs):
    done = command("--folders", *runs)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("nothing moved\n")
    rewrite(runs[1] / "report/table.csv", "0.7", "0.71")
    done = command("--folders", *runs)
    assert done.returncode == 1
    assert "report/table.csv: [top1] [0]: '0.7' became '0.71'" in done.stdout
    done = command("--folders", runs[0], runs[0].parent)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no dvc.lock" in done.stderr


def test_where_a_study_lies_before_and_after(tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    for path in (before / "presets/tiny.yaml", after / "studies/tiny/params.yaml"):
        path.parent.mkdir(parents=True)
        path.write_text("seed: 0\n")
    assert same.study_folder(before, "tiny") == before
    assert (before / "params.yaml").read_text() == "seed: 0\n"
    assert same.study_folder(after, "tiny") == after / "studies/tiny"
    assert same.study_folder(after, same.DEFAULT) == after
    with pytest.raises(ValueError, match=r"no study 'tny' in .*; there are tiny"):
        same.study_folder(after, "tny")
    assert same.own_study(after, before / "params.yaml") == after / "studies/same"
    assert (after / "studies/same/dvc.yaml").readlink() == Path("../../dvc.yaml")


def test_what_git_holds_of_results_is_not_compared(runs):
    (runs[0] / "metrics/probe").mkdir()
    (runs[0] / "metrics/probe/.gitkeep").touch()
    same.forget(runs[0])
    left = {path.name for top in ("metrics", "report") for path in (runs[0] / top).rglob("*.*")}
    assert left == {".gitkeep"}
    assert not (runs[0] / "dvc.lock").exists()
