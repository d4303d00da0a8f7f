"""This machine's torchrun for the processes of a run, whose end is told as that of one process.

    python -m clipcause.train.torchrun --standalone --nproc-per-node=2 -m stages.train RUN

torchrun itself ends in a traceback when it is interrupted, with an exit status that does not say
so, and in a table where a process failed, which has said why by then.
"""

import logging
import os
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from clipcause.runtime import entry


def main(words: Sequence[str]) -> None:
    """Run torchrun with the words of its command line, the last of which are a module's.

    Ctrl-C is one line, and the end by that signal; so is another signal that ends torchrun, without
    the line. A process that failed is the exit status 1, and a line where a signal ended it.
    """
    at = words.index("-m")
    said = entry.label(words[at + 1], words[at + 2 :])
    with entry.one_line(said, entry.KEPT):
        _run(words)


def _run(words: Sequence[str]) -> None:
    # torch takes seconds to import: Ctrl-C meanwhile is a line too
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.disable(logging.ERROR)  # what torch says of signals and failures: it is said here
    asked = run.parse_args(words)
    try:
        with _speaking():
            run.run(asked)
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        signal.signal(error.sigval, signal.SIG_DFL)
        os.kill(os.getpid(), error.sigval)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            raise ChildProcessError(f"process {rank} was ended by {name}") from None
        raise SystemExit(1) from None  # that process has said why


@contextmanager
def _speaking() -> Generator[None]:
    """Processes that are started within say nothing of Ctrl-C: it is said once, for all of them."""
    before = os.environ.get(entry.REPRO, "")
    os.environ[entry.REPRO] = "1"
    try:
        yield
    finally:
        os.environ[entry.REPRO] = before


if __name__ == "__main__":
    main(sys.argv[1:])
