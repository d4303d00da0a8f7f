"""The graph of `dvc.yaml` under one parameter file: every item of every loop, resolved.

DVC does the same when it runs, and stops at the first thing that is wrong in words of its own; here
it is looked at before. Known are the forms that this project's `dvc.yaml` uses: `foreach` over a
section that is a mapping, and ``${…}`` for a scalar of the parameters, for ``key`` and ``item``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath
from typing import Any

from clipcause.config import nearest, yaml12

FILE = Path("dvc.yaml")
VARIABLE = re.compile(r"\$\{([^}]*)\}")
OUTS = ("outs", "metrics", "plots")


@dataclass(frozen=True)
class Stage:
    """One node: what it runs, reads and leaves. ``params`` are keys of the parameter file."""

    cmd: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]


def read(path: Path = FILE) -> dict[str, Any]:
    """The stages of `dvc.yaml` as they are written."""
    return definition(path.read_bytes(), str(path))


def definition(text: str | bytes, where: str) -> dict[str, Any]:
    """The stages that ``text``, the content of a `dvc.yaml`, defines."""
    content = yaml12.load(text, where)
    if not isinstance(content, dict) or not isinstance(content.get("stages"), dict):
        raise ValueError(f"{where}: it has no stages")  # noqa: TRY004 - a user's error
    return content["stages"]


def expand(stages: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Stage]:
    """Name (``prune@core``) to stage, in the order of the file.

    Raises ``ValueError`` for a loop over what is no mapping, for a ``${…}`` that the parameters do
    not have or that is no scalar, and for a tracked parameter that is absent.
    """
    found: dict[str, Stage] = {}
    for name, body in stages.items():
        if "foreach" not in body:
            found[name] = _stage(name, body, parameters)
            continue
        section = VARIABLE.fullmatch(body["foreach"])
        items = _lookup(section.group(1), parameters, name) if section else None
        if not isinstance(items, Mapping):
            where = f"stage {name}: foreach {body['foreach']}"
            raise ValueError(f"{where} is no mapping of items")  # noqa: TRY004 - a user's error
        for key, item in items.items():
            scope = {**parameters, "key": key, "item": item}
            found[f"{name}@{key}"] = _stage(f"{name}@{key}", body["do"], scope)
    return found


def check(stages: Mapping[str, Stage]) -> list[str]:
    """The names in an order in which they can run.

    Raises ``ValueError`` for a circle, naming it, and for outputs that overlap.
    """
    try:
        return list(TopologicalSorter(before(stages)).static_order())
    except CycleError as error:
        raise ValueError(f"the stages go round in a circle: {' -> '.join(error.args[1])}") from None


def before(stages: Mapping[str, Stage]) -> dict[str, set[str]]:
    """Name to the stages that it reads outputs of: what it names, what lies above it or below.

    Raises ``ValueError`` for outputs that overlap.
    """
    owner: dict[str, str] = {}
    for name, stage in stages.items():
        for out in stage.outs:
            if out in owner:
                raise ValueError(f"stages {owner[out]} and {name} both write {out}")
            owner[out] = name
    inside: dict[str, set[str]] = {}  # folder to the stages whose outputs lie in it
    for out, name in owner.items():
        for folder in _above(out):
            if folder in owner and owner[folder] != name:
                raise ValueError(f"stage {name} writes {out} into {folder} of {owner[folder]}")
            inside.setdefault(folder, set()).add(name)
    return {
        name: {
            one
            for dep in stage.deps
            for one in (
                *(owner[path] for path in (dep, *_above(dep)) if path in owner),
                *inside.get(dep, ()),
            )
        }
        for name, stage in stages.items()
    }


def _stage(name: str, body: Mapping[str, Any], scope: Mapping[str, Any]) -> Stage:
    deps = tuple(_filled(entry, scope, name) for entry in _paths(body.get("deps")))
    outs = (_filled(entry, scope, name) for kind in OUTS for entry in _paths(body.get(kind)))
    params: list[str] = []
    for entry in body.get("params", ()):
        if isinstance(entry, Mapping):
            continue  # a file of which everything is tracked
        params.append(_filled(entry, scope, name))
        _present(params[-1], scope, name)
    return Stage(_filled(body["cmd"], scope, name), deps, tuple(params), tuple(outs))


def _paths(entries: Any) -> list[str]:
    """The paths of a list whose entries are paths, or a path with settings."""
    return [
        path for entry in entries or () for path in ([entry] if isinstance(entry, str) else entry)
    ]


def _filled(text: str, scope: Mapping[str, Any], stage: str) -> str:
    def value(match: re.Match[str]) -> str:
        found = _lookup(match.group(1), scope, stage)
        if isinstance(found, Mapping | list) or found is None:
            raise ValueError(f"stage {stage}: {match.group(0)} is no scalar in the parameters")
        return str(found)

    return VARIABLE.sub(value, text)


def _lookup(path: str, scope: Mapping[str, Any], stage: str) -> Any:
    value: Any = scope
    for part in path.strip().split("."):
        if not isinstance(value, Mapping) or part not in value:
            known = value if isinstance(value, Mapping) else ()
            raise ValueError(
                f"stage {stage}: ${{{path}}} is not in the parameters; {nearest(part, known)}"
            )
        value = value[part]
    return value


def _present(path: str, scope: Mapping[str, Any], stage: str) -> None:
    section, _, rest = path.partition(".")  # versions.resvg-py, splits.hull-0.1: one key, with dots
    values = scope.get(section)
    if section not in scope or (rest and rest not in (values or ())):
        _lookup(path, scope, stage)


def _above(path: str) -> list[str]:
    return [str(parent) for parent in PurePosixPath(path).parents if str(parent) != "."]
