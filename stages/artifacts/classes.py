"""Class lists that a person edits: ``data/classes/<list>.yaml``.

cat:                       # class id
  name: cat                # the word that prompts use
  names: [cat, kitten]     # names that say an image is of this class
  negatives: [cat litter]  # names that look like it and are not
"""

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, model_validator
from yaml.constructor import ConstructorError

from stages.parameters import Strict, parse


class ClassNames(Strict):
    """One class: the word for prompts, the names that mean it, the names that do not."""

    name: str
    names: list[str]
    negatives: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _complete(self) -> "ClassNames":
        if not self.name.strip() or not self.names or not all(word.strip() for word in self.names):
            raise ValueError("a class has a name and at least one entry in names, none empty")
        return self


def read(path: Path) -> dict[str, ClassNames]:
    """Read a class list in the order of the file.

    Raises ``ValueError`` for a class id, a name or a word that comes twice: a name must say which
    class it means.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: not found")
    try:
        content = yaml.load(path.read_text(), Loader=_Unique)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path}: expected a mapping of class ids")
    classes: dict[str, ClassNames] = {}
    for key, entry in content.items():
        if not isinstance(key, str):
            raise ValueError(f"{path}: class id {key!r} is not text; quote it")  # noqa: TRY004
        classes[key] = parse(entry, ClassNames, f"{path}: {key}")
    _check_names(path, classes)
    return classes


def _check_names(path: Path, classes: dict[str, ClassNames]) -> None:
    prompts: dict[str, str] = {}
    owners: dict[str, str] = {}
    for key, entry in classes.items():
        if entry.name in prompts:
            raise ValueError(
                f"{path}: {prompts[entry.name]} and {key} are both named {entry.name!r}"
            )
        prompts[entry.name] = key
        for word in entry.names:
            if word in owners:
                raise ValueError(f"{path}: {word!r} is a name of {owners[word]} and of {key}")
            owners[word] = key
        if both := set(entry.names) & set(entry.negatives):
            raise ValueError(f"{path}: {key}: {min(both)!r} is in names and in negatives")


class _Unique(yaml.SafeLoader):
    """Safe YAML in which a key that comes twice is an error instead of the last one winning."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise ConstructorError(None, None, f"{key!r} comes twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)
