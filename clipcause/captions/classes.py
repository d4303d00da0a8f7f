"""Class lists that a person edits: ``data/classes/<list>.yaml``.

cat:                       # class id
  name: cat                # the word that prompts use
  names: [cat, kitten]     # names that say an image is of this class
  negatives: [cat litter]  # names that look like it and are not
  shared: [tom]            # names that other classes have too
  test_set: objectnet      # a class of one test set alone; its names may be other classes'
  covers: [n02123045]      # the classes of the list that it consists of
  subsets: [imagenet-r]    # test sets of some of the classes, this one too, in this order
  synset: cat.n.01         # WordNet's synset, as NLTK or ImageNet (n02121620) names it
  definition: a small pet  # what it is, in words of your own instead of WordNet's
"""

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, model_validator

from clipcause.config import Strict, nearest, parse, unknown, yaml12

SYNSET = re.compile(r"n\d{8}|\S+\.n\.\d+")


class ClassNames(Strict):
    """One class: the word for prompts, the names that mean it, the names that do not.

    All names may be ``shared`` with other classes (two birds and machines named crane).

    A class of one test set (ObjectNet's "alarm clock") covers classes of the list (analog clock,
    digital clock), which a classifier that learnt those answers for it.
    """

    name: str
    names: list[str]
    negatives: list[str] = Field(default_factory=list)
    shared: list[str] = Field(default_factory=list)
    test_set: str | None = None
    covers: list[str] = Field(default_factory=list)
    subsets: list[str] = Field(default_factory=list)
    synset: str | None = None
    definition: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> "ClassNames":
        known = [*self.names, *self.shared]
        if not self.name.strip() or not known or not all(word.strip() for word in known):
            raise ValueError("a class has a name and at least one entry in names, none empty")
        if self.synset is not None and not SYNSET.fullmatch(self.synset):
            raise ValueError(f"synset {self.synset!r} is no name such as cup.n.01 or n03147509")
        if self.definition is not None and not self.definition.strip():
            raise ValueError("the definition is empty; leave it out")
        return self


def read(path: Path) -> dict[str, ClassNames]:
    """Read a class list in the order of the file.

    Raises ``ValueError`` for a class id, a name or a word that comes twice and is not stated as
    shared: a name must say which class it means, among the classes of one test set or of none.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: not found")
    content = yaml12.load(path.read_bytes(), str(path))
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path}: expected a mapping of class ids")
    classes: dict[str, ClassNames] = {}
    for key, entry in content.items():
        if not isinstance(key, str):
            raise ValueError(f"{path}: class id {key!r} is not text; quote it")  # noqa: TRY004
        classes[key] = parse(entry, ClassNames, f"{path}: {key}")
    _check_names(path, classes)
    return classes


def own(classes: Mapping[str, ClassNames]) -> dict[str, ClassNames]:
    """The classes that are not of one test set alone, in the order of the list."""
    return {key: entry for key, entry in classes.items() if entry.test_set is None}


def subset(classes: Mapping[str, ClassNames], name: str, where: str) -> list[str]:
    """The ids of a test set's classes in the order of the list, as positions in it count them:
    those that name it among their subsets, or are classes of it alone.

    Raises ``ValueError`` where no class does, with the nearest name that one has.
    """
    found = [key for key, one in classes.items() if name in one.subsets or one.test_set == name]
    if not found:
        known = {name for one in classes.values() for name in [*one.subsets, one.test_set] if name}
        raise unknown("subset of the classes", name, known, where)
    return found


def _check_names(path: Path, classes: dict[str, ClassNames]) -> None:
    prompts: dict[tuple[str | None, str], str] = {}
    owners: dict[tuple[str | None, str], str] = {}
    for key, entry in classes.items():
        # a name that the class itself calls shared may be another's
        if entry.name not in entry.shared:
            other = prompts.setdefault((entry.test_set, entry.name), key)
            if other != key:
                raise ValueError(f"{path}: {other} and {key} are both named {entry.name!r}")
        for word in entry.names:
            place = entry.test_set, word
            if place in owners:
                raise ValueError(f"{path}: {word!r} is a name of {owners[place]} and of {key}")
            owners[place] = key
        for name, words in (("negatives", entry.negatives), ("shared", entry.shared)):
            if both := set(entry.names) & set(words):
                raise ValueError(f"{path}: {key}: {min(both)!r} is in names and in {name}")
        for covered in entry.covers:
            if covered not in classes:
                raise ValueError(
                    f"{path}: {key}: covers {covered!r}, which is not in the list; "
                    f"{nearest(covered, classes)}"
                )
