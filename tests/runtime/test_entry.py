"""How a stage ends: one line, and an exit status."""

import errno
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from clipcause.config import items
from clipcause.runtime import entry

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "numpy", "pyarrow", "pydantic"}


@pytest.fixture
def call(monkeypatch):
    """Run a function as the stage `stages.some`."""

    def run(main, *words):
        spec = SimpleNamespace(name="stages.some")
        monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec)
        monkeypatch.setattr(sys, "argv", ["some.py", *words])
        monkeypatch.setattr(entry.unchanged, "begin", lambda module: None)  # it has no code
        entry.run(main)

    return run


def test_the_last_line_says_what_was_done_and_how_long_it_took(call, capsys):
    call(lambda name: f"3 rows of {name}", "pool")
    said = capsys.readouterr().out
    assert re.fullmatch(r"some pool: 3 rows of pool \(\d+\.\d s\)\n", said)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("data/x: bad"), "some: error: data/x: bad\n"),
        (OSError(errno.ENOSPC, "No space left on device", "shards/a.npy"), "free some space"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
    ],
)
def test_an_expected_failure_is_one_line_and_exit_1(call, capsys, error, line):
    def fail():
        raise error

    with pytest.raises(SystemExit) as stop:
        call(fail)
    assert stop.value.code == 1
    err = capsys.readouterr().err
    assert line in err
    assert err.count("\n") == 1


def test_a_full_disk_under_dvcs_data_bases_is_one_line_too(call, capsys):
    def fill():
        with closing(sqlite3.connect(":memory:")) as base:
            base.execute("pragma max_page_count = 2")
            base.execute("create table some (content)")
            base.execute("insert into some values (zeroblob(100000))")

    with pytest.raises(SystemExit) as stop:
        call(fill)
    assert stop.value.code == 1
    err = capsys.readouterr().err
    assert err.startswith("some: error: a data base of DVC's")
    assert "database or disk is full; free some space" in err
    assert err.count("\n") == 1

    def ask():
        with closing(sqlite3.connect(":memory:")) as base:
            base.execute("select a from nowhere")

    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        call(ask)


def test_a_defect_keeps_its_traceback(call):
    def fail():
        raise KeyError("x")

    with pytest.raises(KeyError):
        call(fail)


def test_a_wrong_number_of_words_is_exit_2(call, capsys):
    with pytest.raises(SystemExit) as stop:
        call(lambda name: name)
    assert stop.value.code == 2
    assert capsys.readouterr().err == "usage: python -m stages.some NAME\n"


def started(*words):
    """How the interpreter ends, what it says, and which modules it imported."""
    command = [sys.executable, "-X", "importtime", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    lines = done.stderr.splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time")}
    said = [line for line in lines if not line.startswith("import time")]
    return done.returncode, done.stdout, said, imported


@pytest.mark.parametrize(
    ("stage", "words", "shown"),
    [("train", [], " NAME"), ("evaluate", ["a", "b"], " NAME"), ("deduplicate", ["a"], "")],
)
def test_the_usage_is_said_before_anything_slow_is_imported(stage, words, shown):
    code, _, said, imported = started("-m", f"stages.{stage}", *words)
    assert code == 2
    assert said == [f"usage: python -m stages.{stage}{shown}"]
    assert "clipcause.runtime.entry" in imported
    assert not HEAVY & imported


def test_a_full_disk_for_temporary_files_is_told_before_anything_is_imported():
    code = """
import runpy, sys, tempfile
def full(): raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")
tempfile.gettempdir = full
sys.argv, sys.orig_argv = ["-m", "full-0"], [sys.executable, "-m", "stages.train", "full-0"]
import stages
"""
    status, _, said, imported = started("-c", code)
    assert status == 1
    (line,) = said
    assert line.startswith("train full-0: error: No usable temporary directory found in ['/tmp']; ")
    assert "TMPDIR" in line
    assert not HEAVY & imported


def test_a_stage_says_what_it_does():
    code, out, _, imported = started("-mstages.similarity", "--help")
    assert code == 0
    assert out.startswith("usage: python -m stages.similarity NAME\n\nsimilarity TEST: how similar")
    assert not HEAVY & imported


def test_other_programs_import_stages_whatever_their_words():
    code, out, _, _ = started("-c", "import stages; print('here')", "a", "b")
    assert (code, out) == (0, "here\n")


@pytest.mark.parametrize(("stage", "words"), [("evaluate", "runs"), ("embed", "datasets")])
def test_an_item_that_is_not_there_is_told_before_anything_slow_is_imported(stage, words):
    code, _, said, imported = started("-m", f"stages.{stage}", "no-such")
    assert code == 1
    (line,) = said
    assert line.startswith(f"{stage} no-such: error: params.yaml: {words}: unknown ")
    assert not (HEAVY - {"pydantic"}) & imported


def test_every_stage_that_has_items_looks_for_them(monkeypatch):
    monkeypatch.chdir(ROOT)
    graph = items.read(items.GRAPH)["stages"]
    looped = {stage["do"]["cmd"].split()[2] for stage in graph.values() if "foreach" in stage}
    assert len(looped) > 10
    for module in looped:
        with pytest.raises(ValueError, match=r"unknown .* 'no-such'"):
            items.check(module, "no-such")
    items.check("stages.train", "full-0")
    items.check("stages.analyse", "no-such")  # of which nothing is known


STAGES = """
from contextlib import closing
from pathlib import Path
from clipcause.runtime import entry
entry.check_words(Path(__file__).parent)
"""
STAGE = """
import os, sys, time
from clipcause.runtime.entry import run

def wait(where):
    if where == os.environ["WHERE"]:
        print("here", flush=True)
        time.sleep(60)

wait("import")

def main(name):
    try:
        wait("work")
    finally:
        if name == "twice":
            print("tidying", flush=True)
            time.sleep(60)

if __name__ == '__main__':
    run(main)
"""


@pytest.mark.parametrize("repro", ["", "1"])
@pytest.mark.parametrize(("where", "word"), [("import", "a"), ("work", "a"), ("work", "twice")])
def test_ctrl_c_is_a_line_that_says_what_is_kept(tmp_path, where, word, repro):
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/__init__.py").write_text(STAGES)
    (tmp_path / "stages/some.py").write_text(STAGE)
    variables = {"PYTHONPATH": str(ROOT), "WHERE": where, entry.REPRO: repro}
    # which what is started takes over: in the background of a script it would be ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    running = subprocess.Popen(
        [sys.executable, "-m", "stages.some", word],
        cwd=tmp_path, env=os.environ | variables,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stdout is not None
    for _ in range(1 + (word == "twice")):
        assert running.stdout.readline() in ("here\n", "tidying\n")
        running.send_signal(signal.SIGINT)
    _, said = running.communicate()
    assert running.returncode == -signal.SIGINT
    line = f"some {word}: interrupted; {entry.KEPT}\n"
    # a second one is no reason for a traceback, and none to go on
    assert said == ("" if repro or word == "twice" else line)


def test_a_command_that_is_interrupted_says_so():
    text = """
from clipcause.runtime import entry
with entry.one_line("compare"):
    raise KeyboardInterrupt
"""
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "compare: interrupted\n")
