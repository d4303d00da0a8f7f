"""How a stage ends: one line, and an exit status."""

import errno
import re
import sys
from types import SimpleNamespace

import pytest

from clipcause.runtime import entry


@pytest.fixture
def call(monkeypatch):
    """Run a function as the stage `stages.some`."""

    def run(main, *words):
        spec = SimpleNamespace(name="stages.some")
        monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec)
        monkeypatch.setattr(sys, "argv", ["some.py", *words])
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
