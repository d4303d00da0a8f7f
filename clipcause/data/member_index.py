"""The member index: where in its shard the image and the JSON of every row of a data set lie.

``data/<name>/members.parquet`` is written beside the manifest by the stage that parses the shards'
tar headers, so that no reader parses them again: it goes to an offset and reads so many bytes. One
row group a shard, as the manifest has. Data sets without images have none.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int64

from clipcause.runtime import atomic

INDEX = "members.parquet"
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("offset", pa.int64()),  # of the image's first byte in the shard
        ("size", pa.int64()),
        ("extension", pa.string()),  # of the image's name, in lower case
        ("json_offset", pa.int64()),  # null where the sample has no JSON that can be held
        ("json_size", pa.int64()),
    ]
)
PART = pa.schema([field for field in SCHEMA if field.name != "row"])


class Place(NamedTuple):
    """Where one sample lies in its shard: bytes from the start of the file."""

    offset: int
    size: int
    extension: str
    json_offset: int | None = None
    json_size: int | None = None


def table(places: Iterable[Place]) -> pa.Table:
    """The places of a shard's samples, in its order (``PART``)."""
    columns = list(zip(*places, strict=True)) or [()] * len(PART)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, PART, strict=True)]
    return pa.table(arrays, schema=PART)


class Writer:
    """Writes an index shard by shard, in the order of the manifest."""

    def __init__(self, folder: Path) -> None:
        self._parquet = pq.ParquetWriter(
            folder / INDEX,
            SCHEMA,
            compression="zstd",
            use_dictionary=["extension"],
            column_encoding=dict.fromkeys(("row", "offset", "json_offset"), "DELTA_BINARY_PACKED"),
            write_page_checksum=True,
        )
        self._rows = 0

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *error: object) -> None:
        self._parquet.close()

    def add(self, places: pa.Table) -> None:
        """Append the places of a shard that has rows."""
        rows = pa.array(range(self._rows, self._rows + len(places)), pa.int64())
        self._parquet.write_table(places.add_column(0, "row", rows), row_group_size=len(places))
        self._rows += len(places)


class Index:
    """The index of a data set on disk, read a shard at a time.

    ``starts`` are the manifest's: the first row of every shard, and the number of rows. Raises
    ``FileNotFoundError`` where there is no index and ``ValueError`` where it is none of them.
    """

    def __init__(self, folder: Path, starts: Sequence[int]) -> None:
        self.path = folder / INDEX
        self.starts = starts

    @cached_property
    def _parquet(self) -> pq.ParquetFile:
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path}: not found; prepare the data set again")
        parquet = atomic.open_parquet(self.path)
        atomic.check_schema(self.path, parquet.schema_arrow.remove_metadata(), SCHEMA)
        found = parquet.metadata.num_row_groups, parquet.metadata.num_rows
        expected = len(self.starts) - 1, self.starts[-1]
        if found != expected:
            raise ValueError(
                f"{self.path}: {found[0]} shards and {found[1]} rows, the manifest beside it has "
                f"{expected[0]} and {expected[1]}; prepare the data set again"
            )
        return parquet

    def shard(self, position: int) -> pa.Table:
        """The places of a shard's rows, in their order (``SCHEMA``)."""
        found = self._parquet.read_row_group(position)
        start, stop = self.starts[position : position + 2]
        row_N: Int64[np.ndarray, " N"] = found["row"].to_numpy()
        if not np.array_equal(row_N, np.arange(start, stop)):
            raise ValueError(
                f"{self.path}: column 'row' does not count from {start} to {stop - 1}; prepare the "
                "data set again"
            )
        return found
