"""How long does a study take with plain `dvc repro`, and with one, two … stages at a time?

    python -m benchmarks.jobs --study tiny --jobs 1 2 --write benchmarks/jobs.md

Each runs in a clone of what is committed, with nothing made before, one after the other, and
fetches what the study fetches. That all leave the same `dvc.lock`, which has the
hash of every output, is looked at. What the stages' own times, which each says at its end, do not
cover is start-up and bookkeeping, where one stage runs at a time.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import describe, show
from clipcause.check import studies
from clipcause.runtime import code

OWN = re.compile(r"\((\d+\.\d) s\)$", re.MULTILINE)  # as `clipcause.runtime.entry` ends a stage


class Measured(NamedTuple):
    """One way to run the study."""

    name: str
    wall: float  # seconds
    stages: float  # seconds, by the stages' own word
    lock: str

    def row(self, plain: "Measured") -> str:
        """A row of the table."""
        return (
            f"| {self.name} | {self.wall:.0f} | {self.stages:.0f} | {self.wall / plain.wall:.2f} |"
        )


def measured(study: str, name: str, words: list[str]) -> Measured:
    """Run the study by a command in a clone."""
    with tempfile.TemporaryDirectory() as made:
        clone = Path(made, "clone")
        subprocess.run(["git", "clone", "-q", str(code.ROOT), str(clone)], check=True)
        folder = studies.folder(study, clone)
        (folder / "dvc.lock").unlink(missing_ok=True)
        environment = os.environ | {"CLIPCAUSE_SHARDS": f"{made}/shards"}
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        start = time.monotonic()
        done = subprocess.run(
            words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        wall = time.monotonic() - start
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: exit status {done.returncode}\n{done.stdout}")
        stages = sum(float(found) for found in OWN.findall(done.stdout))
        return Measured(name, wall, stages, (folder / "dvc.lock").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default=studies.DEFAULT)
    parser.add_argument("--jobs", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--write", type=Path, help="write the table here as well")
    parser.add_argument("--note", default="", help="of what else the machine did, for the table")
    arguments = parser.parse_args()
    runs = {"`dvc repro`": ["dvc", "repro"]}
    for jobs in arguments.jobs:
        words = ["python", "-m", "clipcause", "repro", "--jobs", str(jobs)]
        runs[f"`make repro JOBS={jobs}`"] = words
    found = []
    for name, words in runs.items():
        found.append(measured(arguments.study, name, words))
        print(found[-1].row(found[0]), flush=True)
    if len({one.lock for one in found}) > 1:
        raise SystemExit("dvc.lock is not the same in all of them")
    rows = "\n".join(one.row(found[0]) for one in found)
    text = (
        f"# The study {arguments.study}, several stages at a time\n\n"
        f"`{' '.join(['python -m benchmarks.jobs', *sys.argv[1:]])}` on {describe()}. "
        f"All leave the same `dvc.lock`. {arguments.note}\n\n"
        "| | seconds | of them in stages, by their own word | of `dvc repro` |\n"
        f"|---|---:|---:|---:|\n{rows}\n"
    )
    show(text, arguments.write)


if __name__ == "__main__":
    main()
