"""Columns of a pool's own metadata that are kept in the manifest, for rules: by wish, none as a
rule.

They stand in one column of the manifest, the struct ``columns``, under the names that the metadata
have, so that a pool's `width` is no other column's. Types are kept: a number is a number, text is
text, what is missing or NaN is null. A shard decides by its own values, all shards together by all:
whole numbers of one and fractions of another are fractions.
"""

import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipcause.config import nearest
from clipcause.data.manifest import COLUMNS
from clipcause.data.values import KINDS

OTHER_TYPE = "value of another type"  # the reason of a ledger's line
SPOOL = "rows.spool"
NUMBER, TEXT, TRUTH = "a number", "text", "a truth value"
LARGEST = 1 << 63  # whole numbers of 64 bits


class Other(NamedTuple):
    """A value that is not of the type that most of its column have: where, and what it is."""

    place: int
    detail: str


def check(where: str, named: Iterable[str], found: Collection[str]) -> None:
    """Raise ``ValueError`` for a named column that is not there, with the nearest that is."""
    for name in named:
        if name not in found:
            raise ValueError(f"{where}: no {name!r}; {nearest(name, found)}")


def of_values(
    names: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> tuple[pa.Array, list[Other]]:
    """The named values of rows, as JSON and Python have them, as an array of the struct.

    What most values of a name are (numbers, texts, truth values) is its type. A value of another
    type is null, and told.
    """
    arrays, others = [], []
    for name in names:
        array, strange = _column(name, [row.get(name) for row in rows])
        arrays.append(array)
        others += strange
    return _struct(names, arrays, len(rows)), sorted(others)


def of_table(where: str, names: Sequence[str], table: pa.Table) -> pa.Array:
    """The named columns of a table as an array of the struct; bytes are text without a type, as CSV
    has it (``of_texts``). Raises ``ValueError`` for a column that is neither numbers, text, truth
    values nor times."""
    arrays = [_flat(where, name, table[name].combine_chunks()) for name in names]
    return _struct(names, arrays, table.num_rows)


def of_texts(values: Iterable[bytes | str | None]) -> pa.Array:
    """A column of a CSV file, which has no types: numbers where all that is there are numbers.

    Blank is missing. `007` is text, for a number would lose what it says.
    """
    texts = [
        one.decode("utf-8", "backslashreplace") if isinstance(one, bytes) else one for one in values
    ]
    texts = [one if one and one.strip() else None for one in texts]
    try:
        return _column("", [None if one is None else _number(one) for one in texts])[0]
    except ValueError:
        return pa.array(texts, pa.string())


def _number(text: str) -> int | float:
    digits = text.strip().lstrip("+-")
    if digits.isascii() and digits.isdigit():
        if len(digits) > 1 and digits[0] == "0":
            raise ValueError(text)
        return int(text)
    if "_" in text:  # Python's, nobody else's
        raise ValueError(text)
    return float(text)


def _column(name: str, values: list[Any]) -> tuple[pa.Array, list[Other]]:
    kinds = [_kind(value) for value in values]
    counts = {kind: kinds.count(kind) for kind in (NUMBER, TEXT, TRUTH)}
    chosen = max(counts, key=lambda kind: counts[kind])
    others = [
        Other(place, f"{name}: {kind}, most are {chosen}")
        for place, kind in enumerate(kinds)
        if kind not in ("", chosen)
    ]
    kept = [one if kind == chosen else None for one, kind in zip(values, kinds, strict=True)]
    if not counts[chosen]:
        return pa.nulls(len(values)), others
    if chosen == TEXT:
        kept = [
            one if one is None else one.encode("utf-8", "backslashreplace").decode() for one in kept
        ]
        return pa.array(kept, pa.string()), others
    if chosen == TRUTH:
        return pa.array(kept, pa.bool_()), others
    whole = all(
        isinstance(one, int) and -LARGEST <= one < LARGEST for one in kept if one is not None
    )
    if whole:
        return pa.array(kept, pa.int64()), others
    return pa.array([one if one is None else _float(one) for one in kept], pa.float64()), others


def _float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 300 digits
        return math.inf


def _kind(value: Any) -> str:
    """What a value is; empty where it is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return TRUTH
    if isinstance(value, int | float):
        return NUMBER
    return TEXT if isinstance(value, str) else KINDS.get(type(value), type(value).__name__)


def _flat(where: str, name: str, array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.cast(kind.value_type)
        kind = array.type
    if pa.types.is_floating(kind):
        wide = array.cast(pa.float64())
        missing = pc.call_function("is_nan", [wide])
        return pc.call_function("if_else", [missing, pa.scalar(None, pa.float64()), wide])
    if pa.types.is_integer(kind):
        return array if kind == pa.uint64() else array.cast(pa.int64())
    if pa.types.is_binary(kind):
        return of_texts(array.to_pylist())
    if pa.types.is_decimal(kind):
        return array.cast(pa.float64())
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    if any(test(kind) for test in texts):
        # Parquet does not promise that its strings are UTF-8
        raw = array.cast(pa.large_binary()).to_pylist()
        return pa.array(
            [one if one is None else one.decode("utf-8", "backslashreplace") for one in raw]
        )
    if pa.types.is_null(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        return array
    raise ValueError(
        f"{where}: column {name!r} is {kind}; columns that are kept are numbers, text, truth values"
        " or times"
    )


def _struct(names: Sequence[str], arrays: list[pa.Array], rows: int) -> pa.Array:
    fields = [pa.field(name, array.type) for name, array in zip(names, arrays, strict=True)]
    assert all(len(array) == rows for array in arrays)
    return pa.StructArray.from_arrays(arrays, fields=fields)


class Writer:
    """A manifest's Parquet file, a row group for each table; ``options`` are those of Parquet.

    Tables with kept columns wait in a file beside it until all types are known, so that memory
    holds one, whatever the size of the pool.
    """

    def __init__(self, path: Path, schema: pa.Schema, **options: Any) -> None:
        self._path, self._schema, self._options = path, schema, options
        self._parquet: pq.ParquetWriter | None = None
        self._spool = path.with_name(SPOOL)
        self._types: dict[str, pa.StructType] = {}  # by shard, where they differ from those before

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *error: object) -> None:
        self._spool.unlink(missing_ok=True)
        if self._parquet is not None:
            self._parquet.close()

    def add(self, shard: str, rows: pa.Table) -> None:
        """Append the rows of a shard."""
        if COLUMNS not in rows.column_names:
            self._open(self._schema).write_table(rows, rows.num_rows)
            return
        kind = rows.schema.field(COLUMNS).type
        if kind not in self._types.values():
            self._types[shard] = kind
        compressed = pa.ipc.IpcWriteOptions(compression="zstd")
        with (
            self._spool.open("ab") as stream,
            pa.ipc.new_stream(stream, rows.schema, options=compressed) as out,
        ):
            out.write_table(rows.combine_chunks())

    def finish(self, metadata: Mapping[bytes, str] | Mapping[str, str]) -> None:
        """All rows are there. Raises ``ValueError`` for a column that is text in one shard and
        numbers in another."""
        kind = merged(self._types) if self._types else None
        schema = self._schema if kind is None else self._schema.append(pa.field(COLUMNS, kind))
        parquet = self._open(schema)
        for rows in self._waiting():
            parquet.write_table(_cast(rows, schema), rows.num_rows)
        parquet.add_key_value_metadata(metadata)

    def _open(self, schema: pa.Schema) -> pq.ParquetWriter:
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(
                self._path, schema, compression="zstd", **self._options
            )
        return self._parquet

    def _waiting(self) -> Iterator[pa.Table]:
        if not self._types:
            return
        with self._spool.open("rb") as stream:
            end = os.fstat(stream.fileno()).st_size
            while stream.tell() < end:
                yield pa.ipc.open_stream(stream).read_all()


def merged(types: Mapping[str, pa.StructType]) -> pa.StructType:
    """The one type of the kept columns of all shards, by their names."""
    found: dict[str, tuple[str, pa.DataType]] = {}
    for shard, kind in types.items():
        for field in kind:
            before, known = found.get(field.name, (shard, field.type))
            try:
                both = pa.unify_schemas(
                    [pa.schema([("", known)]), pa.schema([("", field.type)])],
                    promote_options="permissive",
                ).field(0)
            except pa.ArrowTypeError:
                raise ValueError(
                    f"column {field.name!r} is {known} in {before} and {field.type} in {shard}; "
                    "a column that is kept has one type"
                ) from None
            where = before if pa.types.is_null(field.type) or not pa.types.is_null(known) else shard
            found[field.name] = (where, both.type)
    return pa.struct([pa.field(name, kind) for name, (_, kind) in found.items()])


def _cast(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    kind = schema.field(COLUMNS).type
    held = rows[COLUMNS].combine_chunks()
    arrays = [held.field(field.name).cast(field.type, safe=False) for field in kind]
    place = rows.column_names.index(COLUMNS)
    whole = rows.set_column(place, COLUMNS, pa.StructArray.from_arrays(arrays, fields=list(kind)))
    return whole.cast(schema)
