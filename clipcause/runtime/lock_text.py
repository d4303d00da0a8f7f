"""`dvc.lock` with the entry of one stage renewed, as DVC would write it, without reading the rest.

DVC parses and writes the whole file for every stage, with a parser that keeps comments: a second
and more where there are a hundred stages. Its text is one block a stage; here the block of one is
put in the place of the old one, and a new one where a run of one stage after the other puts it.
"""

import re
from collections.abc import Sequence

HEAD = "schema: '2.0'\nstages:\n"
ENTRY = re.compile(r"^  ([A-Za-z_][\w@./+-]*):\n", re.MULTILINE)  # a name that needs no quotes


def entries(text: str) -> dict[str, str] | None:
    """Name to block of a lock file, in its order; None where it is not as DVC writes it."""
    body = text.removeprefix(HEAD)
    found = list(ENTRY.finditer(body))
    if body == text or not found or found[0].start() != 0:
        return None
    ends = [one.start() for one in found[1:]] + [len(body)]
    blocks = {one[1]: body[one.start() : end] for one, end in zip(found, ends, strict=True)}
    inner = (line for block in blocks.values() for line in block.splitlines()[1:])
    if len(blocks) < len(found) or not all(line.startswith("    ") for line in inner):
        return None
    return blocks


def in_order(names: Sequence[str], first: Sequence[str], plan: Sequence[str]) -> list[str]:
    """The ``names`` of entries as they follow one another: the ``first``, which were there before
    a run, in their order, then the rest in that of its ``plan``, as if they had ended in it."""
    place: dict[str, int] = {}
    for one in (*first, *plan, *names):
        place.setdefault(one, len(place))
    return sorted(names, key=place.__getitem__)


def renewed(text: str, name: str, block: str, first: Sequence[str], plan: Sequence[str]) -> str:
    """The lock file ``text`` with ``block`` as the entry of ``name``, `in_order`.

    Raises ``ValueError`` where `entries` finds none.
    """
    blocks = entries(text)
    if blocks is None:
        raise ValueError("dvc.lock is not as DVC writes it")
    blocks[name] = block
    return HEAD + "".join(blocks[one] for one in in_order(list(blocks), first, plan))
