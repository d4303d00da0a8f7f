"""A target is the old one or the new one, complete, whatever happens to its writer."""

import json
import math
import os
import signal
import subprocess
import sys
import textwrap

import pyarrow as pa
import pytest

from clipcause.runtime import atomic
from tests.artifacts_samples import contents


def test_a_file_appears_complete_and_alone(tmp_path):
    target = tmp_path / "deep" / "file.txt"
    with atomic.file(target) as temporary:
        temporary.write_text("new")
        assert temporary.parent == target.parent
        assert not target.exists()
    assert contents(target.parent) == {"file.txt": b"new"}


def test_a_folder_replaces_the_old_one_entirely(tmp_path):
    target = tmp_path / "folder"
    for name in ("old", "new"):
        with atomic.folder(target) as out:
            (out / "sub").mkdir()
            (out / "sub" / name).write_text(name)
    assert contents(tmp_path) == {"folder/sub/new": b"new"}


@pytest.mark.parametrize("writer", [atomic.file, atomic.folder])
def test_a_writer_that_raises_leaves_the_old_target_and_nothing_else(tmp_path, writer):
    target = tmp_path / "target"
    if writer is atomic.file:
        target.write_text("old")
    else:
        target.mkdir()
        (target / "file").write_text("old")
    before = contents(tmp_path)

    def fail():
        with writer(target) as out:
            (out if writer is atomic.file else out / "file").write_text("half")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_killed_writer_leaves_the_old_target_and_the_next_writer_cleans_up(tmp_path, kind):
    target = tmp_path / "target"
    path = target if kind == "file" else target / "file"
    path.parent.mkdir(exist_ok=True)
    path.write_text("old")
    script = f"""
        import time
        from pathlib import Path
        from clipcause.runtime import atomic
        with atomic.{kind}(Path({str(target)!r})) as out:
            ({"out" if kind == "file" else "out / 'file'"}).write_text("half")
            print("writing", flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        # a living writer's temporary is not touched by another writer of the same target
        living = {entry.name for entry in tmp_path.iterdir()} - {"target"}
        with pytest.raises(RuntimeError), getattr(atomic, kind)(target):
            raise RuntimeError
        assert {entry.name for entry in tmp_path.iterdir()} - {"target"} == living
        assert len(living) == 1
        os.kill(process.pid, signal.SIGKILL)
    assert path.read_text() == "old"

    with getattr(atomic, kind)(target) as out:
        (out if kind == "file" else out / "file").write_text("new")
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["target"]


def test_a_name_with_pattern_letters_is_taken_literally(tmp_path):
    with atomic.file(tmp_path / "a[1]*.txt") as out:
        out.write_text("x")
    assert contents(tmp_path) == {"a[1]*.txt": b"x"}


def test_json_does_not_depend_on_the_order_of_keys(tmp_path):
    atomic.write_json(tmp_path / "a.json", {"b": 1, "a": {"d": 2, "c": "ü"}})
    atomic.write_json(tmp_path / "b.json", {"a": {"c": "ü", "d": 2}, "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": {"c": "ü", "d": 2}, "b": 1}


def test_json_with_nan_is_an_error_and_writes_nothing(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic.write_json(tmp_path / "a.json", {"a": math.nan})
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"{")
    with pytest.raises(ValueError, match=r"file: not valid JSON"):
        atomic.read_json(path)
    with pytest.raises(ValueError, match=r"file: not a readable Parquet file"):
        atomic.open_parquet(path)
    with pytest.raises(FileNotFoundError, match=r"missing: not found"):
        atomic.read_json(tmp_path / "missing")


def test_a_table_with_other_columns_is_an_error(tmp_path):
    atomic.write_table(tmp_path / "t.parquet", pa.table({"row": pa.array([1], pa.int32())}))
    with pytest.raises(ValueError, match=r"columns are \(row int32\), expected \(row int64\)"):
        atomic.read_parquet(tmp_path / "t.parquet", pa.schema([("row", pa.int64())]))
