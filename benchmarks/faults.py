"""Do the tests still notice? Plants the faults of `benchmarks/faults.yaml`, one at a time.

    python -m benchmarks.faults              # all, one after the other
    python -m benchmarks.faults --jobs 2
    python -m benchmarks.faults --only 3 17

Each is planted in a scratch copy of the working tree, and the tests that should catch it run there.
Text and tests are found by what they say, wherever they stand: the list is fixed before a change of
the code's shape, and must hold after it. MISSED: the tests pass with the fault in. NOT FOUND: no
file has the text, or several have. NO TEST: none of the names is a test. Exit 1 for any of them.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_name("faults.yaml")
PRODUCT = ("stages", "clipcause")
TYPES = (".py", ".html", ".j2", ".js", ".css", ".yaml", ".json")
LIMIT_S = 600  # tests that run longer hang, which is noticed too
FAILED = 1  # pytest: tests ran, and some failed
CAUGHT, MISSED, NOT_FOUND, NO_TEST, BROKEN = "caught", "MISSED", "NOT FOUND", "NO TEST", "BROKEN"


@dataclass(frozen=True)
class Edit:
    """A text of the product and what it becomes."""

    old: str
    new: str

    def pattern(self) -> re.Pattern[str]:
        """The text with any blanks and line breaks between its words: formatters move those."""
        return re.compile(r"\s+".join(re.escape(word) for word in self.old.split()))


@dataclass(frozen=True)
class Fault:
    """What is wrong, by which of several edits, and the tests that should say so."""

    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one fault, and of what file it was."""

    result: str
    detail: str
    seconds: float = 0.0


def read(path: Path = LIST) -> list[Fault]:
    """The list of faults."""
    return [_fault(entry) for entry in yaml.safe_load(path.read_text())]


def _fault(entry: dict[str, Any]) -> Fault:
    edits = tuple(Edit(edit["old"], edit["new"]) for edit in entry["edits"])
    return Fault(entry["fault"], edits, tuple(entry["tests"]))


def sources(root: Path) -> dict[Path, str]:
    """The product's files that are text, and what they say."""
    paths = (path for package in PRODUCT for path in sorted((root / package).rglob("*")))
    return {path: path.read_text() for path in paths if path.suffix in TYPES and path.is_file()}


def planted(fault: Fault, texts: dict[Path, str]) -> tuple[Path, str] | str:
    """The file and its faulty content, by the first edit whose text stands in one place; else why
    there is none."""
    reasons = []
    for edit in fault.edits:
        pattern = edit.pattern()
        places = [(path, match) for path, text in texts.items() for match in pattern.finditer(text)]
        if len(places) == 1:
            path, match = places[0]
            text = texts[path]
            return path, text[: match.start()] + edit.new + text[match.end() :]
        reasons.append(f"{len(places)} times: {edit.old}")
    return "; ".join(reasons)


def test_ids(names: Iterable[str], root: Path) -> list[str]:
    """What pytest calls the functions of these names, in whatever file of `tests/` they are."""
    files = {path: path.read_text() for path in sorted((root / "tests").rglob("test_*.py"))}
    return [
        f"{path.relative_to(root)}::{name}"
        for name in names
        for path, text in files.items()
        if re.search(rf"^def {name}\(", text, re.MULTILINE)
    ]


def copy(target: Path) -> None:
    """The working tree as it stands, tracked or not, but for what git ignores."""
    words = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        source, place = ROOT / name, target / name
        if source.is_file() or source.is_symlink():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place, follow_symlinks=False)
    # some tests ask git which files there are
    subprocess.run(["git", "init", "-q"], cwd=target, check=True)
    subprocess.run(["git", "add", "-A"], cwd=target, check=True)


def run_tests(ids: Sequence[str], folder: Path, *, first: bool = True) -> tuple[int, str]:
    """Run some tests in a copy: pytest's exit code and the last words that it prints."""
    # a file that is changed twice in a second would be taken for its compiled older self
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *ids]
    try:
        done = subprocess.run(
            words + ["-x"] * first,
            cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT_S,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return FAILED, f"hangs for {LIMIT_S} s"
    return done.returncode, (done.stdout + done.stderr).strip()


def attempt(fault: Fault, folder: Path) -> Outcome:
    """Plant one fault in a copy, run its tests, and take it out again."""
    found = planted(fault, sources(folder))
    if isinstance(found, str):
        return Outcome(NOT_FOUND, found)
    path, content = found
    name = str(path.relative_to(folder))
    ids = test_ids(fault.tests, folder)
    if not ids:
        return Outcome(NO_TEST, ", ".join(fault.tests))
    whole, since = path.read_text(), time.monotonic()
    path.write_text(content)
    try:
        code, said = run_tests(ids, folder)
    finally:
        path.write_text(whole)
    seconds = time.monotonic() - since
    if code not in (0, FAILED):  # it does not even import: that says nothing of the tests
        return Outcome(BROKEN, f"{name}: {said[-300:]}", seconds)
    return Outcome(CAUGHT if code else MISSED, name, seconds)


def sound(faults: Sequence[Fault], folder: Path) -> str | None:
    """Without any fault the tests pass: else what fails would catch everything."""
    ids = sorted({test for fault in faults for test in test_ids(fault.tests, folder)})
    code, said = run_tests(ids, folder, first=False)
    return f"without a fault, of {len(ids)} tests:\n{said[-2000:]}" if code else None


def attempts(faults: Sequence[Fault], where: Path, jobs: int) -> Iterator[Outcome]:
    """The outcomes in order; every job has a copy of its own."""
    free: SimpleQueue[Path] = SimpleQueue()
    for number in range(jobs):
        copy(where / str(number))
        free.put(where / str(number))

    def one(fault: Fault) -> Outcome:
        folder = free.get()
        try:
            return attempt(fault, folder)
        finally:
            free.put(folder)

    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(one, faults)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", type=int, nargs="+", metavar="N", help="these of the list, from 1"
    )
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    faults = list(enumerate(read(), 1))
    if given.only:
        faults = [(number, fault) for number, fault in faults if number in given.only]
    chosen = [fault for _, fault in faults]
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        where = Path(temporary)
        copy(where / "sound")
        if wrong := sound(chosen, where / "sound"):
            raise SystemExit(f"faults: error: {wrong}")
        outcomes = attempts(chosen, where, given.jobs)
        for (number, fault), outcome in zip(faults, outcomes, strict=True):
            counts[outcome.result] += 1
            said = f"{outcome.result:<9} {outcome.seconds:5.1f} s  {fault.name}"
            print(f"{number:>2} {said} ({outcome.detail})", flush=True)
    print(", ".join(f"{count} {result}" for result, count in counts.items()))
    sys.exit(set(counts) != {CAUGHT})


if __name__ == "__main__":
    main()
