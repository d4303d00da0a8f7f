"""The tables of the report, a topic a file. Every module here that has `TABLES` declares some:
nothing else lists them."""

from importlib import import_module
from pkgutil import iter_modules

from clipcause.report.tables.table import Table


def load() -> dict[str, Table]:
    """All tables by the name of their file, in alphabetical order of topics."""
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    return {one.name: one for module in modules for one in getattr(module, "TABLES", ())}
