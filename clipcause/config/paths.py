"""Sections that call paths by names, `places` and `weights`."""

from collections.abc import Mapping
from typing import Any

from clipcause.config import layout


def of(section: str, content: Mapping[str, Any]) -> dict[str, str]:
    """Name to path; a study without the section names none."""
    return content.get(section) or {}


def checked(section: str, content: Mapping[str, Any], where: str, fault: str) -> dict[str, str]:
    """The section, which is there; ``fault`` is said of a value that is no path.

    Raises ``ValueError`` where it is no mapping of names to paths.
    """
    items = content[section]
    if not isinstance(items, dict):
        raise ValueError(f"{where}: {section}: expected a mapping of named items")  # noqa: TRY004
    for name, path in items.items():
        if not isinstance(path, str) or path in ("", layout.NONE):
            raise ValueError(f"{where}: {section}.{name}: {path!r} is {fault}")
        if name == layout.NONE:
            raise ValueError(f"{where}: {section}.{name}: the name is taken; choose another")
    return items
