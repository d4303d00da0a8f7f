"""How runs learn, a module an objective: its loss, and what a run of it needs.

A module has the name of its objective and two functions: ``check(sources, plan)``, remarks before a
run learns or a ``ValueError``, and ``make(sources, plan, clip, world, device)``, an
``clipcause.train.objective.Objective`` over the run's model.
"""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

BY_NAME: Mapping[str, Any] = {
    info.name: import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__)
}
