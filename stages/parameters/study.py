"""The names that a study is about: `reference`, `classes` and the keys of `tests`."""

from pathlib import Path

from stages.parameters import FILE, nearest, read


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


def _value(key: str, path: Path) -> object:
    content = read(path)
    if key not in content:
        raise ValueError(f"{path}: section {key!r} is missing; {nearest(key, content)}")
    return content[key]
