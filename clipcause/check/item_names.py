"""What items may be called: their names are words of commands, names of folders, and DVC's keys.

DVC takes a dot in a name for a level of the parameters and a bracket for a pattern, Hydra a slash
or a comma for its own; a shell splits at blanks and expands ``$``; and YAML reads ``no``, ``1`` and
``2020-01-01`` as other things than text. Quotes do not help: `dvc exp run -S` takes them off.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipcause.config import layout

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
# what YAML 1.2 (DVC's and ours) or 1.1 (other tools') takes for no text, without quotes
NO_TEXT = re.compile(
    r"[0-9_]+|[0-9][0-9_]*e-?[0-9]+|0[xob][0-9a-f_]+|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"|y|n|yes|no|on|off|true|false|null",
    re.IGNORECASE,
)
LONGEST = 100  # characters: with what stages add, a name of a file has at most 255 bytes
OF_DATA = ("datasets", "texts")  # sections of data sets
ALL_TESTS = layout.test("")  # what a test set's data set has before its name


def check(sections: Mapping[str, Any], path: Path) -> None:
    """Raise ``ValueError`` for the first name of an item that a shell, DVC or YAML takes otherwise.

    ``sections`` are those whose keys are names of items.
    """
    for section, items in sections.items():
        for name in items if isinstance(items, Mapping) else ():
            is_of_a_test = section in OF_DATA and isinstance(name, str)
            own = name.removeprefix(ALL_TESTS) if is_of_a_test else name
            # a name without letters, or of two lines, is told as YAML would have to state it
            told = name if str(name).isprintable() and name != "" else repr(name)
            check_name(own, f"{path}: {section}.{told}")


def check_name(name: Any, where: str) -> None:
    """Raise ``ValueError`` for a name that a shell, DVC or YAML takes for something else."""
    if not isinstance(name, str) or NO_TEXT.fullmatch(name):
        raise ValueError(
            f"{where}: YAML takes this name for a number, a date or a truth, not for text; "
            "choose another"
        )
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise ValueError(
            f"{where}: a name has letters, digits, - and _ (no other first than a letter, "
            f"a digit or _), {LONGEST} at most: it is a word of commands, a folder and a "
            "key of DVC's, which take other characters for something else"
        )
