"""Does a change of the code leave every result as it was? Runs two commits and compares all files.

    python -m benchmarks.same 6d7dfaf HEAD                       # the study `tiny`, twice
    python -m benchmarks.same 6d7dfaf HEAD --study icons --keep runs
    python -m benchmarks.same HEAD --against runs/old            # one side has run already
    python -m benchmarks.same --folders runs/old runs/new        # both have

Each commit is run in a clone of its own with empty caches: DVC's, the shards', and none of the
numbers that git holds. What may be otherwise, and why, is a line of `benchmarks/same.yaml`; exit 1
if anything else differs. `--venv` borrows an environment instead of making one a commit (twice: one
each); the clone's own code comes before whatever is installed there.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.same_rules import read
from benchmarks.same_trees import LOCK, PLACEHOLDER, compare, listing, report

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_name("same.yaml")
PARAMETERS = "params.yaml"
PIPELINE = "dvc.yaml"
STUDIES = Path("studies")
PRESETS = Path("presets")
DEFAULT = "icons"  # the study that may be the root's
PACKAGES = ("stages", "clipcause")
TAIL = 30  # lines of a failed run's log that are shown


def run(*words: str, folder: Path, environment: dict[str, str] | None = None) -> str:
    """What a command prints; a failure ends in its own words."""
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ValueError(f"{' '.join(words[:4])}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def clone(commit: str, folder: Path) -> None:
    """The repository at a commit, in a new folder: a folder that is there holds another run."""
    if folder.exists():
        raise ValueError(f"{folder} is there already; compare it with --folders or --against")
    folder.parent.mkdir(parents=True, exist_ok=True)
    sha = run("git", "rev-parse", "--verify", f"{commit}^{{commit}}", folder=ROOT).strip()
    run("git", "clone", "-q", "--no-checkout", str(ROOT), str(folder), folder=ROOT)
    run("git", "checkout", "-q", "--detach", sha, folder=folder)


def study_folder(root: Path, name: str) -> Path:
    """The folder of a study's `params.yaml` and lock; a preset is put in the root's place first."""
    folder = root / STUDIES / name
    if (folder / PARAMETERS).exists():
        return folder
    if (preset := root / PRESETS / f"{name}.yaml").exists():
        shutil.copyfile(preset, root / PARAMETERS)
    elif name != DEFAULT:
        known = [*(root / STUDIES).glob("*/params.yaml"), *(root / PRESETS).glob("*.yaml")]
        names = sorted(
            {path.parent.name if path.name == PARAMETERS else path.stem for path in known}
        )
        raise ValueError(f"no study {name!r} in {root}; there are {', '.join(names)}")
    return root


def own_study(root: Path, parameters: Path) -> Path:
    """A study of the parameters of a file: a folder of its own where studies have one."""
    folder = root / STUDIES / "same" if (root / STUDIES).is_dir() else root
    folder.mkdir(exist_ok=True)
    shutil.copyfile(parameters, folder / PARAMETERS)
    if folder != root:
        (folder / PIPELINE).symlink_to(Path("../..") / PIPELINE)
    return folder


def forget(study: Path) -> None:
    """Remove the lock and the numbers that git holds, so that all that is compared was made."""
    (study / LOCK).unlink(missing_ok=True)
    for name in ("metrics", "report"):
        for path in (study / name).rglob("*"):
            # a report may bring its plots' definitions along, and DVC reads those at once
            if path.is_file() and path.name not in (PLACEHOLDER, PIPELINE):
                path.unlink()


def surroundings(root: Path, venv: Path, caches: Path) -> dict[str, str]:
    """The environment of a run: the clone's code first, caches of its own, nobody's settings."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DVC_", "CLIPCAUSE_", "PYTHON", "VIRTUAL_ENV"))
    }
    return inherited | {
        "PATH": f"{venv.resolve() / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CLIPCAUSE_SHARDS": str(caches / "shards"),
        "DVC_GLOBAL_CONFIG_DIR": str(caches / "config"),
        "DVC_SYSTEM_CONFIG_DIR": str(caches / "config"),
        "DVC_SITE_CACHE_DIR": str(caches / "site"),
        "DVC_NO_ANALYTICS": "1",
    }


