"""The project's commands: `python -m clipcause COMMAND …`; without one it lists them.

A command is a function of the words that follow it, found when it is asked for; it returns the line
that says what was done. A failure that a person can mend is one line on stderr and exit status 1.
"""

import importlib
import os
import select
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from clipcause.config import nearest
from clipcause.runtime import entry

# module and function, and what it does
COMMANDS = {
    "check": (
        "clipcause.check.command:main",
        "a study's parameters, and what differs from its parent",
    ),
    "repro": (
        "clipcause.check.command:reproduce",
        "run what of a study is not up to date, several stages at once",
    ),
    "hub": (
        "clipcause.check.hub_command:main",
        "a study's data sets of the Hugging Face hub: terms, sizes, commits",
    ),
    "study": ("clipcause.check.studies:main", "a new study's folder, or what all of them share"),
    "code": ("clipcause.runtime.code:main", "write the links by which DVC watches stages' code"),
    "tasks": (
        "clipcause.check.tasks:main",
        "a study's test sets beside DataComp's 38 tasks, and what a guess has",
    ),
    "compare": (
        "clipcause.report.compare:command",
        "two runs, conditions or splits, tested",
    ),
    "replicate": (
        "clipcause.report.replicate:main",
        "whether this study says what another machine's or revision's does",
    ),
    "machines": (
        "clipcause.report.machines:main",
        "add this machine's claims to those of others",
    ),
    "publish": (
        "clipcause.report.publish:main",
        "keep splits, predictions and page where a clone finds them",
    ),
    "diff": ("clipcause.prune.split.diff:main", "what changed between two splits, or revisions"),
    "overlap": ("clipcause.data.overlap.commands:compare", "which rows two downloads share"),
    "project": ("clipcause.data.overlap.commands:write_projection", "a split for another download"),
    "subset": ("clipcause.prune.subset:main", "a split as a list for other tools, DataComp's too"),
    "model": (
        "clipcause.embed.model_copy:main",
        "a run's model, where other tools find it",
    ),
    "plots": ("clipcause.report.dvc_plots:main", "pages of DVC's plots without a network"),
    "published": (
        "clipcause.report.published_frequency:main",
        "figures of published class frequencies",
    ),
    "synonyms": ("clipcause.captions.synonyms:main", "a class list of a file of synonyms"),
}
HELP = ("-h", "--help", "help")


def find(command: str) -> Callable[..., str]:
    """The function of a command; a ``ValueError`` with the nearest name where there is none."""
    if command not in COMMANDS:
        raise ValueError(f"unknown command {command!r}; {nearest(command, COMMANDS)}")
    module, _, function = COMMANDS[command][0].partition(":")
    return getattr(importlib.import_module(module), function)


@contextmanager
def _read() -> Generator[None]:
    """End without a word, as SIGPIPE would, where nobody reads the output any more: `head` has all
    that it wanted."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        poll = select.poll()
        poll.register(sys.stdout, select.POLLOUT)
        if not any(event & select.POLLERR for _, event in poll.poll(0)):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more
        raise SystemExit(128 + signal.SIGPIPE) from None


def main(words: Sequence[str]) -> None:
    """Run the command that the words begin with."""
    if not words or words[0] in HELP:
        with _read():
            print("python -m clipcause COMMAND, which is one of")
            for name, (_, does) in COMMANDS.items():
                print(f"  {name:<10} {does}")
            print("`python -m clipcause COMMAND --help` says more")
        return
    command = words[0]
    with entry.one_line(command if command in COMMANDS else "clipcause"), _read():
        function = find(command)
        print(f"{command}: {entry.call(function, f'clipcause {command}', words[1:])}")


if __name__ == "__main__":
    main(sys.argv[1:])
