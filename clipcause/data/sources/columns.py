"""Columns of captions, URLs and labels in tables from the web, as the manifest has them.

Published tables have nulls, bytes that are no UTF-8 and numbers of any type. What a row lacks is
said here; whether the row stays is the source's decision.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from clipcause.config import nearest
from clipcause.data.dataset import source_id
from clipcause.data.in_place import PART

NONE = "none"  # the name of a column that there is not
LARGEST = (1 << 31) - 1
Names = Mapping[str, str]  # caption, url, key …: the columns that hold them


class Rows(NamedTuple):
    """Rows as the manifest has them (``PART``), and the positions of those that are lacking."""

    table: pa.Table
    not_text: list[int]  # caption, URL, key or label is no UTF-8
    empty: list[int]  # no caption


def check(where: str, found: Iterable[str], names: Names) -> None:
    """Raise ``ValueError`` for a column that is not there."""
    found = list(found)
    for role, name in names.items():
        if name != NONE and name not in found:
            raise ValueError(
                f"{where}: no column {name!r} for {role}; {nearest(name, found)} (or say none)"
            )


def wanted(names: Names) -> list[str]:
    """The columns to read, each once."""
    return list(dict.fromkeys(name for name in names.values() if name != NONE))


def rows(table: pa.Table, names: Names, start: int = 0) -> Rows:
    """The rows of a table; ``start`` is the number of its first row in its file.

    A row without a key is called by its number. Its ``source_id`` is the hash of URL and caption,
    null where it has no URL: names of files and numbers of rows are the same in unrelated tables.
    What is no UTF-8 and an empty label are null, and an empty caption is "".
    """
    bad: set[int] = set()
    count = table.num_rows
    values: dict[str, list[str | None]] = {}
    for role in ("caption", "url", "key", "label"):
        name = names.get(role, NONE)
        values[role] = [None] * count if name == NONE else texts(table[name], bad)
    captions = [(caption or "").strip() for caption in values["caption"]]
    keys = [key or f"{start + place:09d}" for place, key in enumerate(values["key"])]
    identities = [
        source_id(url, caption) if url else None
        for url, caption in zip(values["url"], captions, strict=True)
    ]
    # text files have no other way to say that there is none
    labels = [label if label and label.strip() else None for label in values["label"]]
    sizes = (
        [None] * count if names.get(side, NONE) == NONE else numbers(table[names[side]])
        for side in ("width", "height")
    )
    columns = [keys, [None] * count, identities, captions, labels, *sizes]
    made = [pa.array(column, field.type) for column, field in zip(columns, PART, strict=True)]
    empty = [place for place, caption in enumerate(captions) if not caption and place not in bad]
    return Rows(pa.table(made, schema=PART), sorted(bad), empty)


def texts(column: pa.ChunkedArray, bad: set[int]) -> list[str | None]:
    """The texts of a column of any type; positions of those that are no UTF-8 are added to
    ``bad``."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not _is_text(column.type):
        return [None if value is None else str(value) for value in column.to_pylist()]
    # Parquet does not promise that its strings are UTF-8
    found: list[str | None] = []
    for place, value in enumerate(column.cast(pa.large_binary()).to_pylist()):
        try:
            found.append(None if value is None else value.decode())
        except UnicodeDecodeError:
            found.append(None)
            bad.add(place)
    return found


def numbers(column: pa.ChunkedArray) -> list[int | None]:
    """Whole positive numbers of a column of any type, null for everything else."""
    bad: set[int] = set()
    return [_number(value) for value in texts(column, bad)]


def without(rows: Rows, places: Sequence[int]) -> pa.Table:
    """The rows but for those at ``places``."""
    if not places:
        return rows.table
    stays_N = np.ones(rows.table.num_rows, bool)
    stays_N[list(places)] = False
    return rows.table.filter(pa.array(stays_N))


def _is_text(kind: pa.DataType) -> bool:
    tests: tuple[Any, ...] = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
        pa.types.is_binary, pa.types.is_large_binary,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _number(value: str | None) -> int | None:
    try:
        number = float(value or "nan")
    except ValueError:
        return None
    if not math.isfinite(number) or number != int(number) or not 0 < number <= LARGEST:
        return None
    return int(number)
