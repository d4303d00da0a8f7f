"""`python -m MODULE` without the seconds that its libraries take to be imported.

A server imports them once; asked to, it forks, and the fork runs the module as a Python of its own
would: words, folder, environment, streams, signals, traceback and exit status are those of
`python -m`. Nothing of ours is imported before the fork, so that what runs is the code as it lies
there then. The server ends with the process that started it, and what it runs is killed then.

It runs no module itself, starts no thread and does not touch a GPU: CUDA, once begun, is of no use
after a fork. Libraries read some variables when they are imported (``READ``): where one is other
than the server's, the fork becomes a Python of its own. What is not as there: modules that are
loaded already, and one random seed for the hashes of all forks of a server.

This file is run as a script, by `python -P`; for whom it imports, it is a door to that server.
"""

import atexit
import gc
import importlib
import io
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

# what stages import, the slowest first; `torch._dynamo` comes with torchvision
IMPORTED = (
    *("torch", "open_clip", "torch._dynamo", "timm", "sklearn.linear_model", "faiss", "altair"),
    *("scipy.stats", "pyarrow.parquet", "pyarrow.dataset", "duckdb", "dvclive", "webdataset"),
    *("pydantic", "pyroaring", "jinja2", "safetensors.torch", "lightly.loss", "ruamel.yaml"),
)
READ = (
    *("PYTHON", "LD_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "DNNL_", "ONEDNN_", "TORCH"),
    *("PYTORCH_", "ATEN_", "NUMEXPR_", "MALLOC_", "ARROW_", "LC_", "LANG", "CUDA_MODULE", "NPY_"),
)
VARIABLE = "CLIPCAUSE_WARM"  # 0: every stage by a Python of its own
LARGEST = 65_536  # bytes of what is read at once
NVIDIA = "/dev/nvidia"
Before = tuple[dict[str, str], Any]


class Server:
    """The process that forks; it ends with `close`, and with the process that made this."""

    def __init__(self, modules: Sequence[str] = IMPORTED) -> None:
        """Start it; importing takes seconds, until when it is not `ready`."""
        self._made = tempfile.TemporaryDirectory(prefix="warm-")
        self.address = f"{self._made.name}/socket"
        self._said, said = os.pipe()
        with socket.socket(socket.AF_UNIX) as listening:  # what asks too early waits
            listening.bind(self.address)
            listening.listen(64)
            words = ["-P", __file__, "serve", str(listening.fileno()), str(said), *modules]
            self._process = subprocess.Popen(
                [sys.executable, *words],
                stdin=subprocess.PIPE,
                pass_fds=[listening.fileno(), said],
            )
        os.close(said)
        self._ready = False

    @property
    def ready(self) -> bool:
        """Whether all is imported; never, where that failed."""
        if not self._ready and select.select([self._said], [], [], 0)[0]:
            self._ready = bool(os.read(self._said, 1))
        return self._ready

    def run(
        self, words: Sequence[str], folder: Path, environment: dict[str, str], streams: list[int]
    ) -> "Running":
        """Begin `python -m` with these words; ``streams`` are its input, output and errors."""
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(self.address)
        _request(stream, words, str(folder), environment, streams)
        return Running(stream)

    def close(self) -> None:
        """End it, whether it is ready or not. What it runs ends with its `Running`."""
        self._process.kill()
        self._process.communicate()
        os.close(self._said)
        self._made.cleanup()


class Running:
    """A module that is being run; as `subprocess.Popen`, as far as it goes."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        try:
            self._stream.sendall(bytes([number]))
        except OSError:
            return

    def wait(self) -> int:
        """Its exit status, negative for the signal that ended it."""
        with self._stream:
            said = self._stream.recv(LARGEST)
        return int(said) if said else -signal.SIGKILL  # the server was killed, and all with it


def possible() -> bool:
    """Whether modules can be started so here, and nobody forbids it."""
    return hasattr(os, "pidfd_open") and os.environ.get(VARIABLE) != "0"


def _request(
    stream: socket.socket,
    words: Sequence[str],
    folder: str,
    environment: dict[str, str],
    streams: list[int],
) -> None:
    text = json.dumps([list(words), folder, environment]).encode() + b"\n"
    sent = socket.send_fds(stream, [text], streams)
    stream.sendall(text[sent:])


def ask(address: str, *words: str) -> int:
    """Be `python` with these words: by the server where they begin with `-m`; the exit status."""
    if words[:1] == ("-u",):  # of torchrun: output that is not held back
        words = words[1:]
    if words[:1] != ("-m",):
        os.execv(sys.executable, [sys.executable, *words])
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(address)
        running = Running(stream)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: running.send_signal(number))
        _request(stream, words[1:], str(Path.cwd()), dict(os.environ), [0, 1, 2])
        code = running.wait()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)  # as the module was
    return code


def serve(listening: socket.socket, said: int, modules: Sequence[str]) -> NoReturn:
    """Import, say so, and then fork for each that asks, until the input is at its end."""
    # what runs gets it, and this ends after it
    before = dict(os.environ), signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError:  # of what is not installed, a stage says so that needs it
            continue
    if any(_leads(entry).startswith(NVIDIA) for entry in Path("/proc/self/fd").iterdir()):
        sys.exit("warm: a library began CUDA when it was imported; stages start without")
    gc.collect()
    gc.freeze()  # a collection in a fork would copy all that they share
    os.write(said, b"!")
    os.close(said)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks of this process
    while True:
        ready, _, _ = select.select([listening, sys.stdin], [], [])
        if sys.stdin in ready:
            os._exit(0)
        stream, _ = listening.accept()
        if _fork() == 0:
            listening.close()
            _answer(stream, before)
        stream.close()


def _leads(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # of the listing itself
        return ""


def _fork() -> int:
    with warnings.catch_warnings():
        # Python 3.12 warns of threads: those of BLAS, which it ends before a fork
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _answer(stream: socket.socket, before: Before) -> NoReturn:
    """Fork once more: one process becomes the module, one waits for it and for who asked.

    ``before`` is the environment that the libraries were imported in, and what Ctrl-C did then.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    text, streams, _, _ = socket.recv_fds(stream, LARGEST, 3)
    while b"\n" not in text:
        text += stream.recv(LARGEST)
    request, _, signals = text.partition(b"\n")
    child = _fork()
    if child == 0:
        stream.close()
        _become(*json.loads(request), streams, before)
    for one in (0, 1, 2, *streams):
        os.close(one)
    ended, heard = os.pidfd_open(child), [stream]
    while True:
        for number in signals:  # a byte is one
            os.kill(child, number)
        ready, _, _ = select.select([ended, *heard], [], [])
        if ended in ready:
            break
        signals = stream.recv(LARGEST)
        if not signals:  # who asked is gone
            signals, heard = bytes([signal.SIGKILL]), []
    _, status = os.waitpid(child, 0)
    try:
        stream.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    finally:
        os._exit(0)


def _become(
    words: list[str],
    folder: str,
    environment: dict[str, str],
    streams: list[int],
    before: Before,
) -> NoReturn:
    """Be `python -m` with these words: in this process, or in its place where it would differ."""
    for number, one in enumerate(streams):
        os.dup2(one, number)
        os.close(one)
    os.chdir(folder)
    imported_in, interrupted = before
    signal.signal(signal.SIGINT, interrupted)
    if _read(environment) != _read(imported_in):
        os.execve(sys.executable, [sys.executable, "-m", *words], environment)
    for name in imported_in:
        os.environ.pop(name, None)  # what libraries set stays
    os.environ.update(environment)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=os.isatty(1))
    if "numpy" in sys.modules:
        importlib.import_module("numpy").random.seed()  # of each process, as Python's own is
    _run(words, folder)


