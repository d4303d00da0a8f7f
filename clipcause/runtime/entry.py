"""How a stage starts and how it fails.

A failure that a person can mend (a wrong name, a damaged file) is one line on stderr and exit
status 1; anything else is a defect of ours and keeps its traceback. A stage whose code DVC does not
watch, or whose code was edited while it ran, fails as well (`unchanged`).
"""

import ast
import errno
import inspect
import os
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from clipcause.runtime import notices, unchanged

EXPECTED = (ValueError, OSError)
HELP = (["-h"], ["--help"])
STARTED = "if __name__ == '__main__':\n    run(main)"  # the end of a stage's file


def check_words(folder: Path) -> None:
    """End with the usage where the stage that is started was given too many words, or too few.

    The package of stages calls this with its ``folder``: Python imports it before the stage, whose
    own imports take seconds. The file is read and not run. Where no stage is being started as
    `python -m stages.x`, nothing happens; ``run`` looks at the words again.
    """
    # while Python looks for the module, argv[0] is "-m", and its name is in the whole line alone
    if sys.argv[0] != "-m":
        return
    name = sys.orig_argv[-len(sys.argv)].removeprefix("-m")
    path = folder / f"{name.rpartition('.')[2]}.py"
    if name.rpartition(".")[0] != folder.name or not path.is_file():
        return
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
    label = " ".join([name.removeprefix("stages."), *words])
    start = time.monotonic()
    with one_line(label):
        unchanged.begin(name)
        done = main(*words)
        unchanged.end()
    print(f"{label}: {done} ({time.monotonic() - start:.1f} s)")


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
def one_line(label: str) -> Generator[None]:
    """Notices are lines on stderr, and so is a failure that a person can mend, with exit status 1;
    ``label`` begins it."""
    notices.configure()
    try:
        yield
    except EXPECTED as error:
        if os.environ.get("CLIPCAUSE_TRACEBACK"):
            raise
        print(f"{label}: error: {error}{advice(error)}", file=sys.stderr)
        raise SystemExit(1) from None


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
        return "; free some space and run again: what is finished is kept, nothing is half-written"
    if number == errno.EMFILE:
        return "; raise the limit of open files (ulimit -n) and run again"
    return ""
