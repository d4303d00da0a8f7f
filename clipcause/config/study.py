"""The names that a study is about: `reference`, `classes` and the keys of `tests`."""

from pathlib import Path
from typing import Any

from clipcause.config import FILE, nearest, read, unknown

TASKS = ("classify", "retrieval")  # the first is meant where an entry names none


def name(key: str, path: Path = FILE) -> str:
    """One of the top-level names: `reference` is a data set, `classes` a class list."""
    value = _value(key, path)
    if not isinstance(value, str):
        raise ValueError(f"{path}: {key}: {value!r} is not a name")  # noqa: TRY004 - a user's error
    return value


def encoder(path: Path = FILE) -> tuple[str, str]:
    """The folder name of the similarity encoder, ``encoder.name``, and its run."""
    found = _value("encoder", path)
    for key in ("name", "run"):
        if not isinstance(found, dict) or not isinstance(found.get(key), str):
            raise ValueError(f"{path}: encoder.{key} is missing")  # noqa: TRY004
    return found["name"], found["run"]


def other_run(given: str, name: str, path: Path = FILE) -> str:
    """``given``, the run whose text tower the run ``name`` takes, if it is another that exists."""
    known = [run for run in read(path)["runs"] if run != name]
    if given not in known:
        raise unknown("run", given, known, f"{path}: runs.{name}.text_from")
    return given


def suite(path: Path = FILE) -> list[str]:
    """The names of the test sets, which are data sets, in the order of the file."""
    return [str(test) for test in _tests(path)]


def to_classify(path: Path = FILE) -> list[str]:
    """Those of the test sets whose images models name the class of."""
    return _of_task("classify", path)


def to_retrieve(path: Path = FILE) -> list[str]:
    """Those of the test sets whose captions models find by images, and images by captions."""
    return _of_task("retrieval", path)


def task(test: str, path: Path = FILE) -> str:
    """What models are asked about a test set. Raises ``ValueError`` for one that there is not."""
    return _task(test, _tests(path), path)


def _task(test: str, entries: dict[str, Any], path: Path) -> str:
    # by hand: training reads names here too, and shall not depend on what data sets are made of
    if test not in entries:
        raise unknown("test set", test, entries, f"{path}: tests")
    given = entries[test].get("task", TASKS[0]) if isinstance(entries[test], dict) else None
    if given not in TASKS:
        raise unknown("task", str(given), TASKS, f"{path}: tests.{test}.task")
    return given


def _of_task(wanted: str, path: Path) -> list[str]:
    entries = _tests(path)
    return [test for test in entries if _task(test, entries, path) == wanted]


def _tests(path: Path) -> dict[str, Any]:
    value = _value("tests", path)
    if not isinstance(value, dict) or not value:
        raise ValueError(f"{path}: tests: expected a mapping with an entry for every test set")
    return value


def _value(key: str, path: Path) -> object:
    content = read(path)
    if key not in content:
        raise ValueError(f"{path}: section {key!r} is missing; {nearest(key, content)}")
    return content[key]
