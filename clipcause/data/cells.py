"""Pictures in Parquet files: the cells of a column, read where they lie, row group by row group.

A cell is no range of bytes that a reader could seek to, as a member of a tar is: pages are encoded
and as a rule compressed. The member index therefore has the row's number in its file instead of an
offset; the footer says which row group has it, and of that the picture's column alone is read, as
a stream, in as many rows at once as memory should hold.

A shard is known by the SHA-256 of its file's footer, which states where every page lies and is
another one for every other writing of the file, and its pictures by theirs: that a later reading
finds what was prepared is seen without the bytes of other columns or row groups.
"""

import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipcause.data import hub, place

MAGIC = b"PAR1"
ENDING = 8  # bytes: the footer's length and the magic
TAIL = 1 << 16  # bytes that are asked for at once; most footers are shorter
BATCH = 1 << 24  # bytes of pictures that are held, by their mean
MOST_ROWS = 1 << 10  # of a batch
BUFFER = 1 << 20  # bytes of a column that are read at once from a disk
BLOCKS = 8  # of READ_AHEAD bytes that are kept of an object: columns are read by turns


class NotParquetError(ValueError):
    """A file that cannot be read as Parquet at all; the message says why."""


class DamagedError(ValueError):
    """A row group that cannot be read on."""


class Footer(NamedTuple):
    """What a file says of itself at its end, and the SHA-256 of that."""

    metadata: pq.FileMetaData
    sha256: str

    @property
    def starts(self) -> list[int]:
        """The first row of every row group, and the number of rows."""
        groups = range(self.metadata.num_row_groups)
        sizes = (self.metadata.row_group(group).num_rows for group in groups)
        return [0, *np.cumsum(list(sizes)).tolist()]


def footer(path: str, size: int) -> Footer:
    """The footer of a file of ``size`` bytes; one request, or two where it is long.

    Raises ``NotParquetError``.
    """
    if size < len(MAGIC) + ENDING:
        raise NotParquetError(f"{size} bytes")
    (tail,) = place.pieces(path, [(max(0, size - TAIL), size)])
    if tail[-4:] == b"PARE":
        raise NotParquetError("encrypted")
    if tail[-4:] != MAGIC:
        raise NotParquetError("no footer at its end: cut off, or no Parquet file")
    length = int.from_bytes(tail[-ENDING:-4], "little") + ENDING
    if length > size - len(MAGIC):
        raise NotParquetError(f"a footer of {length:,} bytes in a file of {size:,}")
    if length > len(tail):
        (tail,) = place.pieces(path, [(size - length, size)])
    tail = tail[-length:]
    try:
        found = pq.read_metadata(pa.BufferReader(tail))
    except (OSError, pa.ArrowException) as error:
        raise NotParquetError(f"damaged footer: {error}") from None
    return Footer(found, hashlib.sha256(tail).hexdigest())


@contextmanager
def opened(path: str, known: Footer) -> Generator[pq.ParquetFile]:
    """A file whose footer is known, to read row groups of; of an object no more than is asked for
    is fetched, in large pieces."""

    def parquet(source: Any, buffer: int) -> pq.ParquetFile:
        return pq.ParquetFile(
            source, metadata=known.metadata, buffer_size=buffer, page_checksum_verification=True
        )

    if hub.is_hub(path):
        with hub.opened(path) as stream, parquet(stream, BUFFER) as file:
            yield file
        return
    if not place.is_url(path):
        with parquet(path, BUFFER) as file:
            yield file
        return
    place.check(path)
    ahead = {"block_size": place.READ_AHEAD, "cache_options": {"maxblocks": BLOCKS}}
    with (
        fsspec.open(path, "rb", cache_type="blockcache", **ahead) as stream,
        parquet(stream, place.READ_AHEAD) as file,
    ):
        yield file


