"""The figures of the report. Every module here that has a `FIGURE` declares one: nothing else lists
them."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from clipcause.report.figures.figure import Figure


@cache
def load() -> dict[str, Figure]:
    """All figures by name, in alphabetical order."""
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    figures = [module.FIGURE for module in modules if hasattr(module, "FIGURE")]
    return {one.name: one for one in figures}
