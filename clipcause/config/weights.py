"""The section `weights`: models that others trained, as files that DVC watches.

``weights: {mine: /models/mine.pt}``, a file or a folder. The stage `weights` writes their hashes to
``models/weights/mine``, and a run whose ``text_from`` is ``weights/mine``, the one slot by which
DVC knows what a model is made from, is made anew when they change.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipcause.config import FILE, layout, read, unknown

SECTION = "weights"
PREFIX = f"{SECTION}/"
ADDRESS = "://"  # in a URL
HUB = "hf-hub:"  # before the name of a repository of the hub, which has its own weights


def named(text_from: str) -> str | None:
    """The entry of `weights` that a run's ``text_from`` names; None where it names none."""
    return text_from.removeprefix(PREFIX) if text_from.startswith(PREFIX) else None


def of(content: Mapping[str, Any]) -> dict[str, str]:
    """The section: name to path."""
    return content.get(SECTION) or {}


def load(name: str) -> str:
    """The path that the study calls ``name``; raises ``ValueError`` for a name that it lacks."""
    return _of_name(name, read(), f"{FILE}: {SECTION}")


def check(content: Mapping[str, Any], where: str) -> None:
    """Raise ``ValueError`` where the section is no mapping of names to paths."""
    items = content[SECTION]
    if not isinstance(items, dict):
        raise ValueError(f"{where}: {SECTION}: expected a mapping of named items")  # noqa: TRY004
    for name, path in items.items():
        if not isinstance(path, str) or path in ("", layout.NONE):
            raise ValueError(f"{where}: {SECTION}.{name}: {path!r} is no path of a file or folder")
        if ADDRESS in path:
            raise ValueError(f"{where}: {SECTION}.{name}: {path} is no file here; fetch it first")


def check_run(name: str, values: Mapping[str, Any], content: Mapping[str, Any], where: str) -> None:
    """Raise ``ValueError`` where a run that others trained names an entry that there is not, or a
    path of its own: DVC would not see that what lies there changed."""
    if (entry := named(values["text_from"])) is not None:
        _of_name(entry, content, f"{where}.text_from: {SECTION}")
    for key in ("path", "pretrained"):
        given = str(values.get(key, layout.NONE))
        if given != layout.NONE and (key == "path" or "/" in given or Path(given).exists()):
            raise ValueError(
                f"{where}.{key}: DVC does not see when {given} changes; write `{SECTION}: "
                f"{{{name}: {given}}}`, and in the run `text_from: {PREFIX}{name}` in place of "
                f"{key} and text_from"
            )


def _of_name(name: str, content: Mapping[str, Any], where: str) -> str:
    items = of(content)
    if name not in items:
        raise unknown("entry", name, items, where)
    return items[name]
