"""Studies: one folder each below ``studies/``, a DVC project of its own inside the repository.

A study has its own ``params.yaml``, ``dvc.lock``, ``metrics/`` and ``report/``; code, class lists
and plots' templates are links to the repository's, so that every command and path of `dvc.yaml`
reads the same in all of them: DVC's run cache then gives one study what another has made.

``dvc.yaml`` is a copy and not a link: DVC cannot read a linked one in a git revision, and then
`dvc metrics diff`, `dvc params diff` and `dvc exp show` fail for the whole repository
(``findings/dvc_linked_dvcyaml.sh``). And a study is a DVC project of its own (`dvc init --subdir`),
for else one study with an invalid ``params.yaml`` would stop all others, and every command would
load and list all of them.
"""

import argparse
import os
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from clipcause.check.item_names import NO_TEXT
from clipcause.config import FILE, read, unknown, yaml12

FOLDER = Path("studies")
DEFAULT = "default"  # the study at the root of the repository
NONE = "none"
PARENT = "parent"  # the key that names the study that this one was made from
PIPELINE = Path("dvc.yaml")
PLOTS = Path("report/dvc.yaml")  # the figures'
# what a study shares with the repository: committed code and inputs, never anything that is made
SHARED = ("stages", "clipcause", "code", "data/classes", "data/icons", ".dvc/plots")
CONFIG = """\
[core]
    analytics = false
    check_update = false
    autostage = true
[cache]
    dir = ../../../.dvc/cache
"""
# folders that stages read whole, and in which a study may have nothing
READ_WHOLE = ("metrics/probe", "metrics/intraclass", "lists")
IGNORED = "/config.local\n/tmp\n/cache\n"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
DATA = re.compile(r"\bDATA(/[\w./-]*)")  # a path in the folder of a user's data, in a template


class Absent:
    """What stands for the value of a key that one of two studies lacks."""

    def __repr__(self) -> str:
        return "not there"


ABSENT = Absent()


class Difference(NamedTuple):
    """One key that a study and its parent have unlike values of, ``ABSENT`` where one lacks it."""

    key: str
    own: Any
    parent: Any

    def __str__(self) -> str:
        return f"{self.key}: {_said(self.own)} (parent: {_said(self.parent)})"


def names(root: Path = Path()) -> list[str]:
    """The studies of the repository, the default first."""
    return [DEFAULT, *sorted(path.parent.name for path in (root / FOLDER).glob(f"*/{FILE}"))]


def folder(name: str, root: Path = Path()) -> Path:
    """Where a study lies. Raises ``ValueError`` with the nearest name where there is none."""
    if name not in names(root):
        if not (root / FILE).exists():
            raise FileNotFoundError(
                f"{FILE}: not found; run from the root of the repository or the folder of a study"
            )
        raise unknown("study", name, names(root), str(FOLDER))
    return root if name == DEFAULT else root / FOLDER / name


@contextmanager
def inside(name: str, root: Path) -> Generator[None]:
    """Work in the folder of a study; what is wrong there is said with its name."""
    with chdir(folder(name, root)):
        try:
            yield
        except ValueError as error:
            raise ValueError(f"study {name}: {error}") from None


def repository() -> Path:
    """The root of the repository, seen from the folder of any of its studies."""
    return Path("stages").resolve().parent


def create(name: str, source: str, data: Path | None = None, root: Path = Path()) -> Path:
    """Make the folder of a new study with the parameters of ``source``, its parent.

    ``data``, absolute or relative to the current folder, takes the place of ``DATA`` in the paths
    of the parameters. Raises ``ValueError`` for a name that a folder or DVC cannot have, an unknown
    parent, and data that is not there; ``FileExistsError`` for a study that exists.
    """
    if not NAME.fullmatch(name) or name in (DEFAULT, NONE):
        raise ValueError(f"{name!r}: a study's name has letters, digits, - and _, no others")
    if NO_TEXT.fullmatch(name):  # as the `parent` of another
        raise ValueError(f"{name!r}: YAML takes this name for another thing than text")
    target = root / FOLDER / name
    if target.exists():
        raise FileExistsError(f"{target}: it exists; choose another name")
    text = (folder(source, root) / FILE).read_text()
    if data is not None:
        if not data.is_dir():
            raise ValueError(f"{data.absolute()}: no such folder; DATA is where your pictures lie")
        if not DATA.search(text):
            raise ValueError(f"study {source!r} has no place for data of yours; take FROM=own")
        where = placed(data, target)
        text = DATA.sub(lambda found: _said([where + found[1]])[1:-1], text)
    target.mkdir(parents=True)
    (target / FILE).write_text(with_parent(text, source))
    renew(target)
    return target


