"""Reading ``params.yaml``: typed, strict, checked once at the edge.

Each stage owns a small model in its own module of this package, so that a change of one stage's
parameters re-runs that stage and no other.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from clipcause.config import yaml12

FILE = Path("params.yaml")


class Strict(BaseModel):
    """A frozen group of parameters in which an unknown key is an error."""

    # strict: "3" is not 3, and true is not 1; YAML has types, so nothing needs coercing
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    # names that parameters had, and what takes their place: said where one is still used
    renamed: ClassVar[dict[str, str]] = {}


Model = TypeVar("Model", bound=BaseModel)


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which of ``known`` was probably meant, or list them all."""
    known = sorted(known)
    match = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    if match:
        return f"did you mean {match[0]!r}?"
    return f"known: {', '.join(known)}" if known else "none are known"


def unknown(kind: str, name: str, known: Iterable[str], where: str) -> ValueError:
    """The error for a name that does not exist."""
    return ValueError(f"{where}: unknown {kind} {name!r}; {nearest(name, known)}")


def read(path: Path = FILE) -> dict[str, Any]:
    """The whole file as plain values. Only safe YAML is read."""
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: not found; run from the root of the repository or the folder of a study"
        )
    content = yaml12.load(path.read_bytes(), str(path))
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a mapping of sections")  # noqa: TRY004 - a user's error
    return content


LITERAL = re.compile(r"'([^']*)'|([\d.]+)")  # in pydantic's list of what is valid


def parse(values: Any, model: type[Model], where: str) -> Model:
    """Validate ``values`` against ``model``; every error names the key and what is valid."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ValueError("; ".join(problems(error, model, where))) from None


def problems(
    error: ValidationError, model: type[BaseModel], where: str, *, skip: int = 0
) -> list[str]:
    """What is wrong with the values of a ``model``, a line a problem, in this project's words.

    ``skip``: how many parts of every problem's place are no keys.
    """
    return [
        _explain({**problem, "loc": problem["loc"][skip:]}, model, where)
        for problem in error.errors()
    ]


def section(name: str, model: type[Model], path: Path = FILE) -> Model:
    """The section ``name`` of the file as a ``model``."""
    content = read(path)
    if name not in content:
        raise ValueError(f"{path}: section {name!r} is missing; {nearest(name, content)}")
    return parse(content[name], model, f"{path}: {name}")


def item(name: str, key: str, model: type[Model], path: Path = FILE) -> Model:
    """One entry of a section that is a dictionary of named items (a split, a run)."""
    return parse(look_up(name, key, read(path), path), model, f"{path}: {name}.{key}")


def look_up(name: str, key: str, content: Mapping[str, Any], path: Path = FILE) -> Any:
    """What the section ``name`` of the content of ``path`` says of ``key``, as it stands there."""
    items = content.get(name)
    items = items if isinstance(items, dict) else {}
    if key not in items:
        raise unknown(name.removesuffix("s"), key, items, f"{path}: {name}")
    return items[key]


def _explain(problem: Any, model: type[BaseModel], where: str) -> str:
    location = [str(part) for part in problem["loc"]]
    key = ".".join([where, *location]) if location else where
    if problem["type"] in ("extra_forbidden", "missing"):
        owner = _owner(model, location[:-1])
        fields = _fields(owner) if owner else {}
        if problem["type"] == "missing":
            said = fields[location[-1]].description if location[-1] in fields else None
            return f"{key}: missing: {said}" if said else f"{key}: missing"
        if owner and (now := owner.renamed.get(location[-1])):
            return f"{key}: {now}"
        return f"{key}: unknown parameter; {nearest(location[-1], fields)}"
    if problem["type"] == "literal_error":
        found = LITERAL.findall(problem["ctx"]["expected"])
        valid = [word or number for word, number in found]
        return f"{key}: {problem['input']!r} is not valid; {nearest(str(problem['input']), valid)}"
    if problem["type"] == "model_type":
        return f"{key}: expected a mapping, but it is {problem['input']!r}"
    if problem["type"] == "value_error":  # of a validator of ours, which says what was given
        return f"{key}: {problem['ctx']['error']}"
    return f"{key}: {problem['msg']} (got {problem['input']!r})"


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model as a file names them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _owner(model: type[BaseModel], location: Sequence[str]) -> type[Strict] | None:
    """The model that lies at ``location`` below ``model``, where that is a plain nesting, or one of
    named items."""
    found: Any = model
    for part in location:
        if isinstance(found, type) and issubclass(found, BaseModel):
            field = _fields(found).get(part)
            found = field.annotation if field else None
        else:  # the name of an item
            found = get_args(found)[1] if get_origin(found) is dict else None
    return found if isinstance(found, type) and issubclass(found, Strict) else None
