"""The section `places`: folders and URLs outside of the repository whose content may change.

``places: {laion: s3://bucket/laion}``: the stage `list` writes what lies there to
``data/places/laion`` whenever the study is brought up to date. A data set whose ``raw`` is that
file is read where its lines lie, and prepared again when they change; so it is with ``embeddings``.
"""

from collections.abc import Mapping
from typing import Any

from clipcause.config import layout, look_up, paths, read, unknown

SECTION = "places"
SLOTS = {"raw": "place", "embeddings": "embeddings"}  # of a data set, and what each stands for


def load(name: str) -> str:
    """The folder or URL that the study calls ``name``."""
    return look_up(SECTION, name, read())


def named(slot: Any) -> str | None:
    """The name of the place whose listing a slot of a data set is; None for another file."""
    folder = f"{layout.PLACES}/"
    return slot.removeprefix(folder) if isinstance(slot, str) and slot.startswith(folder) else None


def resolved(values: Any, content: Mapping[str, Any], where: str) -> Any:
    """The entry of a data set with folders and URLs where it has the listings of places.

    Raises ``ValueError`` for a place that the study does not name, and where ``place`` says once
    more, or otherwise, what ``raw`` says.
    """
    if not isinstance(values, Mapping):
        return values  # which its model refuses
    found, items = dict(values), paths.of(SECTION, content)
    for slot, stands_for in SLOTS.items():
        if (name := named(values.get(slot))) is None:
            continue
        if name not in items:
            raise unknown("place", name, items, f"{where}.{slot}: section {SECTION}")
        if stands_for != slot and stands_for in values:
            raise ValueError(
                f"{where}.{stands_for}: {slot} names {SECTION}.{name}; leave {stands_for} out"
            )
        found[stands_for] = items[name]
    return found


def check(content: Mapping[str, Any], where: str) -> None:
    """Raise ``ValueError`` where the section is no mapping of names to folders and URLs."""
    fault = "neither a folder nor a URL, in quotes where YAML takes it for something else"
    paths.checked(SECTION, content, where, fault)
