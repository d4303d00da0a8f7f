"""A folder in which tests run commands, with Git and DVC."""

import os
import subprocess
import sys
from pathlib import Path

from tests import warm

WHO = {
    f"GIT_{role}_{what}": f"{what.lower()}@example.org"
    for role in ("AUTHOR", "COMMITTER")
    for what in ("NAME", "EMAIL")
}


class Repository:
    """Runs commands in a folder; `python` is one that starts warm, in scripts and stages too."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        path = f"{warm.folder()}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = os.environ | WHO | {"PATH": path, "DVC_NO_ANALYTICS": "1"} | environment

    def run(self, *words: str | Path, fails: bool = False) -> str:
        """What a command prints, on both streams; whether it ``fails`` is looked at."""
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        output = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, f"{words}\n{output}"
        return output

    def python(self, *words: str | Path, fails: bool = False) -> str:
        """As `run`, of `python -m`."""
        return self.run(warm.folder() / "python", "-m", *words, fails=fails)

    def dvc(self, *words: str, fails: bool = False) -> str:
        return self.python("dvc", *words, fails=fails)

    def init(self) -> None:
        self.run("git", "init", "-q", "-b", "main")
        self.dvc("init", "-q")
        config = self.folder / ".dvc/config"
        config.write_text("[core]\n    analytics = false\n    check_update = false\n")

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "--allow-empty", "-m", message)
