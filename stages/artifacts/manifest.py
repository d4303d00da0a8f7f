"""Manifests: one row per usable sample of a data set, checked against its shards.

``data/<name>/manifest.parquet``. A row is the position of a sample in the frozen order (order of
the shards, then order in the shard) and identifies it within one manifest; the SHA-256 of the
manifest file identifies the data set, because the manifest lists every shard with its SHA-256, size
and number of samples. ``stages.artifacts.dataset`` writes it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.artifacts import atomic
from stages.artifacts.shards import Shard, check_size, digest, images, verify

MANIFEST = "manifest.parquet"
SHARDS_KEY = b"clipcause.shards"
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("shard", pa.string()),
        ("key", pa.string()),
        ("uid", pa.string()),
        ("source_id", pa.string()),
        ("caption", pa.string()),
        ("label", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
    ]
)


@dataclass(frozen=True)
class Manifest:
    """A data set on disk. Columns are read when they are asked for."""

    folder: Path
    sha256: str
    shards: tuple[Shard, ...]

    def __len__(self) -> int:
        return sum(shard.samples for shard in self.shards)

    @cached_property
    def table(self) -> pa.Table:
        """All columns (``SCHEMA``), one row per sample."""
        return pq.read_table(self.folder / MANIFEST, partitioning=None)

    @cached_property
    def labels(self) -> list[str | None]:
        """The class id of every row, ``None`` where it has none."""
        return self._column("label")

    @cached_property
    def captions(self) -> list[str]:
        """The caption of every row."""
        return self._column("caption")

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The first row of every shard, and the number of rows."""
        sizes = [shard.samples for shard in self.shards]
        return tuple(int(start) for start in np.cumsum([0, *sizes]))

    @cached_property
    def _verified(self) -> set[str]:
        return set()

    def images(self, shards: Iterable[int] | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield row and image bytes of the given shards (positions in the list; all of them).

        A shard's size and SHA-256 are compared with the manifest before its first image is
        yielded, once per ``Manifest``; its keys while it is read.
        """
        for position in range(len(self.shards)) if shards is None else shards:
            yield from self._shard_images(position)

    def image(self, rows: Iterable[int]) -> list[bytes]:
        """The image bytes of a few rows, in the order in which they are given."""
        rows = [int(row) for row in rows]
        if outside := [row for row in rows if not 0 <= row < len(self)]:
            raise ValueError(f"{self.folder}: row {outside[0]} is not among {len(self)} rows")
        wanted = set(rows)
        positions = np.searchsorted(self.starts, sorted(wanted), side="right") - 1
        found: dict[int, bytes] = {}
        for position in dict.fromkeys(int(position) for position in positions):
            images = self._shard_images(position)
            found |= {row: content for row, content in images if row in wanted}
        return [found[row] for row in rows]

    def _shard_images(self, position: int) -> Iterator[tuple[int, bytes]]:
        shard = self.shards[position]
        path = self.folder / shard.name
        if shard.name not in self._verified:
            verify(path, shard)
            self._verified.add(shard.name)
        start = self.starts[position]
        keys = self._keys(start, shard.samples)
        seen = 0
        for seen, (key, content) in enumerate(images(path), 1):
            expected = keys[seen - 1] if seen <= len(keys) else "(nothing)"
            if key != expected:
                raise ValueError(
                    f"{path}: image {seen} has key {key!r}, the manifest says {expected!r} "
                    f"({shard.samples} rows); the manifest is of other shards"
                )
            yield start + seen - 1, content
        if seen != shard.samples:
            raise ValueError(
                f"{path}: {seen} images, the manifest has {shard.samples} rows"
                f"; the first without an image has key {keys[seen]!r}"
            )

    def _keys(self, start: int, count: int) -> Sequence[str]:
        return self._key_column.slice(start, count).to_pylist()

    @cached_property
    def _key_column(self) -> pa.ChunkedArray:
        return self._read("key")

    def _column(self, name: str) -> list[Any]:
        return self._read(name).to_pylist()

    def _read(self, name: str) -> pa.ChunkedArray:
        path = self.folder / MANIFEST
        return pq.read_table(path, columns=[name], partitioning=None)[name]


def read(folder: Path, *, shards: bool = True) -> Manifest:
    """Open a data set and check that manifest and shard files fit each other.

    ``shards=False`` needs the manifest alone (stages that never look at an image). Raises
    ``FileNotFoundError`` or ``ValueError`` with the file and the counts that do not fit; contents
    of shards are checked when they are read.
    """
    path = folder / MANIFEST
    parquet = atomic.open_parquet(path)
    atomic.check_schema(path, parquet.schema_arrow.remove_metadata(), SCHEMA)
    listed = (parquet.metadata.metadata or {}).get(SHARDS_KEY)
    if listed is None:
        raise ValueError(f"{path}: no list of shards in its metadata; prepare the data set again")
    manifest = Manifest(folder, digest(path), tuple(Shard(**shard) for shard in json.loads(listed)))
    _check_rows(path, parquet, manifest)
    if shards:
        for shard in manifest.shards:
            check_size(folder / shard.name, shard)
    return manifest


def _check_rows(path: Path, parquet: pq.ParquetFile, manifest: Manifest) -> None:
    found = parquet.metadata.num_rows
    if found != len(manifest):
        raise ValueError(
            f"{path}: {found} rows, but its list of {len(manifest.shards)} shards counts "
            f"{len(manifest)} samples"
        )
    start = 0
    ends: dict[str, int] = {}
    for batch in parquet.iter_batches(columns=["row", "shard"]):
        row_N = batch.column("row").to_numpy()
        if not np.array_equal(row_N, np.arange(start, start + len(row_N))):
            raise ValueError(f"{path}: column 'row' does not count from 0 to {found - 1}")
        runs = pc.call_function("run_end_encode", [batch.column("shard")])
        for name, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            ends.pop(name, None)  # a shard that comes back later moves behind the others
            ends[name] = start + end
        start += len(row_N)
    listed = zip((shard.name for shard in manifest.shards), manifest.starts[1:], strict=True)
    if list(ends.items()) != list(listed):
        raise ValueError(f"{path}: column 'shard' does not fit the list of shards")
