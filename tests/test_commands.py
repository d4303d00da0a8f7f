"""`python -m clipcause COMMAND`: which there are, and how they are called."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clipcause.__main__ import COMMANDS, find, main

ROOT = Path(__file__).parents[1]


def told(capsys, *words):
    """The exit status, and what was printed on stdout and stderr."""
    try:
        main(words)
    except SystemExit as stop:
        status = stop.code
    else:
        status = 0
    return status, *capsys.readouterr()


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_without_a_command_they_are_listed(words, capsys):
    status, out, err = told(capsys, *words)
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:-1]] == list(COMMANDS)


def test_an_unknown_command_names_the_nearest(capsys):
    status, _, err = told(capsys, "comparr", "a", "b")
    assert status == 1
    assert err == "clipcause: error: unknown command 'comparr'; did you mean 'compare'?\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_there_and_says_how_it_is_called(command, capsys):
    assert callable(find(command))
    status, out, _ = told(capsys, command, "--help")
    assert status == 0
    assert out.startswith(f"usage: python -m clipcause {command}")
    assert len(out.splitlines()) > 1


@pytest.mark.parametrize("command", ["diff", "overlap", "project", "synonyms", "compare", "code"])
def test_a_wrong_number_of_words_is_exit_2(command, capsys):
    words = ["a"] if command != "code" else ["a", "b"]
    status, _, err = told(capsys, command, *words)
    assert status == 2
    assert err.startswith(f"usage: python -m clipcause {command}")


def test_an_expected_failure_is_one_line(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = told(capsys, "diff", "a", "HEAD:")
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith("diff: error: ")


def test_a_list_of_commands_needs_none_of_their_libraries():
    code = (
        "import sys; from clipcause.__main__ import main; main([]); "
        "sys.exit(bool({'torch', 'numpy', 'pyarrow', 'dvc'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("words", [["check"], ["--help"]], ids=" ".join)
def test_a_reader_that_goes_away_is_no_error(words):
    """As `| head -1` does, before the first line is written."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "clipcause", *words]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
