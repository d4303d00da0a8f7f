"""Does `dvc.lock` fit the code and the parameters? Run as `python -m tests.lock`; exit 1 if not.

Looked at in a copy of the tracked files: data that happens to lie in this folder must not change
the answer. `dvc repro --dry` exits 0 whatever it finds, and with `--allow-missing` it passes over
stages that the lock has never heard of and over metrics that are not there; all are looked for.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

CODE = "data/code"  # what stages depend on instead of modules; `check` makes it


def run(*words: str, folder: Path = Path()) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stderr}")
    return done.stdout


def copy(folder: Path) -> set[str]:
    """Copy the tracked files, as they stand here, into ``folder``; their names."""
    names = {name for name in run("git", "ls-files", "-z").split("\0") if Path(name).is_file()}
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(name, target)
    run("git", "init", "-q", folder=folder)
    return names


def remove(path: Path, root: Path) -> None:
    """Remove a file or folder, and the folders above it that this leaves empty."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    for parent in path.relative_to(root).parents:
        if any((root / parent).iterdir()):
            return
        (root / parent).rmdir()


def stale(folder: Path, tracked: set[str]) -> list[str]:
    """Stages that `dvc repro` would run for another reason than that their outputs are not here."""

    def dvc(*words: str) -> str:
        return run(sys.executable, "-m", "dvc", *words, folder=folder)

    stages = dvc("stage", "list", "--name-only").split()
    lock = folder / "dvc.lock"
    locked = yaml.safe_load(lock.read_text())["stages"] if lock.exists() else {}
    absent = [f"{name}: not in dvc.lock" for name in stages if name not in locked]
    gone = [f"{name}: in dvc.lock, but not a stage" for name in locked if name not in stages]
    kept = [
        out["path"]
        for stage in locked.values()
        for out in stage.get("outs", ())
        if out["path"].startswith(("metrics/", "report/")) and not out["path"].endswith(".html")
    ]
    lost = [
        f"{path}: not in git"
        for path in kept
        if path not in tracked and not any(name.startswith(f"{path}/") for name in tracked)
    ]
    if absent or gone or lost:
        return absent + gone + lost
    # the lists of code that stages depend on, as they would be, made of the tracked files; other
    # outputs of `check` would be pieces of folders that are not here, and pass for changed ones
    run(sys.executable, "-m", "stages.check", folder=folder)
    for out in locked["check"]["outs"]:
        if out["path"] != CODE:
            remove(folder / out["path"], folder)
    words = (sys.executable, "-m", "dvc", "repro", "--allow-missing", "--dry")
    dry = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
    # a stage that would run needs data, which is not here: DVC stops at it
    stopped = [line for line in dry.stderr.splitlines() if line] if dry.returncode else []
    return [line for line in dry.stdout.splitlines() if line.startswith("Running")] + stopped


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = stale(Path(folder), copy(Path(folder)))
    if lines:
        print("dvc.lock does not fit code and parameters:", *lines, sep="\n  ", file=sys.stderr)
        print("run `dvc repro` and commit dvc.lock and metrics/", file=sys.stderr)
        raise SystemExit(1)
    print("dvc.lock fits code and parameters")


if __name__ == "__main__":
    main()