def batches(
    file: pq.ParquetFile, group: int, columns: Sequence[str], image: str
) -> Iterator[pa.RecordBatch]:
    """A row group's rows in their order, some at once; ``image`` is the widest of the columns.

    Raises ``DamagedError``, after the rows before the damage.
    """
    facts = file.metadata.row_group(group)
    chunks = (facts.column(index) for index in range(facts.num_columns))
    size = sum(one.total_uncompressed_size for one in chunks if one.path_in_schema == image)
    rows = int(np.clip(BATCH * facts.num_rows // max(size, 1), 1, MOST_ROWS))
    try:
        yield from file.iter_batches(rows, [group], list(columns), use_threads=False)
    except (OSError, pa.ArrowException) as error:
        # Arrow's own are plain; others say that the file could not be had
        if isinstance(error, pa.ArrowException) or (type(error) is OSError and error.errno is None):
            raise DamagedError(f"{error}") from None
        raise


def field(schema: pa.Schema, name: str) -> pa.Field | None:
    """A column, or with dots a field of a struct (`image.bytes`); None where there is none."""
    if name in schema.names:
        return schema.field(name)
    outer, _, inner = name.partition(".")
    if outer not in schema.names or not pa.types.is_struct(kind := schema.field(outer).type):
        return None
    return field(pa.schema(list(kind)), inner)


def column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """The values of what ``field`` finds under a name; those of a struct that is null are null."""
    if name in batch.schema.names:
        found = batch.column(name)
    else:
        outer, _, inner = name.partition(".")
        found = pc.call_function(
            "struct_field", [batch.column(outer)], pc.StructFieldOptions(inner.split("."))
        )
    return found.dictionary_decode() if pa.types.is_dictionary(found.type) else found


def pictures(schema: pa.Schema) -> list[str]:
    """The columns that may hold pictures: bytes, or structs that have them."""
    structs = (one for one in schema if pa.types.is_struct(one.type))
    inside = [one.name for one in structs if any(holds_bytes(inner.type) for inner in one.type)]
    return [one.name for one in schema if holds_bytes(one.type) or one.name in inside]


def holds_bytes(kind: pa.DataType) -> bool:
    """Whether the values of a type can be a picture's bytes."""
    if pa.types.is_dictionary(kind):
        return holds_bytes(kind.value_type)
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(test(kind) for test in tests)


def images(
    path: str, size: int, sha256: str, name: str, rows: Sequence[int]
) -> Iterator[bytes | None]:
    """The pictures of some rows of a file, which ascend: the cells of the column ``name``.

    Raises ``ValueError`` where the file is damaged, or has another footer than that of ``sha256``.
    """
    for batch, places in _wanted(path, size, sha256, [name], name, rows):
        cells = column(batch, name)
        for place_in_batch in places:
            yield cells[place_in_batch].as_py()


def samples(
    path: str, size: int, sha256: str, name: str, rows: Sequence[int]
) -> Iterator[tuple[bytes | None, dict[str, Any]]]:
    """As ``images``, with the values of all columns but the picture's and others of bytes."""
    schema = footer(path, size).metadata.schema.to_arrow_schema()
    outer = name if name in schema.names else name.partition(".")[0]
    others = [one.name for one in schema if one.name != outer and not holds_bytes(one.type)]
    for batch, places in _wanted(path, size, sha256, [name, *others], name, rows):
        cells, facts = column(batch, name), batch.select(others)
        for place_in_batch in places:
            yield cells[place_in_batch].as_py(), facts.slice(place_in_batch, 1).to_pylist()[0]


def _wanted(
    path: str, size: int, sha256: str, columns: Sequence[str], name: str, rows: Sequence[int]
) -> Iterator[tuple[pa.RecordBatch, list[int]]]:
    """Batches that have some of the rows, and where in them; a row group is read no further than
    the last that is wanted of it."""
    known = footer(path, size)
    if known.sha256 != sha256:
        raise ValueError(f"{path}: changed since it was prepared; prepare the data set again")
    row_N, starts = np.asarray(rows, np.int64), known.starts
    with opened(path, known) as file:
        for group, (start, stop) in enumerate(pairwise(starts)):
            first, last = np.searchsorted(row_N, (start, stop))
            wanted_N = row_N[first:last]
            if not len(wanted_N):
                continue
            try:
                for batch in batches(file, group, columns, name):
                    here = np.searchsorted(wanted_N, start + batch.num_rows)
                    yield batch, (wanted_N[:here] - start).tolist()
                    wanted_N, start = wanted_N[here:], start + batch.num_rows
                    if not len(wanted_N):
                        break
            except DamagedError as error:
                raise ValueError(
                    f"{path}: row group {group} cannot be read: {error}; fetch the file again"
                ) from None
