"""Make a class list of a published list of WordNet's synonyms.

    python -m clipcause synonyms LOC_synset_mapping.txt imagenet-loc

writes `data/classes/imagenet-loc.yaml`, which a person may then edit. A line of the file is an id
and names: `n02084071 dog, domestic dog, Canis familiaris`, or with a tab behind the id; underscores
in names are spaces. The first name is the one for prompts. Where an id is a synset (`n02084071`,
`dog.n.01`), WordNet has its definition.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from clipcause.captions import classes, glosses
from clipcause.captions.classes import ClassNames
from clipcause.config import layout, yaml12
from clipcause.runtime import atomic


def read(path: Path) -> dict[str, ClassNames]:
    """The classes of such a file, in its order.

    A name that several classes have is a name of the only one that it comes first in, if there is
    one, and shared by the others. Raises ``ValueError`` naming the line.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8: {error}") from None
    return parse(lines, str(path))


def parse(lines: Iterable[str], where: str) -> dict[str, ClassNames]:
    """As ``read``, of the lines of a file; ``where`` is what errors call it."""
    names: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        key, _, rest = line.strip().partition("\t" if "\t" in line.strip() else " ")
        key = key.strip()
        own = [word for part in rest.split(",") if (word := _name(part))]
        if not key or not own:
            raise ValueError(f"{where}: line {number}: {line!r} is not an id and names")
        if key in names:
            raise ValueError(f"{where}: line {number}: the class {key!r} comes twice")
        names[key] = list(dict.fromkeys(own))
    if not names:
        raise ValueError(f"{where}: no line with an id and names")
    return _shared(names)


def content(known: dict[str, ClassNames], source: str) -> str:
    """The class list as a file that a person can edit; ``source`` is where it is from."""
    entries = {key: entry.model_dump(exclude_defaults=True) for key, entry in known.items()}
    head = f"# Made of {source} by `python -m clipcause synonyms`; edit it as you like.\n"
    return head + yaml.dump(
        entries,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=10_000,
    )


def main(file: str, name: str) -> str:
    """Write `data/classes/<name>.yaml`. Raises ``ValueError`` where there is one already."""
    source, path = Path(file), layout.classes(name)
    if path.exists():
        raise ValueError(f"{path}: exists already, and may have been edited; remove it first")
    known = read(source)
    text = content(known, source.name)
    with atomic.file(path) as out:
        out.write_text(text, "utf-8")
        classes.read(out)  # it is a class list, or nothing is written
    shared = sum(bool(entry.shared) for entry in known.values())
    return f"{path}, {len(known):,} classes, {shared:,} of which share a name with another"


def _name(text: str) -> str:
    return " ".join(text.replace("_", " ").split())


def _shared(names: dict[str, list[str]]) -> dict[str, ClassNames]:
    first, holders = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for key, own in names.items():
        first[own[0]].append(key)
        for word in own:
            holders[word].append(key)
    found: dict[str, ClassNames] = {}
    for key, own in names.items():
        kept = [word for word in own if [key] in (holders[word], first[word])]
        facts: dict[str, Any] = {"name": own[0], "names": kept}
        if others := [word for word in own if word not in kept]:
            facts["shared"] = others
        if glosses.NAME.fullmatch(key):
            facts["synset"] = key
        found[key] = ClassNames(**facts)
    return found


class _Dumper(yaml.SafeDumper):
    """Lists in one line, and never a reference to an earlier one."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Text; in quotes too where YAML 1.2 alone takes it for something else (``5e-5``)."""
        style = None if yaml12.is_text(data) else "'"
        return self.represent_scalar("tag:yaml.org,2002:str", data, style)


_Dumper.add_representer(str, _Dumper.represent_str)
