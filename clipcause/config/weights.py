"""The section `weights`: models that others trained, as files that DVC watches.

``weights: {mine: /models/mine.pt}``, a file or a folder. The stage `weights` writes their hashes to
``models/weights/mine``, and a run whose ``text_from`` is ``weights/mine``, the one slot by which
DVC knows what a model is made from, is made anew when they change.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipcause.config import layout, look_up, paths, read, unknown

SECTION = "weights"
PREFIX = f"{SECTION}/"
ADDRESS = "://"  # in a URL
HUB = "hf-hub:"  # before the name of a repository of the hub, which has its own weights


def named(text_from: str) -> str | None:
    """The entry of `weights` that a run's ``text_from`` names; None where it names none."""
    return text_from.removeprefix(PREFIX) if text_from.startswith(PREFIX) else None


def load(name: str) -> str:
    """The path that the study calls ``name``; raises ``ValueError`` for a name that it lacks."""
    return look_up(SECTION, name, read())


def check(content: Mapping[str, Any], where: str) -> None:
    """Raise ``ValueError`` where the section is no mapping of names to paths."""
    for name, path in paths.checked(SECTION, content, where, "no path of a file or folder").items():
        if ADDRESS in path:
            raise ValueError(f"{where}: {SECTION}.{name}: {path} is no file here; fetch it first")


def check_run(name: str, values: Mapping[str, Any], content: Mapping[str, Any], where: str) -> None:
    """Raise ``ValueError`` where a run that others trained names an entry that there is not, or a
    path of its own: DVC would not see that what lies there changed."""
    entry, items = named(values["text_from"]), paths.of(SECTION, content)
    if entry is not None and entry not in items:
        raise unknown("entry", entry, items, f"{where}.text_from: {SECTION}")
    for key in ("path", "pretrained"):
        given = str(values.get(key, layout.NONE))
        if given != layout.NONE and (key == "path" or "/" in given or Path(given).exists()):
            raise ValueError(
                f"{where}.{key}: DVC does not see when {given} changes; write `{SECTION}: "
                f"{{{name}: {given}}}`, and in the run `text_from: {PREFIX}{name}` in place of "
                f"{key} and text_from"
            )
