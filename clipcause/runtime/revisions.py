"""Files as they were at a git revision, from git and the DVC cache, without touching the workspace.

Names that a person gives are ``name``, of the workspace, or ``REV:name``.
"""

from pathlib import Path
from typing import Any

HEAD = "HEAD"


def parse(words: str, kind: str) -> tuple[str | None, str]:
    """``REV:name`` as revision and name; the revision is None where none is given.

    Names of items are folder names without a colon or a slash; ``:name`` is that of HEAD.
    """
    revision, colon, name = words.rpartition(":")
    if not name or "/" in name:
        raise ValueError(f"{words!r}: expected the name of a {kind}, or REV:name")
    return (revision or HEAD) if colon else None, name


class Workspace:
    """The files as they lie here or in a folder, read as those of a revision are."""

    name = ""

    def __init__(self, root: Path = Path()) -> None:
        self._root = root

    def where(self, path: Path) -> str:
        """The path, for messages."""
        return (self._root / path).as_posix()

    def read(self, path: Path) -> bytes:
        """The bytes of a file; ``KeyError`` for one that is not here."""
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            raise KeyError(self.where(path)) from None


class Revision:
    """A study at one git revision, read through DVC's file system.

    Raises ``ValueError`` with what git says of an unknown revision or where this is no repository,
    or saying that the study has to be committed where the revision does not have its folder.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._files: Any = self._asked(name, _opened, name)

    def where(self, path: Path) -> str:
        """The path at this revision, as git writes it, for messages."""
        return f"{self.name}:{path.as_posix()}"

    def read(self, path: Path) -> bytes:
        """The bytes of a file.

        Raises ``KeyError`` for one that the revision does not know, and ``FileNotFoundError``,
        which says what to do, for one whose bytes are not here.
        """
        where = self.where(path)
        try:
            return self._asked(where, self._files.read_bytes, path.as_posix())
        except FileNotFoundError as error:
            if not self._knows(path):
                raise KeyError(where) from None
            raise FileNotFoundError(
                f"{where}: known at that revision, but its bytes are not in the DVC cache "
                f"({error}); run `dvc fetch --all-commits`, with `-r published` for what the "
                "repository itself keeps, or make it again"
            ) from None

    def names(self, folder: Path) -> list[str]:
        """What a folder holds; nothing where there is no such folder."""
        place = folder.as_posix()
        if not self._asked(place, self._files.exists, place):
            return []
        try:
            found = self._asked(place, self._files.ls, place, detail=False)
        except FileNotFoundError:  # a folder of DVC's whose list is not in the cache
            return []
        return sorted(Path(path).name for path in found)

    def _knows(self, path: Path) -> bool:
        """Whether a file is there; one in a folder of DVC's whose list is missing probably is."""
        listed = self.names(path.parent)
        parent = path.parent
        return path.name in listed or (not listed and parent.name in self.names(parent.parent))

    @staticmethod
    def _asked(where: str, call: Any, *words: Any, **named: Any) -> Any:
        """What DVC answers; its own errors as one line that names what was asked for."""
        from dvc.exceptions import DvcException
        from dvc_data.index.index import DataIndexDirError
        from scmrepo.exceptions import SCMError

        try:
            return call(*words, **named)
        except FileNotFoundError:
            raise
        except DataIndexDirError as error:  # the list of a folder is in no cache
            raise FileNotFoundError(str(error)) from None
        except (DvcException, SCMError) as error:
            raise ValueError(f"{where}: {error}") from None


def _opened(revision: str) -> Any:
    """DVC's file system of the study that the current folder is in, at a revision.

    Given a revision alone, DVC opens the repository's root, which is another project than a study
    in a folder of its own; and the place of its cache, which the study's configuration gives from
    its folder, is to be had from the folder as it is here.
    """
    # DVC takes a second to import and is only needed here
    from dvc.api import DVCFileSystem
    from dvc.fs import GitFileSystem
    from dvc.repo import Repo
    from scmrepo.exceptions import RevError

    here = Repo()
    git: Any = here.scm  # where there is none, what is asked of it is an error that says so
    inner = Path(here.root_dir).resolve().relative_to(Path(git.root_dir).resolve())
    try:
        commit = git.resolve_rev(revision)
    except RevError:
        if revision != HEAD:
            raise
        raise ValueError(f"{HEAD}: nothing is committed yet; commit this study first") from None
    files = GitFileSystem(scm=git, rev=commit)
    if not files.isdir(str(Path("/") / inner)):
        raise ValueError(
            f"{revision}: this study ({inner}) is not in it; commit the study first, or name a "
            "revision that has it"
        )
    cache = {"cache": {"dir": here.cache.local_cache_dir}}
    return DVCFileSystem(
        repo=Repo(root_dir=str(Path("/") / inner), fs=files, scm=git, config=cache)
    )
