"""A stage's code stays as it was from the first file that Python read to the end of the stage.

DVC hashes the dependencies of a stage after its command has ended: what is edited meanwhile would
be recorded as the code of a result that it did not make, and served for it later. So a stage ends
with an error, and is not recorded, where a file of its code was written to since the process began.
That the file says again what it said does not help: what a worker read meanwhile is not known.
"""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import clipcause
from clipcause.runtime import code, imports

AGAIN = "what it makes is of no one code and is not recorded; run it again"


@dataclass(frozen=True)
class Mark:
    """By what a file is seen to have been written to."""

    node: int
    size: int
    modified: int  # ns
    changed: int  # ns; of mode and links too, so that it alone proves nothing
    sha256: str

    @staticmethod
    def of(path: Path) -> "Mark":
        stat = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return Mark(stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, digest)

    def holds(self, path: Path) -> bool:
        """Whether the file is as it was."""
        try:
            stat = path.stat()
            if (stat.st_ino, stat.st_size, stat.st_mtime_ns) != (
                self.node,
                self.size,
                self.modified,
            ):
                return False
            if stat.st_ctime_ns == self.changed:
                return True
            return hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256
        except OSError:
            return False


@dataclass(frozen=True)
class Running:
    """The stage of this process: its module, and its files by the names of the links to them."""

    module: str
    files: dict[str, Path]
    marks: dict[str, Mark]

    def problem(self) -> str | None:
        """What was written to since the start; None where nothing was."""
        folder = code.folder(self.module)
        for name, path in self.files.items():
            if not self.marks[name].holds(path):
                return f"{path} was written to while the stage ran: {AGAIN}"
            link = folder / name
            if not link.is_symlink() or link.readlink().as_posix() != code.link(path):
                return f"{link} was changed while the stage ran: {AGAIN}"
        return None

    def stranger(self) -> str | None:
        """A module of ours in this process that DVC does not watch; None where there is none."""
        watched = {path.resolve() for path in self.files.values()}
        for name, module in sorted(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file is None or name.split(".")[0] not in (*imports.PACKAGES, "__main__"):
                continue
            path = Path(file).resolve()
            if path in watched:
                continue
            own = imports.module_file(self.module if name == "__main__" else name)
            if own is not None and own.resolve() != path:
                return f"{path} is loaded, and not {own} of this folder; is PYTHONPATH set?"
            return (
                f"{path} is loaded, and {code.folder(self.module)} has no link to it; name the "
                "module in an import statement of a file that the stage imports"
            )
        return None


_running: Running | None = None


def begin(module: str) -> None:
    """Take down the code of the stage ``module`` as the process has read it.

    Raises ``ValueError`` where the folder of its code is out of date, where code was written to
    since the process began, and where modules are not those of the current folder. Does nothing
    where there is no folder `code`: a stage that is run elsewhere, by hand, is recorded nowhere.
    """
    global _running
    if not code.FOLDER.is_dir():
        return
    files = imports.files(module)
    if problem := code.outdated(module, files):
        raise ValueError(problem)
    marks = {name: Mark.of(path) for name, path in files.items()}
    for name, mark in marks.items():
        if mark.changed > clipcause.STARTED_NS:
            raise ValueError(f"{files[name]} was written to while the stage started; run it again")
    _running = Running(module, files, marks)
    _stop_where(_running.stranger())


def running() -> Running | None:
    """The stage of this process, for a worker of it."""
    return _running


def follow(stage: Running | None) -> None:
    """In a worker: the code is to stay as it was when the stage began."""
    global _running
    _running = stage


def check() -> None:
    """Raise ``ValueError`` where the running stage's code was written to since it began.

    Called before anything is kept under a name that states the code, and at the end. In a process
    that runs no stage nothing is looked at.
    """
    if _running is not None:
        _stop_where(_running.problem())


def end() -> None:
    """As `check`, and where a module was loaded that DVC does not watch."""
    check()
    if _running is not None:
        _stop_where(_running.stranger())


def _stop_where(problem: str | None) -> None:
    if problem is not None:
        raise ValueError(problem)
