"""What is started warm is run as by a Python of its own: all that is said, and how it ends."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clipcause.runtime import warm as product
from tests import warm
from tests.repository import Repository

SAYS = """
import json, os, signal, sys, threading
print(json.dumps([__name__, __spec__.name, __file__, sys.argv, sys.orig_argv[1:], sys.path[:2]]))
print(json.dumps([os.environ["WORD"], sys.executable, os.getcwd(), sys.stdout.line_buffering]))
print(sys.modules["__main__"].SAID if "SAID" in globals() else sys.stdin.read(), file=sys.stderr)
def late():
    raise ValueError("in a thread")
{end}
"""
WARM = "print('torch' in sys.modules)"  # what only it has loaded


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    return Repository(tmp_path_factory.mktemp("here"), WORD="a word")


def start(here, end, python, *options, **environment):
    """Begin the module `says`, which ends so."""
    (here.folder / "says.py").write_text(SAYS.format(end=end))
    return subprocess.Popen(
        [python, *options, "-m", "says", "a b", "'c"],
        cwd=here.folder, env=here.environment | environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(here, end, python, *options, **environment):
    process = start(here, end, python, *options, **environment)
    said = process.communicate("in")
    return process.returncode, *said


@pytest.mark.parametrize(
    "end",
    [
        "",
        "sys.exit(3)",
        "sys.exit('no')",
        "sys.exit()",
        "sys.exit(-1)",
        "raise ValueError('a fault')",
        "raise KeyboardInterrupt",
        "import atexit; atexit.register(print, 'late', file=sys.stderr)",
        "threading.Thread(target=print, args=('from a thread',)).start()",
        "os._exit(4)",
        "os.abort()",
        f"os.kill(os.getpid(), {int(signal.SIGKILL)})",
        f"os.kill(os.getpid(), {int(signal.SIGINT)})",
        "print(signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGCHLD))",
        "import nothing_of_this_name",
        "SAID = 'a name of the module'; print(sys.modules['__main__'].SAID)",
        "sys.stdout.close()",
        "os.close(1)",
    ],
)
def test_it_ends_as_by_a_python_of_its_own(here, end):
    assert ended(here, end, warm.folder() / "python") == ended(here, end, sys.executable)


def test_a_module_that_is_not_there_is_named(here):
    said = [
        subprocess.run([python, "-m", "nowhere"], cwd=here.folder, capture_output=True, text=True)
        for python in (warm.folder() / "python", sys.executable)
    ]
    assert said[0].stderr == said[1].stderr
    assert said[0].returncode == said[1].returncode == 1


@pytest.mark.parametrize(
    ("options", "environment", "there"),
    [
        ((), {}, True),
        (("-u",), {}, True),
        (("-B",), {}, False),
        ((), {"OMP_NUM_THREADS": "7"}, False),
        ((), {"PYTHONHASHSEED": "11"}, False),
        ((), {"CUDA_VISIBLE_DEVICES": "1"}, True),
    ],
)
def test_what_libraries_read_at_their_import_gets_a_python_of_its_own(
    here, options, environment, there
):
    _, said, _ = ended(here, WARM, warm.folder() / "python", *options, **environment)
    assert json.loads(said.splitlines()[-1].lower()) == there


def test_no_module_of_ours_is_there_before(here):
    ours = "print({name.split('.')[0] for name in sys.modules} & {'tests', 'stages', 'clipcause'})"
    assert ended(here, ours, warm.folder() / "python")[1].endswith("set()\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_reaches_the_module(here, number, tmp_path):
    """Of one that can not be caught, it dies as well."""
    end = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\nsignal.pause()"
    process = start(here, end, warm.folder() / "python")
    process.stdin.close()
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(60) == -number
    process.stdout.close()
    process.stderr.close()
    gone = Path("/proc", (tmp_path / "pid").read_text())
    end = time.monotonic() + 60
    while gone.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_server_ends_with_who_started_it(tmp_path):
    made = """
import os, signal, time
from clipcause.runtime import warm
server = warm.Server(["json", "no_such_module"])
while not server.ready:
    time.sleep(0.01)
streams = [0, 1, 1]
words = ["timeit", "-n", "1", "-r", "1", "import time; time.sleep(600)"]
running = server.run(words, os.getcwd(), dict(os.environ), streams)
print(server._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    process = subprocess.run(
        [sys.executable, "-c", made], capture_output=True, text=True, timeout=60
    )
    # its output is at its end: the server and what it ran are gone, which had it open too
    assert process.returncode == -signal.SIGKILL
    assert process.stdout.strip().isdigit()


def test_it_can_be_forbidden(monkeypatch):
    assert product.possible()
    monkeypatch.setenv(product.VARIABLE, "0")
    assert not product.possible()
