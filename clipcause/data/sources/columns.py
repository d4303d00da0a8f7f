"""Columns of captions, URLs and labels in tables from the web, as the manifest has them.

Published tables have nulls, bytes that are no UTF-8 and numbers of any type. What a row lacks is
said here; whether the row stays is the source's decision.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from clipcause.config import nearest
from clipcause.data import values
from clipcause.data.dataset import source_id
from clipcause.data.in_place import PART

NONE = "none"  # the name of a column that there is not
LARGEST = (1 << 31) - 1
SIDES = ("width", "height")
Names = Mapping[str, str]  # caption, url, key …: the columns that hold them
T = TypeVar("T")


class Lack(NamedTuple):
    """What is wrong with a row: its position in the table, in two words and with its facts."""

    place: int
    reason: str
    detail: str


class Rows(NamedTuple):
    """Rows as the manifest has them (``PART``), and what is wrong with some, by position.

    A key, caption, URL or label that is no text is null there, a missing key the row's number.
    """

    table: pa.Table
    lacking: list[Lack]


def check(where: str, found: Iterable[str], names: Names) -> None:
    """Raise ``ValueError`` for a column that is not there."""
    found = list(found)
    for role, name in names.items():
        if name != NONE and name not in found:
            raise ValueError(
                f"{where}: no column {name!r} for {role}; {nearest(name, found)} (or say none)"
            )


def wanted(names: Names, kept: Sequence[str] = ()) -> list[str]:
    """The columns to read, each once: those of ``names`` and those that are kept beside them."""
    return list(dict.fromkeys([*(name for name in names.values() if name != NONE), *kept]))


def check_types(where: str, schema: pa.Schema, names: Names) -> None:
    """Raise ``ValueError`` for a column whose type can hold no text, with its name and type."""
    for role, name in names.items():
        if name == NONE or role in SIDES:
            continue
        kind = schema.field(name).type
        inner = kind.value_type if _is_list(kind) and role == "caption" else kind
        if not _is_readable(inner):
            expected = "text, whole numbers" + (", or lists of these" if role == "caption" else "")
            raise ValueError(f"{where}: column {name!r} for {role} is {kind}, expected {expected}")


def rows(table: pa.Table, names: Names, start: int = 0) -> Rows:
    """The rows of a table; ``start`` is the number of its first row in its file.

    A row without a key is called by its number. Its ``source_id`` is the hash of URL and caption,
    null where it has no URL: names of files and numbers of rows are the same in unrelated tables.
    An empty label is null, and an empty caption is "".
    """
    faults: dict[int, Lack] = {}
    count = table.num_rows

    def read(role: str, one: Callable[[Any], T]) -> list[T | None]:
        name = names.get(role, NONE)
        return [None] * count if name == NONE else _read(table[name], role, one, faults)

    captions = read("caption", values.captions)
    urls, keys, labels, pool_uids = (
        read(role, values.text) for role in ("url", "key", "label", "uid")
    )
    for place, key in enumerate(keys):
        if key and (why := values.unsafe(key)):
            faults.setdefault(place, Lack(place, values.UNSAFE, f"{values.shown(key)}: {why}"))
            keys[place] = None
    keys = [key or f"{start + place:09d}" for place, key in enumerate(keys)]
    firsts = ["" if one is None else one.first for one in captions]
    identities = [
        source_id(url, caption) if url else None for url, caption in zip(urls, firsts, strict=True)
    ]
    everything = [None if one is None else one.all for one in captions]
    sizes = (
        [None] * count if names.get(side, NONE) == NONE else numbers(table[names[side]])
        for side in SIDES
    )
    known = [None] * count, identities, pool_uids
    columns = [keys, *known, firsts, everything, labels, *sizes, [False] * count]
    made = [pa.array(column, field.type) for column, field in zip(columns, PART, strict=True)]
    for place, caption in enumerate(firsts):
        if not caption:
            faults.setdefault(place, Lack(place, "no caption", ""))
    return Rows(pa.table(made, schema=PART), [faults[place] for place in sorted(faults)])


def texts(column: pa.ChunkedArray) -> list[str | None]:
    """The texts of a column, None for what is none."""
    return _read(column, "", values.text, {})


def _read(
    column: pa.ChunkedArray, role: str, one: Callable[[Any], T], faults: dict[int, Lack]
) -> list[T | None]:
    """``one`` of every value; those that are no text are None, and among the ``faults``."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    # Parquet does not promise that its strings are UTF-8
    if _is_text(column.type):
        column = column.cast(pa.large_binary())
    elif _is_list(kind) and _is_text(kind.value_type):
        column = column.cast(pa.large_list(pa.large_binary()))
    found: list[T | None] = []
    for place, value in enumerate(column.to_pylist()):
        try:
            found.append(one(value))
        except values.NotTextError as error:
            found.append(None)
            reason = "not UTF-8" if str(error).startswith("not UTF-8") else "not text"
            faults.setdefault(place, Lack(place, reason, f"{role}: {error}"))
    return found


def numbers(column: pa.ChunkedArray) -> list[int | None]:
    """Whole positive numbers of a column of any type, null for everything else."""
    return [_number(value) for value in texts(column)]


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
        pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _is_list(kind: pa.DataType) -> bool:
    tests: tuple[Any, ...] = (
        pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list,
        pa.types.is_list_view, pa.types.is_large_list_view,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _is_readable(kind: pa.DataType) -> bool:
    """Whether the values of a type can be text: `values.text` decides of each."""
    if pa.types.is_dictionary(kind):
        return _is_readable(kind.value_type)
    tests: tuple[Any, ...] = (
        pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null,
    )  # fmt: skip
    return _is_text(kind) or any(test(kind) for test in tests)


def _number(value: str | None) -> int | None:
    try:
        number = float(value or "nan")
    except ValueError:
        return None
    if not math.isfinite(number) or number != int(number) or not 0 < number <= LARGEST:
        return None
    return int(number)
