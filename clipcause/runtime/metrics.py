"""Metrics: nested numbers in git, one JSON file per item of a stage."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipcause.runtime import atomic

DIGITS = 6


def write(path: Path, numbers: Mapping[str, Any]) -> None:
    """Write nested numbers with sorted keys, floats rounded to six decimals.

    A leaf that is not a finite number is an error that names it: it would hide a failure.
    """
    atomic.write_json(path, _rounded(path, numbers))


def read(path: Path) -> dict[str, Any]:
    """Read what ``write`` wrote."""
    return atomic.read_json(path)


def _rounded(path: Path, value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {
            str(key): _rounded(path, entry, f"{name}.{key}".lstrip("."))
            for key, entry in value.items()
        }
    # NumPy's scalars have `item`, which gives the plain number
    number = value.item() if hasattr(value, "item") else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError(f"{path}: {name} is {value!r}, expected a number")  # noqa: TRY004 - bad data
    if not math.isfinite(number):
        raise ValueError(f"{path}: {name} is {number}")
    return round(number, DIGITS) + 0 if isinstance(number, float) else number
