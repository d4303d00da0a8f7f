"""What does the default study take, beside the version that it is held against?

    python -m benchmarks.study --write benchmarks/study.md

Three studies, one after the other, each in a clone with nothing made before, nothing else running:
that of commit ``BASE`` by its own `make repro` (ten runs of two threads); its ten runs by this
version, as `benchmarks/ten_runs.yaml` changes params.yaml, by `make repro JOBS=2`; and this
version's default (five runs of nine conditions), likewise. Environments are made before, what the
study fetches is part of it.

A stage says how long its own work took. Time in which no stage works is start-up and bookkeeping.
The critical path is the chain of stages, each needing the one before, that takes longest: no
number of cores makes the study faster than it.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from benchmarks.machine import describe, show
from clipcause.runtime import code

BASE = "6d7dfaf"
CHANGES = Path("benchmarks/ten_runs.yaml")
MARK = re.compile(r"^Running stage '(.+?)'(?: \(.*\))?:$")
# as a stage ends: `train full-0: … (47.0 s)`, with `train@full-0 | ` before it where there are jobs
OWN = re.compile(r"^(?:(?P<stage>\S+) \| )?(?P<text>.*) \((?P<seconds>\d+\.\d) s\)$")


class Worked(NamedTuple):
    """When a stage's own work was, in seconds from the begin."""

    stage: str
    start: float
    end: float


@dataclass(frozen=True)
class Measured:
    """One study."""

    name: str
    wall: float
    worked: list[Worked]
    path: list[str]  # the stages of the critical path
    path_seconds: float

    @property
    def idle(self) -> float:
        """Seconds in which no stage worked."""
        covered, until = 0.0, 0.0
        for _, start, end in sorted(self.worked, key=lambda one: one.start):
            covered += max(0.0, end - max(start, until))
            until = max(until, end)
        return self.wall - covered

    def row(self, base: "Measured") -> str:
        """A row of the table."""
        work = sum(one.end - one.start for one in self.worked)
        return (
            f"| {self.name} | {self.wall:.0f} | {self.wall / base.wall:.2f} | {work:.0f} | "
            f"{self.idle:.0f} ({100 * self.idle / self.wall:.0f} %) | {self.path_seconds:.0f} |"
        )


def merged(content: Any, changes: Any) -> Any:
    """Parameters with changes: items of splits and runs are replaced as a whole, other sections
    key by key."""
    if not isinstance(content, dict) or not isinstance(changes, dict):
        return changes
    whole = ("splits", "runs")
    return content | {
        key: changed if key in whole else merged(content.get(key), changed)
        for key, changed in changes.items()
    }


def worked(lines: list[tuple[float, str]]) -> list[Worked]:
    """When stages worked, by lines with the second at which each came."""
    found, current = [], ""
    for at, line in lines:
        if mark := MARK.match(line):
            current = mark[1]
        elif own := OWN.match(line):
            stage = own["stage"] or current
            found.append(Worked(stage, at - float(own["seconds"]), at))
    return found


def longest(needs: Mapping[str, set[str]], seconds: Mapping[str, float]) -> tuple[list[str], float]:
    """The chain of stages that takes longest."""
    best: dict[str, tuple[float, list[str]]] = {}

    def upto(stage: str) -> tuple[float, list[str]]:
        if stage not in best:
            before = max((upto(one) for one in needs[stage]), default=(0.0, []))
            best[stage] = before[0] + seconds.get(stage, 0.0), [*before[1], stage]
        return best[stage]

    total, path = max(upto(stage) for stage in needs)
    return path, total


def needs(clone: Path) -> dict[str, set[str]]:
    """What every stage of a clone needs outputs of."""
    from dvc.repo import Repo

    with Repo(str(clone)) as repo:
        graph = repo.index.graph
        return {one.name: {two.name for two in graph.successors(one)} for one in graph}


def measured(name: str, revision: str, words: list[str], changes: Path | None = None) -> Measured:
    """Run a revision's study by a command in a clone."""
    with tempfile.TemporaryDirectory() as made:
        clone = Path(made, "clone")
        subprocess.run(["git", "clone", "-q", str(code.ROOT), str(clone)], check=True)
        subprocess.run(["git", "checkout", "-q", revision], cwd=clone, check=True)
        (clone / "dvc.lock").unlink()
        if changes:
            content = yaml.safe_load((clone / "params.yaml").read_text())
            content = merged(content, yaml.safe_load(changes.read_text()))
            (clone / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        environment = os.environ | {"CLIPCAUSE_SHARDS": f"{made}/shards"}
        subprocess.run(["make", ".venv/.main"], cwd=clone, env=environment, check=True)
        start = time.monotonic()
        with subprocess.Popen(
            words, cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        ) as process:  # fmt: skip
            assert process.stdout
            lines = [(time.monotonic() - start, line.rstrip("\n")) for line in process.stdout]
        wall = time.monotonic() - start
        if process.returncode:
            tail = "\n".join(line for _, line in lines[-30:])
            raise SystemExit(f"{' '.join(words)}: exit status {process.returncode}\n{tail}")
        found = worked(lines)
        seconds = {one.stage: one.end - one.start for one in found}
        path, total = longest(needs(clone), seconds)
        return Measured(name, wall, found, path, total)


def main() -> None:
    """Measure them; print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", type=int, nargs="*", default=[1, 2, 3], help="which of them")
    parser.add_argument("--write", type=Path, help="write the table here as well")
    parser.add_argument("--note", default="", help="of what else the machine did, for the table")
    arguments = parser.parse_args()
    jobs = ["make", "repro", f"JOBS={arguments.jobs}"]
    how = f"`make repro JOBS={arguments.jobs}`"
    wanted = [
        (f"commit {BASE}, ten runs of two threads, `make repro`", BASE, ["make", "repro"], None),
        (f"this version, the same ten runs of one thread, {how}", "HEAD", jobs, CHANGES),
        (f"this version, five runs of nine conditions, {how}", "HEAD", jobs, None),
    ]
    found: list[Measured] = []
    for number in arguments.only:
        found.append(measured(*wanted[number - 1]))
        print(found[-1].row(found[0]), flush=True)
    rows = "\n".join(one.row(found[0]) for one in found)
    paths = "\n".join(f"* {one.name}: {' → '.join(stage for stage in one.path)}" for one in found)
    text = (
        "# The default study beside the version before\n\n"
        f"`{' '.join(['python -m benchmarks.study', *sys.argv[1:]])}` on {describe()}, one after "
        f"the other. {arguments.note}\n\n"
        "| study | seconds | of the first | in stages, by their own word | in which no stage works "
        f"| critical path |\n|---|---:|---:|---:|---:|---:|\n{rows}\n\n"
        f"Critical paths:\n\n{paths}\n"
    )
    show(text, arguments.write)


if __name__ == "__main__":
    main()
