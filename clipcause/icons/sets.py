"""`data/icons/sets.yaml`: what a person has to know about the icon sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from clipcause.config import Strict, parse, read


@dataclass(frozen=True)
class Sets:
    """What the data file says, by set."""

    leave_out: Mapping[str, str]
    renditions: frozenset[str]
    family: Mapping[str, str]
    badges: frozenset[str] = frozenset()


class SetsFile(Strict):
    """The data file as it stands."""

    leave_out: dict[str, str]
    renditions: dict[str, list[str]]
    families: dict[str, list[str]]
    badges: list[str] = Field(default_factory=list)


def read_sets(path: Path) -> Sets:
    """Read the data file; a set in two families is an error."""
    content = parse(read(path), SetsFile, str(path))
    family: dict[str, str] = {}
    for name, members in content.families.items():
        for prefix in members:
            if prefix in family:
                raise ValueError(f"{path}: {prefix} stands in {family[prefix]} and {name}")
            family[prefix] = name
    renditions = frozenset(p for group in content.renditions.values() for p in group)
    return Sets(content.leave_out, renditions, family, frozenset(content.badges))
