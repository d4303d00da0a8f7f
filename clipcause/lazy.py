"""Names that a module offers and imports only when they are asked for (PEP 562).

A room offers what notebooks want, `from clipcause.search import score_pool`, and stages import its
modules: were the names imported there at once, every stage would wait for torch and would depend
on the code of functions that it does not call.
"""

import importlib
from collections.abc import Callable
from typing import Any


def names(module: str, **homes: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of ``module``: each name's home is the module that it is taken from."""

    def attribute(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    return attribute


def again(module: str, home: str, *offered: str) -> Callable[[str], Any]:
    """The same for names that all have one home: where they were before, say."""
    return names(module, **dict.fromkeys(offered, home))
