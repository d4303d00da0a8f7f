"""All kinds of sources: those of the modules beside this one, told apart by ``source``.

They are not named by the package itself, so that what reads one source needs no other.
"""

from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from clipcause.config import FILE, kinds, look_up, places, read
from clipcause.data.source import Source

SECTION = "datasets"
SOURCES = kinds.find(
    "clipcause.data.sources", iter_modules([str(Path(__file__).parent)]), Source, "source"
)
CAPTIONED = sorted(word for word, model in SOURCES.models.items() if model.captioned)


def parse(values: Any, where: str) -> Source:
    """One item of the section as the model of its source."""
    return SOURCES.parse(values, where)


def load(name: str, path: Path = FILE) -> Source:
    """The source of the data set ``name``; test sets are those whose names begin with ``tests/``.

    Raises ``ValueError`` for an unknown data set, source or key, with the nearest valid one.
    """
    content, where = read(path), f"{path}: {SECTION}.{name}"
    values = look_up(SECTION, name, content, path)
    return parse(places.resolved(values, content, where), where)
