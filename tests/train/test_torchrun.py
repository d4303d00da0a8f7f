"""How several processes end: as one does, in one line and by the signal that ended them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clipcause.runtime import entry
from clipcause.train import torchrun

ROOT = Path(__file__).parents[2]
STAGE = """
import os, signal, sys, time
from clipcause.runtime.entry import one_line

with one_line("some a", "kept"):
    os.write(1, b"here\\n")  # at once: torchrun's processes write a line and its end apart
    if sys.argv[1] == "killed" and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[1] == "failed" and os.environ["RANK"] == "1":
        raise ValueError("the loss is nan")
    time.sleep(60)
"""
INTERRUPTED = f"some wait: interrupted; {entry.KEPT}\n"


@pytest.mark.parametrize(
    ("word", "number", "repro", "status", "line"),
    [
        # all processes get it, as from a terminal
        ("wait", signal.SIGINT, "", -signal.SIGINT, INTERRUPTED),
        ("wait", signal.SIGINT, "1", -signal.SIGINT, ""),
        ("wait", signal.SIGTERM, "", -signal.SIGTERM, ""),
        ("failed", None, "", 1, "some a: error: the loss is nan\n"),
        ("killed", None, "", 1, "some killed: error: process 1 was ended by SIGKILL\n"),
    ],
)
def test_processes_end_as_one_does(tmp_path, word, number, repro, status, line):
    (tmp_path / "some.py").write_text(STAGE)
    given = ["--standalone", "--nproc-per-node=2", "-m", "some", word]
    variables = {"PYTHONPATH": f"{ROOT}:{tmp_path}", entry.REPRO: repro, "OMP_NUM_THREADS": "1"}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
    running = subprocess.Popen(
        [sys.executable, "-m", torchrun.__name__, *given],
        cwd=tmp_path, env=os.environ | variables, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stdout is not None
    assert [running.stdout.readline() for _ in range(2)] == ["here\n"] * 2
    if number is not None:
        os.killpg(running.pid, number)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (status, line)
    with pytest.raises(ProcessLookupError):  # none is left
        os.killpg(running.pid, 0)


def test_interrupted_before_there_are_processes(tmp_path):
    """torch takes seconds to import, which is most of a start."""
    running = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", torchrun.__name__, "-m", "some", "wait"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stderr is not None
    for text in running.stderr:
        if "| " in text and text.split("|")[-1].strip() == "torch.version":
            break
    running.send_signal(signal.SIGINT)
    said = [text for text in running.communicate(timeout=60)[1].splitlines(True) if "|" not in text]
    assert (running.returncode, said) == (-signal.SIGINT, [INTERRUPTED])
