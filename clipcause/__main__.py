"""The project's commands: `python -m clipcause COMMAND …`; without one it lists them.

A command is a function of the words that follow it, found when it is asked for. A failure that a
person can mend is one line on stderr and exit status 1.
"""

import importlib
import sys
from collections.abc import Callable, Sequence

from clipcause.config import nearest

# module and function, and what it does
COMMANDS = {
    "check": ("clipcause.check.presets:main", "a parameter file against itself and the graph"),
    "plots": ("clipcause.report.dvc_plots:main", "pages of DVC's plots without a network"),
    "published": ("clipcause.report.published_frequency:main", "published frequencies as figures"),
    "code": ("clipcause.runtime.code:main", "write the links by which DVC watches stages' code"),
}
HELP = ("-h", "--help", "help")


def find(command: str) -> Callable[[Sequence[str]], None]:
    """The function of a command; a ``ValueError`` with the nearest name where there is none."""
    if command not in COMMANDS:
        raise ValueError(f"unknown command {command!r}; {nearest(command, COMMANDS)}")
    module, _, function = COMMANDS[command][0].partition(":")
    return getattr(importlib.import_module(module), function)


def main(words: Sequence[str]) -> None:
    """Run the command that the words begin with."""
    if not words or words[0] in HELP:
        print("python -m clipcause COMMAND, which is one of")
        for name, (_, does) in COMMANDS.items():
            print(f"  {name:<10} {does}")
        return
    label = "clipcause"
    try:
        command = find(words[0])
        label = f"{label} {words[0]}"
        command(words[1:])
    except (ValueError, OSError) as error:
        print(f"{label}: error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main(sys.argv[1:])