def placed(data: Path, study: Path) -> str:
    """How a study's parameters name a path: relative where it lies in the repository, which copies
    of the repository have too, else absolute."""
    whole, top = data.resolve(), study.resolve().parents[1]
    return os.path.relpath(whole, study.resolve()) if whole.is_relative_to(top) else str(whole)


def with_parent(text: str, parent: str) -> str:
    """A parameter file whose first key names its parent; comments and layout stay."""
    line = f"{PARENT}: {parent}"
    found = re.compile(rf"^{PARENT}:.*$", re.MULTILINE)
    if found.search(text):
        return found.sub(line, text, count=1)
    # below the comment at the head of the file
    head = re.match(r"(?:#.*\n)*", text)
    assert head is not None
    return f"{text[: head.end()]}{line}\n{text[head.end() :]}"


def renew(study: Path) -> list[str]:
    """Bring what a study shares up to the repository's: links, ``dvc.yaml``, DVC's own files.

    The paths that were written; none where all was right. ``params.yaml`` is never touched.
    """
    copied = [path for path in (PIPELINE, PLOTS) if (study / "../.." / path).exists()]
    files = {
        **{str(path): (study / "../.." / path).read_text() for path in copied},
        ".dvc/config": CONFIG,
        ".dvc/.gitignore": IGNORED,
        **{f"{path}/.gitkeep": "" for path in READ_WHOLE},
    }
    written = []
    for path, content in files.items():
        target = study / path
        # a person's remote stands in the configuration too: what is there stays
        kept = path == ".dvc/config" and target.exists()
        if not kept and (not target.is_file() or target.read_text() != content):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)
            written.append(path)
    for path in SHARED:
        link, up = study / path, Path(*[".."] * (2 + path.count("/")))
        if not link.is_symlink() or link.readlink() != up / path:
            if link.is_dir() and not link.is_symlink():
                raise ValueError(f"{link}: a folder where a link to {up / path} belongs; move it")
            link.unlink(missing_ok=True)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(up / path)
            written.append(path)
    return written


def parent(content: Mapping[str, Any], where: str, root: Path) -> str:
    """The name of a study's parent, or ``none``."""
    name = content.get(PARENT, NONE)
    known = names(root)
    if name != NONE and name not in known:
        raise unknown("study", str(name), known, f"{where}: {PARENT}")
    return str(name)


def differences(
    content: Mapping[str, Any], parent: Mapping[str, Any], above: str = ""
) -> Iterator[Difference]:
    """The keys whose values are unlike, in the study's order; then what only its parent has.

    What one of them lacks is one difference, however much is in it.
    """
    for name in [*content, *(name for name in parent if name not in content)]:
        mine, theirs = content.get(name, ABSENT), parent.get(name, ABSENT)
        key = f"{above}{name}"
        if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
            yield from differences(mine, theirs, f"{key}.")
        elif key != PARENT and mine != theirs:
            yield Difference(key, mine, theirs)


def told(path: Path = FILE) -> list[str]:
    """What a study has otherwise than its parent, a line each; none where it has no parent."""
    content, root = read(path), repository()
    if (name := parent(content, str(path), root)) == NONE:
        return []
    found = differences(content, read(folder(name, root) / FILE))
    return [str(one) for one in found]


def _said(value: Any) -> str:
    """A value as YAML has it, on one line."""
    return repr(value) if isinstance(value, Absent) else yaml12.line(value)


def main(*words: str) -> str:
    """Make a study, list them, or bring what they share up to the repository's."""
    parser = argparse.ArgumentParser(prog="python -m clipcause study", description=__doc__)
    parser.add_argument("name", nargs="?", help="of the new study: a folder below studies/")
    parser.add_argument("--from", dest="source", default=DEFAULT, help="whose parameters it takes")
    parser.add_argument("--data", help="the folder of your data; its place in a template is DATA")
    parser.add_argument("--stand", default=".", help="the folder that --data is relative to")
    parser.add_argument("--renew", action="store_true", help="write what studies share anew")
    said = parser.parse_args(words)
    root = repository()
    if said.renew:
        written = [
            str(FOLDER / name / path)
            for name in names(root)[1:]
            for path in renew(folder(name, root))
        ]
        return f"{', '.join(written) or 'nothing'} to change; all are up to date"
    if said.name is None:
        return " ".join(names(root))
    # here, for it imports this module
    from clipcause.check import parameters

    with inside(said.source, root):  # a fault would be copied
        parameters.check(FILE, here=False)
    data = Path(said.stand, said.data) if said.data else None
    target = create(said.name, said.source, data, root)
    return f"{target.relative_to(root)} is made from {said.source}; `make repro STUDY={said.name}`"
