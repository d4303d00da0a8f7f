"""How a stage starts, how it fails and how it is interrupted.

A failure that a person can mend (a wrong name, a damaged file) is one line on stderr and exit
status 1; anything else is a defect of ours and keeps its traceback. Ctrl-C is a line too, and the
end by that signal. A stage whose code DVC does not watch, or whose code was edited while it ran,
fails as well (`unchanged`).
"""

import ast
import errno
import inspect
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import current_thread, main_thread
from typing import NoReturn

from clipcause.runtime import cache_folder, notices, unchanged

EXPECTED = (ValueError, OSError)
# what a disk does to a data base, of which DVC keeps some
OF_DISKS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
FREE = "free some space and run again: what is finished is kept, nothing is half-written"
HELP = (["-h"], ["--help"])
KEPT = (  # in the shard cache, by atomic writers
    "finished shards and saved training steps are kept, nothing is half-written, and the same "
    "command goes on from there"
)
REPRO = "CLIPCAUSE_REPRO"  # set by what runs several stages and says it for all of them
STARTED = "if __name__ == '__main__':\n    run(main)"  # the end of a stage's file


def check_words(folder: Path) -> tuple[str, list[str]]:
    """End with the usage where the stage that is started was given too many words, or too few.

    Returns the stage's module and its words, no words where no stage is being started.

    The package of stages calls this with its ``folder``: Python imports it before the stage, whose
    own imports take seconds. The file is read and not run. Where no stage is being started as
    `python -m stages.x`, nothing happens; ``run`` looks at the words again. Until then Ctrl-C ends
    the process with a line, for a traceback of imports says nothing.
    """
    # while Python looks for the module, argv[0] is "-m", and its name is in the whole line alone
    if sys.argv[0] != "-m":
        return "", []
    name = sys.orig_argv[-len(sys.argv)].removeprefix("-m")
    path = folder / f"{name.rpartition('.')[2]}.py"
    if name.rpartition(".")[0] != folder.name or not path.is_file():
        return "", []
    tree = ast.parse(path.read_bytes())
    mains = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"
    ]
    if mains and ast.unparse(tree.body[-1]) == STARTED:
        expected, words = [argument.arg for argument in mains[0].args.args], sys.argv[1:]
        if words in HELP:
            print(f"{usage(name, expected)}\n\n{ast.get_docstring(tree)}")
            raise SystemExit(0)
        _count(name, expected, words)
        with one_line(label(name, words)):
            _check_temporary()
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, lambda *_: _interrupted(label(name, words), KEPT))
    return name, sys.argv[1:]


def _check_temporary() -> None:
    """Raise where no folder for temporary files can be written, with what to do: torch looks for
    one when it is imported, and ends in a long traceback."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise OSError(
            f"{error.strerror}; is the disk full? Free some space there, or name another folder "
            "in TMPDIR"
        ) from None


def label(module: str, words: Sequence[str]) -> str:
    """What lines of a stage begin with."""
    return " ".join([module.removeprefix("stages."), *words])


def usage(name: str, expected: Sequence[str]) -> str:
    """How the module ``name`` is called, whose main has the parameters ``expected``."""
    return " ".join(["usage: python -m", name, *(word.upper() for word in expected)])


def run(main: Callable[..., str]) -> None:
    """Call ``main`` with the command line's words and print the line it returns.

    ``main`` takes positional strings (the item's name, where the stage has items) and returns one
    line that says what was done. ``CLIPCAUSE_TRACEBACK=1`` shows where an expected error arose.
    """
    # `python -m stages.x` names the module in its spec; argv[0] is only its file
    spec = sys.modules["__main__"].__spec__
    name, words = spec.name if spec else Path(sys.argv[0]).stem, sys.argv[1:]
    _count(name, list(inspect.signature(main).parameters), words)
    said = label(name, words)
    start = time.monotonic()
    with one_line(said, KEPT):
        unchanged.begin(name)
        cache_folder.share()
        done = main(*words)
        unchanged.end()
    print(f"{said}: {done} ({time.monotonic() - start:.1f} s)")


def call(function: Callable[..., str], name: str, words: Sequence[str]) -> str:
    """Call the function of a command with the words after its ``name``; the line it returns.

    Ends with the usage where they are too many or too few, or ask for help. A function of any
    number of words looks at them itself.
    """
    parameters = inspect.signature(function).parameters.values()
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return function(*words)
    expected = [one.name if one.default is one.empty else f"[{one.name}]" for one in parameters]
    if list(words) in HELP:
        print(f"{usage(name, expected)}\n\n{inspect.getdoc(function)}")
        raise SystemExit(0)
    least = sum(one.default is one.empty for one in parameters)
    if not least <= len(words) <= len(expected):
        _stop(name, expected)
    return function(*words)


@contextmanager
def one_line(label: str, kept: str = "") -> Generator[None]:
    """Notices are lines on stderr, and so is a failure that a person can mend, with exit status 1;
    ``label`` begins it. So is Ctrl-C, with what is ``kept``, and the process ends by its signal."""
    notices.configure()
    try:
        with _once():
            yield
    except KeyboardInterrupt:
        _interrupted(label, kept)
    except EXPECTED as error:
        if os.environ.get("CLIPCAUSE_TRACEBACK"):
            raise
        _failed(label, f"{error}{advice(error)}")
    except sqlite3.OperationalError as error:
        # an extended code has the kind in its last byte
        kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if kind not in OF_DISKS or os.environ.get("CLIPCAUSE_TRACEBACK"):
            raise
        todo = FREE if kind == sqlite3.SQLITE_FULL else "look at that disk and run again"
        _failed(
            label,
            f"a data base of DVC's, in .dvc/tmp or in its site_cache_dir (/var/tmp/dvc, unless "
            f"`dvc config core.site_cache_dir` says otherwise): {error}; {todo}",
        )


def _failed(label: str, text: str) -> NoReturn:
    print(f"{label}: error: {text}", file=sys.stderr)
    raise SystemExit(1) from None


@contextmanager
def _once() -> Generator[None]:
    """Ctrl-C is raised once: a second one would be a traceback out of what the first tidies up."""

    def first(*_: object) -> NoReturn:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    # ignored: in the background of a script; and handlers are the main thread's alone
    if before in (signal.SIG_IGN, None) or current_thread() is not main_thread():
        yield
        return
    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupted(label: str, kept: str) -> NoReturn:
    """Say so, unless who started this does, and end as who is not listening to the signal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if not os.environ.get(REPRO) and os.environ.get("RANK", "0") == "0":
        above = "\n" if sys.stderr.isatty() else ""  # of a bar that shows progress
        text = f"{above}{label}: interrupted{'; ' if kept else ''}{kept}\n"
        os.write(2, text.encode())  # what is interrupted may be in a write itself
    with suppress(OSError, RuntimeError):
        sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGINT)
    raise SystemExit(128 + signal.SIGINT)  # where the signal is late


def _count(name: str, expected: Sequence[str], words: Sequence[str]) -> None:
    if len(words) != len(expected):
        _stop(name, expected)


def _stop(name: str, expected: Sequence[str]) -> None:
    print(usage(name, expected), file=sys.stderr)
    raise SystemExit(2)


def advice(error: BaseException) -> str:
    """What to do about an error of the machine, whose own message says only what happened."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"; {FREE}"
    if number == errno.EMFILE:
        return "; raise the limit of open files (ulimit -n) and run again"
    return cache_folder.advice(error) if isinstance(error, OSError) else ""
