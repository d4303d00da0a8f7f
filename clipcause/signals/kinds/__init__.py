"""The kinds of signals, a module each: parameters, values, and the sentence that the report says.

A kind is a subclass of ``clipcause.signals.signal.Signal`` in a module of this folder; adding the
file is enough. Here are the union of all of them, told apart by ``kind``, and the section
``signals``.
"""

from collections.abc import Mapping
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from clipcause.config import FILE, kinds, layout, look_up, read
from clipcause.signals.signal import Signal

SECTION = "signals"
SIGNALS = kinds.find(__name__, iter_modules(__path__), Signal, "kind")


def load(name: str, path: Path = FILE) -> Signal:
    """One entry, checked together with the names that it refers to.

    Raises ``ValueError`` for an unknown signal, kind, parameter or name, with the nearest valid.
    """
    content = read(path)
    return _checked(name, content, path)


def check_names(content: Mapping[str, Any], path: Path) -> None:
    """What every entry of the section names exists."""
    for name in content[SECTION]:
        _checked(name, content, path)


def _checked(name: str, content: Mapping[str, Any], path: Path) -> Signal:
    where = f"{path}: {SECTION}.{name}"
    values = look_up(SECTION, name, content, path)
    if name == layout.NONE:
        raise ValueError(f"{where}: the name is taken; choose another")
    found = SIGNALS.parse(values, where)
    found.check(content, where)
    return found
