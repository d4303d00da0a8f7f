"""`python -m MODULE` for tests that run commands, by a server of this process that imported what
they import; `clipcause.runtime.warm` says how, and where a command gets a Python of its own."""

import atexit
import shlex
import signal
import sys
from functools import cache
from pathlib import Path

from clipcause.runtime import warm

IMPORTED = (*warm.IMPORTED, "dvc.cli", "dvc.repo", "dvc.scm", "dvc.commands.repro")


@cache
def folder() -> Path:
    """The folder with `python`, a script to be found first in PATH; it ends with this process."""
    # what the tests run heeds Ctrl-C, also where they are run in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)
    server = warm.Server(IMPORTED)
    atexit.register(server.close)
    script = Path(server.address).parent / "python"
    words = [sys.executable, "-IS", warm.__file__, "ask", server.address]
    script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    script.chmod(0o755)
    return script.parent
