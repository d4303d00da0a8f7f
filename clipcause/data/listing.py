"""What lies at a place outside of the repository, as a file that DVC compares: ``data/places/``.

A line a file, JSON each, in the order of the names: name, bytes, stamp; the first line has the
place. A stamp is what the file system says at once: of a file of this machine the time of its last
change (ns), of an object store the ETag or the like (``clipcause.data.place.STAMPS``). Nothing is
opened, so that a file that was touched and is as it was counts as changed: what reads it reads it
again, and what that makes has the bytes that it had.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

from clipcause.config import layout, places
from clipcause.data import hub, place, tree
from clipcause.data.place import Facts
from clipcause.runtime import atomic

LISTED = "CLIPCAUSE_LISTED"  # a variable of the environment: places are not looked at


class Change(NamedTuple):
    """How a listing differs from the one before, in files."""

    files: int
    new: int
    gone: int
    other: int  # of another size or stamp

    def __str__(self) -> str:
        if not (self.new or self.gone or self.other):
            return f"{self.files:,} files, as they were"
        return f"{self.files:,} files: {self.new:,} new, {self.gone:,} gone, {self.other:,} changed"


def write(name: str) -> str:
    """Bring the listing of the place ``name`` up to date; what changed, in words.

    Raises ``ValueError`` where the place cannot be listed, with what to do to go on without.
    """
    target, where = layout.place(name), places.load(name)
    if _is_enough(target):
        return f"{where} is not looked at ({LISTED}); what was listed stands"
    text = _text(where, target)
    before = target.read_text() if target.exists() else ""
    _check_commit(where, before, text)
    if text != before:  # a file that stays as it is need not be hashed again
        with atomic.file(target) as temporary:
            temporary.write_text(text)
    return f"{where}: {_change(before, text)}"


def holds(name: str) -> bool:
    """Whether the listing of the place ``name`` is there and says what lies there now."""
    target, where = layout.place(name), places.load(name)
    return target.exists() and (_is_enough(target) or target.read_text() == _text(where, target))


def _is_enough(target: Path) -> bool:
    return bool(os.environ.get(LISTED)) and target.exists()


def _text(where: str, target: Path) -> str:
    try:
        found = files(where)
    except Exception as error:  # what drivers of object stores raise is of no one kind
        name = target.name
        advice = (
            f"to go on from what is listed in {target}: {LISTED}=1 make repro"
            if target.exists()
            else f"nothing was listed before; mend {places.SECTION}.{name} or the way there"
        )
        said = " ".join(str(error).removeprefix(f"{where}: ").split()) or type(error).__name__
        raise ValueError(f"{where} cannot be listed: {said}; {advice}") from error
    lines = [[where], *([name, *facts] for name, facts in found.items())]
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def files(where: str) -> dict[str, Facts]:
    """Every file at a place, by its name below it, in their order; a file is one by itself.

    Of this machine links are followed. One that leads nowhere, or round in a circle, has no bytes,
    and for a stamp what is wrong with it.
    """
    if place.is_url(where):
        found = place.listing(where, again=True)
        return {name or where.rsplit("/", 1)[-1]: facts for name, facts in found.items()}
    root = Path(where)
    if root.is_file():
        return {root.name: place.facts(where)}
    if not root.is_dir():
        raise FileNotFoundError("no such file or folder")
    listed = {str(one.name): _facts(root, one) for one in tree.files(root)}
    return dict(sorted(listed.items()))


def _check_commit(where: str, before: str, now: str) -> None:
    """Raise ``ValueError`` where a commit of the hub has another thing than it had: a commit is
    what it is, so that one of the two listings is not what it says."""
    lines = before.splitlines()
    if not hub.is_hub(where) or before == now or lines[:1] != now.splitlines()[:1]:
        return
    old, new = _entries(before), _entries(now)
    (name, *_) = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    raise ValueError(
        f"{place.join(where, name)}: changed under its commit: the hub said {old.get(name)} of "
        f"bytes and hash before, and now {new.get(name)}; take a newer commit for {where}"
    )


def _facts(root: Path, one: tree.Found) -> Facts:
    if one.why in (tree.DEAD, tree.CIRCLE):
        return Facts(0, one.why)
    try:
        status = os.stat(os.path.join(root, one.name))  # noqa: PTH116, PTH118 - of a million
    except FileNotFoundError:  # since the folder was read
        return Facts(0, tree.DEAD)
    return Facts(status.st_size, str(status.st_mtime_ns))


def _change(before: str, now: str) -> Change:
    old, new = _entries(before), _entries(now)
    other = sum(old[name] != new[name] for name in old.keys() & new.keys())
    return Change(len(new), len(new.keys() - old.keys()), len(old.keys() - new.keys()), other)


def _entries(text: str) -> dict[str, tuple[int, str]]:
    lines = (json.loads(line) for line in text.splitlines()[1:])
    return {name: (size, stamp) for name, size, stamp in lines}
