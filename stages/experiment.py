"""experiment NAME: `presets/NAME.yaml` comes in; `results/NAME/` goes out.

The preset is run in a copy of this repository under `.dvc/tmp/presets/NAME`, which shares the
cache, so that `params.yaml`, `dvc.lock` and `metrics/` here stay those of the default study.
Afterwards it is a DVC experiment with the preset's name, for `dvc exp show` and `dvc exp apply`,
and what a reader needs of it lies under `results/NAME/`: its parameters, its lock without the
stages of other studies, its metrics, tables, figures and plots.

A run that fails or is killed is begun again by the same command, which goes on in the same copy.
(`dvc exp run --temp` does the same but for that: it removes its folder at an error, and DVC's run
cache restores no stage with metrics that are in git alone, so these stages would run again.)
"""

import fcntl
import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

import yaml

from clipcause.check import graph
from clipcause.check.paths import MISSING
from clipcause.check.presets import check as check_preset
from clipcause.config import FILE, unknown
from clipcause.runtime import atomic
from clipcause.runtime.entry import run

PRESETS = Path("presets")
RESULTS = Path("results")
COPIES = Path(".dvc/tmp/presets")
LOCAL = Path(".dvc/config.local")
LOCK = Path("dvc.lock")
KEPT = ("metrics/", "report/")  # of the outputs that git holds


def execute(name: str) -> str:
    """Run a preset and save it as the experiment ``name``; its revision.

    Files that are tracked take part as they stand, committed or not; others are not in the copy,
    which is why data is named by a path outside of the repository.
    """
    folder = COPIES / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{name}: it is running already, in {folder}") from None
        renew(folder)
        shutil.copyfile(PRESETS / f"{name}.yaml", folder / FILE)
        done = subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=folder, check=False)
        if done.returncode:
            raise ValueError(
                f"{name}: a stage failed; what is finished is kept in {folder}: mend the cause and "
                "run the same command again"
            )
        git("add", "-A", folder=folder)
        dvc("exp", "save", "--force", "--name", name, folder=folder)
        ref = git("for-each-ref", "--format=%(refname)", f"refs/exps/*/*/{name}", folder=folder)
        (ref,) = ref.decode().split()
        git("fetch", "-q", str(folder), f"+{ref}:{ref}")
        return git("rev-parse", ref).decode().strip()


def renew(folder: Path) -> None:
    """Make the copy, or bring its code up to this folder's; what stages have made in it stays."""
    base = git("rev-parse", "HEAD").decode().strip()
    # a commit of the tracked files as they stand, which changes nothing here; empty if all is clean
    now = git("stash", "create").decode().strip() or base
    before: set[str] = set()
    if folder.exists():
        before = code(folder)
    else:
        with atomic.folder(folder) as temporary:
            git("clone", "-q", "--shared", "--no-checkout", ".", str(temporary))
    # experiments of an earlier commit would be a second one of the same name
    for ref in git("for-each-ref", "--format=%(refname)", "refs/exps", folder=folder).split():
        git("update-ref", "-d", ref.decode(), folder=folder)
    git("update-ref", "--no-deref", "HEAD", base, folder=folder)
    git("read-tree", now, folder=folder)
    after = code(folder)
    for path in before - after:
        (folder / path).unlink(missing_ok=True)
    names = "\0".join(sorted(after)).encode()
    git("checkout-index", "-f", "-z", "--stdin", folder=folder, text=names)
    if LOCAL.exists():
        shutil.copyfile(LOCAL, folder / LOCAL)
    cache = dvc("cache", "dir").decode().strip()
    dvc("config", "--local", "cache.dir", cache, folder=folder)


def code(folder: Path) -> set[str]:
    """The tracked files of a copy but for what its own run makes."""
    names = git("ls-files", "-z", folder=folder).decode().split("\0")
    made = (str(FILE), str(LOCK))
    return {name for name in names if name and name not in made and not name.startswith(KEPT)}


def export(revision: str, name: str) -> Path:
    """Write `results/NAME/` from what git holds at ``revision``; the folder."""
    texts = read_files(revision, [str(FILE), str(LOCK), str(graph.FILE)])
    where = f"{name} at {revision[:7]}"
    stages = graph.expand(
        graph.definition(texts[str(graph.FILE)].decode(), f"{where}: {graph.FILE}"),
        yaml.safe_load(texts[str(FILE)]),
    )
    lock = own_lock(yaml.safe_load(texts[str(LOCK)]), stages)
    if absent := sorted(stages.keys() - lock["stages"].keys()):
        raise ValueError(f"{where}: {LOCK} has no {', '.join(absent)}; was the run whole?")
    outs = {out["path"] for stage in lock["stages"].values() for out in stage.get("outs", ())}
    wanted = [
        path
        for path in listed(revision)
        if path.startswith(KEPT) and not outs.isdisjoint({path, *_folders(path)})
    ]
    target = RESULTS / name
    with atomic.folder(target) as out:
        (out / FILE).write_bytes(texts[str(FILE)])
        (out / LOCK).write_text(yaml.safe_dump(lock, sort_keys=False, allow_unicode=True))
        for path, content in read_files(revision, wanted).items():
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_bytes(content)
    return target


def own_lock(lock: dict, stages: Iterable[str]) -> dict:
    """The lock without stages that are not of this study: DVC leaves the default's in it."""
    named = set(stages)
    own = {name: entry for name, entry in lock["stages"].items() if name in named}
    return {**lock, "stages": own}


def listed(revision: str) -> list[str]:
    """The names of all files that git holds at ``revision``."""
    names = git("ls-tree", "-r", "-z", "--name-only", revision).decode()
    return [name for name in names.split("\0") if name]


def read_files(revision: str, paths: list[str]) -> dict[str, bytes]:
    """The content of some files at ``revision``, by name."""
    if not paths:
        return {}
    archive = git("archive", "--format=tar", revision, "--", *paths)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        # names are git's own and content is read: nothing is extracted
        members = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        return {name: stream.read() for name, stream in members.items() if stream is not None}


def main(name: str) -> str:
    """Run one preset. What is not here is found before anything is started."""
    preset = PRESETS / f"{name}.yaml"
    if not preset.exists():
        raise unknown("preset", name, [path.stem for path in PRESETS.glob("*.yaml")], str(PRESETS))
    _, found = check_preset(preset)
    if gone := [place for place in found if place.state == MISSING]:
        lines = "".join(f"\n  {line}" for line in gone)
        raise FileNotFoundError(f"{preset}: {len(gone)} paths are missing:{lines}")
    print(f"runs in {COPIES / name}; this folder may be worked in meanwhile", file=sys.stderr)
    target = export(execute(name), name)
    return f"{target}; `dvc exp apply {name}` brings all of it here"


def _folders(path: str) -> list[str]:
    return [str(parent) for parent in Path(path).parents]


def git(*words: str, folder: Path = Path(), text: bytes = b"") -> bytes:
    """What a git command prints; its error is ours."""
    return _output("git", *words, folder=folder, text=text)


def dvc(*words: str, folder: Path = Path()) -> bytes:
    """What a DVC command prints; its error is ours."""
    return _output(sys.executable, "-m", "dvc", *words, folder=folder)


def _output(*words: str, folder: Path, text: bytes = b"") -> bytes:
    done = subprocess.run(words, capture_output=True, check=False, cwd=folder, input=text)
    if done.returncode:
        raise ValueError(f"{' '.join(words[:4])} in {folder}: {done.stderr.decode().strip()}")
    return done.stdout


if __name__ == "__main__":
    run(main)
