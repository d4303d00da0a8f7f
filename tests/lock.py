"""Does `dvc.lock` fit the code and the parameters? Run as `python -m tests.lock`; exit 1 if not.

`python -m tests.lock studies/x` looks at the lock of a study.

Looked at in a copy of the tracked files: data that happens to lie in this folder must not change
the answer. `dvc repro --dry` exits 0 whatever it finds, and with `--allow-missing` it passes over
stages that the lock has never heard of and over metrics that are not there; all are looked for.

It also passes over an output that is newer than what the next stage read of it, where that stage
reads a folder with several outputs, or a file inside one: the lock has a hash of the whole and of
the part, and only the data say whether they belong together. So that is written down where the data
are, in `dvc.read.json` beside the lock, by `python -m tests.lock --write`.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

READ = "dvc.read.json"
WRITE = "`python -m tests.lock --write`"

Lock = dict[str, dict[str, Any]]  # the entries of `dvc.lock` by their stages


def run(*words: str, folder: Path = Path()) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stderr}")
    return done.stdout


def copy(folder: Path) -> set[str]:
    """Copy the tracked files, as they stand here, into ``folder``; their names."""
    listed = run("git", "ls-files", "-z").split("\0")
    names = {name for name in listed if name and (Path(name).is_file() or Path(name).is_symlink())}
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(name, target, follow_symlinks=False)
    run("git", "init", "-q", folder=folder)
    return names


def locks(folder: Path) -> Lock:
    """The entries of `dvc.lock`, none where there is no file."""
    path = folder / "dvc.lock"
    return yaml.safe_load(path.read_text())["stages"] if path.exists() else {}


def related(locked: Lock) -> dict[str, dict[str, dict[str, Any]]]:
    """What stages read that is no output and is related to outputs: their hash and these outputs'.

    By stage and path of the dependency, which is a folder above the outputs or lies inside one.
    """
    outs = {out["path"]: out["md5"] for entry in locked.values() for out in entry.get("outs", ())}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name, entry in locked.items():
        for dep in entry.get("deps", ()):
            path = dep["path"]
            near = {out: md5 for out, md5 in outs.items() if _holds(out, path) or _holds(path, out)}
            if near and path not in outs:
                found.setdefault(name, {})[path] = {"md5": dep["md5"], "outs": near}
    return found


def _holds(folder: str, path: str) -> bool:
    return path.startswith(f"{folder}/")


def unread(locked: Lock, known: dict[str, Any]) -> list[str]:
    """Stages that have not read what others made, or of which that is not known.

    ``known`` are the dependencies that are written down, by path.
    """
    lines = []
    for name, deps in related(locked).items():
        for path, found in deps.items():
            noted = known.get(path, {"md5": None, "outs": {}})
            if found == noted:
                continue
            outs = {*found["outs"].items()} ^ {*noted["outs"].items()}
            others = ", ".join(sorted({out for out, _ in outs})) or "its outputs"
            lines.append(
                f"{name}: read another {path} than that of {others}, or it is not written down"
            )
    return lines


def write(folder: Path) -> None:
    """Write down what stages read of outputs; all must be up to date, with its data."""
    status = run(sys.executable, "-m", "dvc", "status", "--json", folder=folder)
    if changed := json.loads(status):
        raise SystemExit(f"not up to date here: {', '.join(sorted(changed))}; run `dvc repro`")
    known = {
        path: found for deps in related(locks(folder)).values() for path, found in deps.items()
    }
    (folder / READ).write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    print(f"{READ}: {len(known)} dependencies")


def stale(folder: Path, tracked: set[str]) -> list[str]:
    """Stages that `dvc repro` would run for another reason than that their outputs are not here."""

    def dvc(*words: str) -> str:
        return run(sys.executable, "-m", "dvc", *words, folder=folder)

    stages = dvc("stage", "list", "--name-only").split()
    locked = locks(folder)
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
    words = (sys.executable, "-m", "dvc", "repro", "--allow-missing", "--dry")
    dry = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
    # a stage that would run needs data, which is not here: DVC stops at it
    stopped = [line for line in dry.stderr.splitlines() if line] if dry.returncode else []
    would = [line for line in dry.stdout.splitlines() if line.startswith("Running")]
    known = json.loads((folder / READ).read_text()) if (folder / READ).exists() else {}
    return would + stopped + unread(locked, known)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.lock")
    parser.add_argument("study", nargs="?", type=Path, default=Path(), help="its folder")
    parser.add_argument("--write", action="store_true", help=f"write {READ}; needs the data")
    said = parser.parse_args()
    if said.write:
        write(said.study)
        return
    with tempfile.TemporaryDirectory() as folder:
        above = f"{said.study.as_posix()}/" if said.study.parts else ""
        names = {name.removeprefix(above) for name in copy(Path(folder)) if name.startswith(above)}
        lines = stale(Path(folder) / said.study, names)
    if lines:
        print("dvc.lock does not fit code and parameters:", *lines, sep="\n  ", file=sys.stderr)
        print(
            f"run `dvc repro`, then {WRITE}, and commit dvc.lock, metrics/ and {READ}",
            file=sys.stderr,
        )
        raise SystemExit(1)
    print("dvc.lock fits code and parameters")


if __name__ == "__main__":
    main()
