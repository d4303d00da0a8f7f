"""Data sets: WebDataset tar shards, a manifest with one row per usable sample, a drop ledger.

``data/<name>/`` holds ``00000.tar`` …, ``manifest.parquet`` and ``drops.parquet``. A row is the
position of a sample in the frozen order (shard order, then order in the shard) and identifies it
within one manifest; the SHA-256 of the manifest file identifies the data set, because the manifest
lists every shard with its SHA-256, size and number of samples.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.artifacts import atomic, shards
from stages.artifacts.shards import Shard, check_size, verify
from stages.artifacts.shards import digest as _digest

MANIFEST = "manifest.parquet"
DROPS = "drops.parquet"
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
DROPS_SCHEMA = pa.schema([(name, pa.string()) for name in ("shard", "key", "reason", "detail")])
REASONS_SHOWN = 3


@dataclass(frozen=True)
class Sample:
    """One image-text pair. ``source`` says where it is from (a URL, ``set:icon``), ``extra`` goes
    into the sample's JSON member."""

    key: str
    image: bytes
    extension: str
    caption: str
    label: str | None
    width: int
    height: int
    source: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Drop:
    """One sample that was left out: ``shard`` is its place in the raw source."""

    shard: str
    key: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Counts:
    """What was written: numbers of samples, of drops, of shards, and of drops by reason."""

    samples: int
    dropped: int
    shards: int
    reasons: dict[str, int]


def uid(image: bytes) -> str:
    """128-bit hash of an image's bytes, 32 hexadecimal digits."""
    return hashlib.blake2b(image, digest_size=16).hexdigest()


def source_id(source: str, caption: str) -> str:
    """128-bit hash of where a sample is from and of its caption, 32 hexadecimal digits."""
    return hashlib.blake2b(f"{source}\0{caption}".encode(), digest_size=16).hexdigest()


def write(
    folder: Path,
    samples: Iterable[Sample | Drop],
    *,
    shard_size: int,
    max_drop_fraction: float,
) -> Counts:
    """Write a data set in the order of ``samples``; the same samples give the same bytes.

    Memory holds one shard's part of the manifest, the ledger, and the keys seen. A key that comes
    a second time goes to the ledger. Raises ``ValueError`` where nothing is usable, where more
    than ``max_drop_fraction`` of all is dropped, or for a key or an image type that WebDataset
    could not read back; nothing is left then.
    """
    if shard_size < 1:
        raise ValueError(f"{folder}: shard_size is {shard_size}, expected at least 1")
    drops: list[Drop] = []
    written: list[Shard] = []
    with atomic.folder(folder) as out:
        with pq.ParquetWriter(out / MANIFEST, SCHEMA, compression="zstd") as manifest:
            for part in _chunks(_usable(folder, samples, drops), shard_size):
                shard, table = _write_shard(out, len(written), part, _count(written))
                written.append(shard)
                manifest.write_table(table, row_group_size=shard_size)
            listed = json.dumps([shard._asdict() for shard in written], sort_keys=True)
            manifest.add_key_value_metadata({SHARDS_KEY.decode(): listed})
        counts = Counts(
            samples=_count(written),
            dropped=len(drops),
            shards=len(written),
            reasons=dict(sorted(Counter(drop.reason for drop in drops).items())),
        )
        _check_drops(folder, counts, drops, max_drop_fraction)
        columns = {name: [getattr(drop, name) for drop in drops] for name in DROPS_SCHEMA.names}
        atomic.write_parquet(out / DROPS, pa.table(columns, schema=DROPS_SCHEMA))
    return counts


@dataclass(frozen=True)
class Manifest:
    """A data set on disk. Columns are read when they are asked for."""

    folder: Path
    sha256: str
    shards: tuple[Shard, ...]

    def __len__(self) -> int:
        return _count(self.shards)

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
        for seen, (key, content) in enumerate(shards.images(path), 1):
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
    manifest = Manifest(
        folder, _digest(path), tuple(Shard(**shard) for shard in json.loads(listed))
    )
    _check_rows(path, parquet, manifest)
    if shards:
        for shard in manifest.shards:
            check_size(folder / shard.name, shard)
    return manifest


def read_drops(folder: Path) -> pa.Table:
    """The drop ledger: shard, key, reason, detail."""
    return atomic.read_parquet(folder / DROPS, DROPS_SCHEMA)


def _chunks(samples: Iterator[Sample], size: int) -> Iterator[Iterator[Sample]]:
    """Cut a stream into streams of ``size`` without holding a chunk in memory."""
    for first in samples:

        def chunk(first: Sample = first) -> Iterator[Sample]:
            yield first
            for _ in range(size - 1):
                following = next(samples, None)
                if following is None:
                    return
                yield following

        yield chunk()


def _usable(folder: Path, samples: Iterable[Sample | Drop], drops: list[Drop]) -> Iterator[Sample]:
    """Pass samples through; drops and second uses of a key go to the ledger."""
    first_source: dict[str, str] = {}
    for sample in samples:
        if isinstance(sample, Drop):
            drops.append(sample)
        elif sample.key in first_source:
            detail = f"{sample.source}; the key is that of {first_source[sample.key]}"
            drops.append(Drop("", sample.key, "duplicate key", detail))
        else:
            _check_sample(folder, sample)
            first_source[sample.key] = sample.source
            yield sample


def _check_sample(folder: Path, sample: Sample) -> None:
    base = sample.key.rpartition("/")[2]
    if not base or "." in base or sample.key.startswith("/"):
        raise ValueError(
            f"{folder}: key {sample.key!r} of {sample.source}: a key is not empty, has no leading "
            "'/' and no '.' in its last part, for the first '.' begins the extension"
        )
    if sample.extension not in shards.IMAGES:
        raise ValueError(
            f"{folder}: {sample.key}: image type {sample.extension!r}; known: "
            f"{', '.join(shards.IMAGES)}"
        )


def _write_shard(
    out: Path, number: int, samples: Iterable[Sample], start: int
) -> tuple[Shard, pa.Table]:
    path = out / f"{number:05d}.tar"
    rows: list[tuple[Any, ...]] = []
    with shards.ShardWriter(path) as shard:
        for row, one in enumerate(samples, start):
            facts = {"source": one.source, "width": one.width, "height": one.height} | dict(
                one.extra
            )
            shard.add(one.key, one.extension, one.image, one.caption, one.label, facts)
            identity = uid(one.image), source_id(one.source, one.caption)
            size = one.width, one.height
            rows.append((row, path.name, one.key, *identity, one.caption, one.label, *size))
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    entry = Shard(path.name, shards.digest(path), path.stat().st_size, len(rows))
    return entry, pa.table(columns, names=SCHEMA.names).cast(SCHEMA)


def _check_drops(folder: Path, counts: Counts, drops: list[Drop], most: float) -> None:
    total = counts.samples + counts.dropped
    first = "; ".join(f"{d.key}: {d.reason} ({d.detail})" for d in drops[:REASONS_SHOWN])
    if not counts.samples:
        raise ValueError(
            f"{folder}: no usable sample among {total}" + (f": {first}" if first else "")
        )
    if counts.dropped > most * total:
        raise ValueError(
            f"{folder}: {counts.dropped} of {total} samples dropped, more than "
            f"max_drop_fraction {most}: {first}"
        )


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


def _count(entries: Iterable[Shard]) -> int:
    return sum(shard.samples for shard in entries)