def _read(environment: dict[str, str]) -> dict[str, str]:
    """Of an environment what libraries read when they are imported."""
    return {name: value for name, value in environment.items() if name.startswith(READ)}


def _run(words: list[str], folder: str) -> NoReturn:
    sys.path.insert(0, folder)
    sys.orig_argv = [sys.executable, "-m", *words]
    sys.argv = ["-m", *words[1:]]
    sys.modules["__main__"] = types.ModuleType("__main__")
    code: Any = None
    try:
        vars(runpy)["_run_module_as_main"](words[0])  # which is what `-m` calls
    except SystemExit as stop:
        code = stop.code
    except BaseException as error:
        told = error.__traceback__ and error.__traceback__.tb_next  # without this function
        sys.excepthook(type(error), error.with_traceback(told), told)
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    # as Python ends, but that nothing is taken apart, which would copy what the forks share
    vars(threading)["_shutdown"]()
    vars(atexit)["_run_exitfuncs"]()
    if not isinstance(code, int | None):
        print(code, file=sys.stderr)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            if not stream.closed:
                stream.flush()
        except OSError:  # nobody reads it any more
            code = code or 120  # as Python has it
    if code == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit((code or 0) & 0xFF)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3]), sys.argv[4:])
    sys.exit(ask(*sys.argv[2:]))
