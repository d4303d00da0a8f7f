"""The objectives of runs, a module each: which keys a run has, and what they have to be.

An objective is a subclass of ``clipcause.config.objective.Objective`` in a module of this folder.
Here are the union of all of them, told apart by ``objective``, and the section ``runs``.
"""

from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from clipcause.config import FILE, kinds, look_up, read
from clipcause.config.objective import Objective

SECTION = "runs"
OBJECTIVES = kinds.find(__name__, iter_modules(__path__), Objective, "objective")


def parse(values: Any, where: str) -> Objective:
    """One item of the section as the model of its objective."""
    return OBJECTIVES.parse(values, where)


def load(name: str, path: Path = FILE) -> Objective:
    """The run ``name``; an unknown run, objective or key is a ``ValueError`` with the nearest."""
    return parse(look_up(SECTION, name, read(path), path), f"{path}: {SECTION}.{name}")