def make_environment(root: Path) -> Path:
    """The environment that the clone's own Makefile makes."""
    run("make", "-s", ".venv/.main", folder=root)
    return root / ".venv"


def check_code(root: Path, study: Path, python: str, environment: dict[str, str]) -> None:
    """Raise where a run would import another checkout's code, as an environment that is borrowed
    may have it installed."""
    for package in PACKAGES:
        if (root / package).is_dir():
            code = f"import {package}; print(list({package}.__path__)[0])"
            words = (python, "-c", code)
            found = Path(run(*words, folder=study, environment=environment).strip())
            if not found.resolve().is_relative_to(root.resolve()):
                raise ValueError(f"{root}: would import {package} from {found}")


def execute(commit: str, root: Path, venv: Path | None, study: str, own: Path | None) -> Path:
    """Run a study at a commit; the folder of its lock."""
    clone(commit, root)
    folder = own_study(root, own) if own else study_folder(root, study)
    forget(folder)
    environment = surroundings(root, venv or make_environment(root), root / ".dvc/tmp/same")
    python = str(Path(environment["PATH"].partition(os.pathsep)[0]) / "python")
    check_code(root, folder, python, environment)
    pipeline = str((folder / PIPELINE).relative_to(root))
    since = time.monotonic()
    log = root.parent / f"{root.name}.log"
    with log.open("w") as stream:
        words = (python, "-m", "dvc", "repro", pipeline)
        done = subprocess.run(
            words, cwd=root, env=environment, stdout=stream, stderr=stream, check=False
        )
    if done.returncode:
        tail = "\n".join(log.read_text().splitlines()[-TAIL:])
        raise ValueError(f"{commit}: dvc repro failed:\n{tail}")
    stages = len(yaml.safe_load((folder / LOCK).read_text())["stages"])
    print(f"{commit}: {stages} stages, {time.monotonic() - since:.0f} s", flush=True)
    return folder


def located(folder: Path, study: str) -> Path:
    """Where the lock of a study lies that has run in ``folder``: there, or in its `studies/`."""
    inner = folder / STUDIES / study
    found = inner if (inner / LOCK).exists() else folder
    if not (found / LOCK).exists():
        raise FileNotFoundError(
            f"{folder}: no {LOCK}; the folder of a study that has run is needed"
        )
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commits", nargs="*", metavar="COMMIT", help="one with --against, else two")
    parser.add_argument("--folders", nargs=2, type=Path, metavar=("OLD", "NEW"))
    parser.add_argument("--against", type=Path, metavar="OLD", help="a folder that has run")
    parser.add_argument("--study", default="tiny")
    parser.add_argument("--params", type=Path, help="parameters that both commits understand")
    parser.add_argument("--venv", type=Path, action="append", default=[])
    parser.add_argument("--keep", type=Path, help="run in old/ and new/ of this folder, and stay")
    parser.add_argument("--table", type=Path, default=TABLE)
    given = parser.parse_args()
    wanted = 0 if given.folders else 1 if given.against else 2
    if len(given.commits) != wanted:
        parser.error(f"{wanted} commits are needed here, there are {len(given.commits)}")
    if len(given.venv) > 2:
        parser.error("--venv is given once for both commits, or twice")
    return given


def folders(given: argparse.Namespace, where: Path) -> tuple[Path, Path]:
    """The two folders to compare, after whatever has to be run for them."""
    if given.folders:
        return located(given.folders[0], given.study), located(given.folders[1], given.study)
    *first, last = given.commits
    own = (given.study, given.params)
    venvs = given.venv or [None]
    if given.against:
        old = located(given.against, given.study)
    else:
        old = execute(first[0], where / "old", venvs[0], *own)
    return old, execute(last, where / "new", venvs[-1], *own)


def main() -> None:
    given = arguments()
    try:
        rules = read(given.table)
        with tempfile.TemporaryDirectory() as temporary:
            where = (given.keep or Path(temporary)).resolve()
            old, new = folders(given, where)
            found = compare(listing(old), listing(new), rules)
    except (ValueError, OSError) as error:
        raise SystemExit(f"same: error: {error}") from None
    print(report(found, rules))
    sys.exit(not found.holds)


if __name__ == "__main__":
    main()
