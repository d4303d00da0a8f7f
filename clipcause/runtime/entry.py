"""How a stage starts and how it fails.

A failure that a person can mend (a wrong name, a damaged file) is one line on stderr and exit
status 1; anything else is a defect of ours and keeps its traceback.
"""

import errno
import inspect
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

EXPECTED = (ValueError, OSError)


def run(main: Callable[..., str]) -> None:
    """Call ``main`` with the command line's words and print the line it returns.

    ``main`` takes positional strings (the item's name, where the stage has items) and returns one
    line that says what was done. ``CLIPCAUSE_TRACEBACK=1`` shows where an expected error arose.
    """
    # `python -m stages.x` names the module in its spec; argv[0] is only its file
    spec = sys.modules["__main__"].__spec__
    name = (spec.name if spec else Path(sys.argv[0]).stem).removesuffix(".__main__")
    words = sys.argv[1:]
    expected = list(inspect.signature(main).parameters)
    if len(words) != len(expected):
        usage = " ".join(word.upper() for word in expected)
        print(f"usage: python -m {name} {usage}".rstrip(), file=sys.stderr)
        raise SystemExit(2)
    label = " ".join([name.removeprefix("stages."), *words])
    start = time.monotonic()
    try:
        done = main(*words)
    except EXPECTED as error:
        if os.environ.get("CLIPCAUSE_TRACEBACK"):
            raise
        print(f"{label}: error: {error}{advice(error)}", file=sys.stderr)
        raise SystemExit(1) from None
    print(f"{label}: {done} ({time.monotonic() - start:.1f} s)")


def advice(error: BaseException) -> str:
    """What to do about an error of the machine, whose own message says only what happened."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "; free some space and run again: what is finished is kept, nothing is half-written"
    if number == errno.EMFILE:
        return "; raise the limit of open files (ulimit -n) and run again"
    return ""
