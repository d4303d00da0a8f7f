"""The names that a study is about: `reference`, `classes` and the keys of `tests`."""

from pathlib import Path

from clipcause.config import FILE, nearest, read, unknown

TASKS = ("classify", "retrieval")  # the first is meant where an entry names none


def name(key: str, path: Path = FILE) -> str:
    """One of the top-level names: `reference` is a data set, `classes` a class list."""
    value = _value(key, path)
    if not isinstance(value, str):
        raise ValueError(f"{path}: {key}: {value!r} is not a name")  # noqa: TRY004 - a user's error
    return value


def suite(path: Path = FILE) -> list[str]:
    """The names of the test sets, which are data sets, in the order of the file."""
    value = _value("tests", path)
    if not isinstance(value, dict) or not value:
        raise ValueError(f"{path}: tests: expected a mapping with an entry for every test set")
    return [str(test) for test in value]


def to_classify(path: Path = FILE) -> list[str]:
    """Those of the test sets whose images models name the class of."""
    return _of_task("classify", path)


def to_retrieve(path: Path = FILE) -> list[str]:
    """Those of the test sets whose captions models find by images, and images by captions."""
    return _of_task("retrieval", path)


def _of_task(task: str, path: Path) -> list[str]:
    # by hand: training reads names here too, and shall not depend on what data sets are made of
    entries, found = read(path)["tests"], []
    for test in suite(path):
        given = entries[test].get("task", TASKS[0]) if isinstance(entries[test], dict) else None
        if given not in TASKS:
            raise unknown("task", str(given), TASKS, f"{path}: tests.{test}.task")
        if given == task:
            found.append(test)
    return found


def _value(key: str, path: Path) -> object:
    content = read(path)
    if key not in content:
        raise ValueError(f"{path}: section {key!r} is missing; {nearest(key, content)}")
    return content[key]
