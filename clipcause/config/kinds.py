"""Items that come in kinds, told apart by one key: `rule` of a split, `source` of a data set.

A kind is a model whose field of that name is a literal. The kinds are looked for in the modules of
a package, so that a new one is a new file and nothing else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pkgutil import ModuleInfo
from typing import Annotated, Any, Generic, Literal, Union, get_args, get_origin

from pydantic import Field, TypeAdapter, ValidationError

from clipcause.config import Model, problems, unknown


@dataclass(frozen=True)
class Kinds(Generic[Model]):
    """A discriminated union: the models by the words that ``key`` can say."""

    key: str
    models: Mapping[str, type[Model]]

    @cached_property
    def _union(self) -> TypeAdapter:
        # a union of members that are only known now, for which annotations have no notation
        members: Any = Union[tuple(dict.fromkeys(self.models.values()))]  # noqa: UP007
        return TypeAdapter(Annotated[members, Field(discriminator=self.key)])

    def parse(self, values: Any, where: str) -> Model:
        """One item as the model of its kind; errors are those of ``config.parse``."""
        try:
            return self._union.validate_python(values)
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"] == "union_tag_invalid":
                raise unknown(self.key, str(values[self.key]), self.models, where) from None
            if first["type"] == "union_tag_not_found":
                known = ", ".join(sorted(self.models))
                raise ValueError(f"{where}: {self.key} is missing: one of {known}") from None
            if not isinstance(values, dict):
                raise ValueError(f"{where}: expected a mapping, but it is {values!r}") from None  # noqa: TRY004
            # pydantic names the kind first, which is no key of the item
            model = self.models[str(first["loc"][0])]
            raise ValueError("; ".join(problems(error, model, where, skip=1))) from None


def find(package: str, modules: Iterable[ModuleInfo], base: type[Model], key: str) -> Kinds[Model]:
    """The kinds in the ``modules`` of a package, which the package itself lists (by `pkgutil`), so
    that they are seen to be code of what imports it.

    A kind is a subclass of ``base`` that a module defines and whose ``key`` is a literal. Raises
    ``TypeError`` where two of them say the same word.
    """
    found: dict[str, type[Model]] = {}
    for info in modules:
        module = import_module(f"{package}.{info.name}")
        for model in vars(module).values():
            if not isinstance(model, type) or model.__module__ != module.__name__:
                continue
            for word in _words(model, key) if issubclass(model, base) else ():
                if word in found:
                    raise TypeError(f"{model} and {found[word]} are both {key} {word!r}")
                found[word] = model
    return Kinds(key, found)


def _words(model: type[Model], key: str) -> tuple[str, ...]:
    field = model.model_fields.get(key)
    literal = field is not None and get_origin(field.annotation) is Literal
    return get_args(field.annotation) if field is not None and literal else ()
