"""Does `dvc.lock` fit the code and the parameters? Run as `python -m tests.lock`; exit 1 if not.

`dvc repro --dry` exits 0 whatever it finds, and with `--allow-missing` it passes over stages that
the lock has never heard of; both are looked for here.
"""

import subprocess
import sys
from pathlib import Path

import yaml


def dvc(*words: str) -> str:
    """Standard output of a dvc command of this environment."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"dvc {' '.join(words)} failed:\n{done.stderr}")
    return done.stdout


def tracked(path: str) -> bool:
    """Whether git holds the file, or files below the folder, and they are here."""
    listed = subprocess.run(["git", "ls-files", "--", path], capture_output=True, text=True)
    return Path(path).exists() and bool(listed.stdout.strip())


def stale() -> list[str]:
    """Stages that `dvc repro` would run for another reason than that their outputs are not here."""
    stages = dvc("stage", "list", "--name-only").split()
    locked = (
        yaml.safe_load(Path("dvc.lock").read_text())["stages"] if Path("dvc.lock").exists() else {}
    )
    absent = [f"{name}: not in dvc.lock" for name in stages if name not in locked]
    gone = [f"{name}: in dvc.lock, but not a stage" for name in locked if name not in stages]
    kept = [
        out["path"]
        for stage in locked.values()
        for out in stage.get("outs", ())
        if out["path"].startswith(("metrics/", "report/")) and not out["path"].endswith(".html")
    ]
    # DVC passes over outputs that are not here, and these must be: git holds them
    lost = [f"{path}: not in git" for path in kept if not tracked(path)]
    dry = dvc("repro", "--allow-missing", "--dry").splitlines()
    return absent + gone + lost + [line for line in dry if line.startswith("Running stage")]


if __name__ == "__main__":
    if lines := stale():
        print("dvc.lock does not fit code and parameters:", *lines, sep="\n  ", file=sys.stderr)
        print("run `dvc repro` and commit dvc.lock and metrics/", file=sys.stderr)
        raise SystemExit(1)
    print("dvc.lock fits code and parameters")
