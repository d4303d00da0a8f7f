"""Manifests: one row per usable sample of a data set, checked against its shards.

``data/<name>/manifest.parquet``. A row is the position of a sample in the frozen order (order of
the shards, then order in the shard) and identifies it within one manifest. The shards lie beside
the manifest, or in place where they were downloaded to. ``clipcause.data.dataset`` and
``clipcause.data.in_place`` write it.

The identity of a data set (``sha256``) is the hash of the manifest file, which lists every shard
with its SHA-256, size and number of samples. The manifest of a pool in place may have gigabytes, so
its list also has a hash of each shard's rows, and the hash of the list is the identity: moving the
pool to another place does not change it, and reading it takes no pass over the file.

The file has one row group per shard, so a pool of any size is read shard by shard
(``Manifest.shard_table``); ``table``, ``labels`` and ``captions`` hold a whole column in memory.
"""

import json
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipcause.config import nearest
from clipcause.data import cells, place
from clipcause.data.member_index import Index
from clipcause.data.shards import Shard, check_facts, digest
from clipcause.data.stream import Reader
from clipcause.runtime import atomic

MANIFEST = "manifest.parquet"
SHARDS_KEY = b"clipcause.shards"
PLACE_KEY = b"clipcause.place"
COLUMNS = "columns"  # a struct of what is kept of the pool's own metadata, where there is some
PART_OF = re.compile(r"#\d+$")  # of a file that has several shards: which
# shards of data sets that consist of captions and labels alone
NO_IMAGES = (".parquet", ".tsv", ".csv", ".tsv.gz", ".csv.gz")
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("shard", pa.string()),
        ("key", pa.string()),
        ("uid", pa.string()),
        ("source_id", pa.string()),
        ("pool_uid", pa.string()),
        ("caption", pa.string()),
        ("captions", pa.list_(pa.string())),
        ("label", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("converted", pa.bool_()),
    ]
)


def uid(image: bytes) -> str:
    """128-bit hash of an image's bytes, 32 hexadecimal digits."""
    return blake2b(image, digest_size=16).hexdigest()


def encode_shards(shards: Iterable[Shard]) -> str:
    """The list of shards as the manifest's metadata have it."""
    return json.dumps([shard.entry() for shard in shards], sort_keys=True)


@dataclass(frozen=True)
class Manifest:
    """A data set on disk. Columns are read when they are asked for.

    ``source`` is the folder or URL of shards that are read in place, None where they lie beside
    the manifest.
    """

    folder: Path
    sha256: str
    shards: tuple[Shard, ...]
    source: str | None = None

    def __len__(self) -> int:
        return self.starts[-1]

    def __reduce__(self) -> tuple[Any, ...]:
        # an open file and cached columns are not for other processes
        return (Manifest, (self.folder, self.sha256, self.shards, self.source))

    @cached_property
    def table(self) -> pa.Table:
        """All columns (``SCHEMA``, and those that are kept), one row per sample."""
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
    def kept_names(self) -> tuple[str, ...]:
        """The columns of the pool's own metadata that are kept."""
        at = self._parquet.schema_arrow.get_field_index(COLUMNS)
        fields = () if at < 0 else self._parquet.schema_arrow.field(at).type
        return tuple(one.name for one in fields)

    def kept(self, name: str) -> pa.ChunkedArray:
        """A column of the pool's own metadata that is kept in the manifest: a value a row.

        Raises ``ValueError`` for one that is not, with the nearest that is.
        """
        if name not in self.kept_names:
            raise ValueError(
                f"{self.folder}: its manifest keeps no column {name!r}; "
                f"{nearest(name, self.kept_names)} (the option `columns` of its data set names "
                "them)"
            )
        table = self._parquet.read(columns=[f"{COLUMNS}.{name}"])
        column = table[COLUMNS].combine_chunks()
        return pa.chunked_array([column.field(name)], column.type.field(name).type)

    def place(self, position: int) -> str:
        """The path or URL of a shard; of its file, where a shard is a part of one (`file#3`)."""
        name = PART_OF.sub("", self.shards[position].name)
        return str(self.folder / name) if self.source is None else place.join(self.source, name)

    def shard_table(self, position: int, columns: list[str] | None = None) -> pa.Table:
        """The rows of one shard, all columns or those named; memory holds no others.

        Raises ``ValueError`` where the file's rows are not those of the shard.
        """
        path = self.folder / MANIFEST
        try:
            # for a few columns of one shard, threads cost more than they give
            table = self._parquet.read_row_group(
                position, columns=columns, use_threads=columns is None
            )
        except (OSError, pa.ArrowInvalid) as error:
            raise ValueError(
                f"{path}: the rows of {self.shards[position].name} are damaged: {error}; "
                "prepare the data set again"
            ) from None
        if "row" in table.column_names:
            row_N = table["row"].to_numpy()
            if not np.array_equal(row_N, np.arange(*self.starts[position : position + 2])):
                raise ValueError(
                    f"{path}: column 'row' does not count through {self.shards[position].name}"
                )
        return table

    def images(self, shards: Iterable[int] | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield row and image bytes of the given shards (positions in the list; all of them).

        The member index says where each image lies: no tar header is parsed. A shard's size is
        compared with the manifest before its first image, the hash of each image before it is
        yielded, and a tar's SHA-256 when it has been read, once per ``Manifest``. Raises
        ``ValueError`` or ``FileNotFoundError`` with the shard and the key.
        """
        for position in range(len(self.shards)) if shards is None else shards:
            if self.shards[position].column is not None:
                rows = range(*self.starts[position : position + 2])
                yield from self._cells(position, self._sought(position, rows))
                continue
            known = self._stamps.get(self.shards[position].name)
            sought = self._sought(position, range(*self.starts[position : position + 2]))
            spans = [(one.offset, one.offset + one.size) for one in sought]
            with self.reading(position, known, spans) as reader:
                for one in sought:
                    yield one.row, content(reader, self.place(position), one)

    def identities(self, position: int) -> pa.Table:
        """Key, and hash of the image in the shard, of every row of one.

        The hash is null of a picture that is stored otherwise than it came, beside the manifest:
        ``uid`` is that of the bytes as they came, and only the shard's hash speaks for it.
        """
        table = self.shard_table(position, ["key", "uid", "converted"])
        if self.source is None:
            none = pa.scalar(None, pa.string())
            stored = pc.call_function("if_else", [table["converted"], none, table["uid"]])
            table = table.set_column(1, "uid", stored)
        return table.select(["key", "uid"])

    def members(self, position: int) -> pa.Table:
        """Where image and JSON of every row of a shard lie in it (``member_index.SCHEMA``)."""
        self._need_images(position)
        return self._index.shard(position)

    @contextmanager
    def reading(
        self,
        position: int,
        known: str | None = None,
        spans: Sequence[tuple[int, int]] | None = None,
    ) -> Generator[Reader]:
        """A shard to read forwards, whose size and, where no stamp of an earlier reading is
        ``known``, whose SHA-256 are compared with the manifest's. With such a stamp, an object
        store may be asked for the ``spans`` alone (``place.opened``)."""
        shard, path = self.shards[position], self.place(position)
        before = place.facts(path)
        check_facts(path, shard, before)
        if known is not None and known != before.stamp:
            raise ValueError(f"{path}: changed while the stage ran; run it again")
        with place.opened(path, shard.bytes, None if known is None else spans) as stream:
            reader = Reader(stream, hashed=known is None)
            yield reader
            if known is None:
                found, _ = reader.finish()
                if found != shard.sha256:
                    raise ValueError(
                        f"{path}: SHA-256 {found[:12]}…, the manifest says {shard.sha256[:12]}… "
                        f"({shard.samples} samples); prepare the data set again"
                    )
                self._stamps[shard.name] = before.stamp

    def image(self, rows: Iterable[int]) -> list[bytes]:
        """The image bytes of a few rows, in the order in which they are given."""
        rows = [int(row) for row in rows]
        if outside := [row for row in rows if not 0 <= row < len(self)]:
            raise ValueError(f"{self.folder}: row {outside[0]} is not among {len(self)} rows")
        wanted = np.unique(np.array(rows, np.int64))
        positions = np.searchsorted(self.starts, wanted, side="right") - 1
        found: dict[int, bytes] = {}
        for position in dict.fromkeys(int(position) for position in positions):
            found |= dict(self._few(position, wanted[positions == position].tolist()))
        return [found[row] for row in rows]

    @cached_property
    def _stamps(self) -> dict[str, str]:
        """The stamps of the shard files whose SHA-256 has been compared."""
        return {}

    @cached_property
    def _index(self) -> Index:
        return Index(self.folder, self.starts)

    @cached_property
    def _parquet(self) -> pq.ParquetFile:
        path = self.folder / MANIFEST
        return pq.ParquetFile(path, page_checksum_verification=True)

    def _few(self, position: int, rows: list[int]) -> Iterator[tuple[int, bytes]]:
        """Some rows of a shard, which ascend, without reading more of it than their images."""
        path, sought = self.place(position), self._sought(position, rows)
        if self.shards[position].column is not None:
            yield from self._cells(position, sought)
            return
        check_facts(path, self.shards[position], place.facts(path))
        found = place.pieces(path, [(one.offset, one.offset + one.size) for one in sought])
        for one, image in zip(sought, found, strict=True):
            yield one.row, checked(image, path, one)

    def _sought(self, position: int, rows: Sequence[int]) -> list["Sought"]:
        """Some rows of a shard, which ascend, and where in it their images lie."""
        index = np.asarray(rows, np.int64) - self.starts[position]
        members = self.members(position).take(index)
        columns = self.identities(position).take(index)
        found = (columns[name].to_pylist() for name in ("key", "uid"))
        where = (members[name].to_pylist() for name in ("offset", "size"))
        return [Sought(*one) for one in zip(rows, *found, *where, strict=True)]

    def _cells(self, position: int, sought: Sequence["Sought"]) -> Iterator[tuple[int, bytes]]:
        """Some rows of a shard of a Parquet file, whose row groups are read as far as needed."""
        path = self.place(position)
        found = cells.images(*self.parquet(position), [one.offset for one in sought])
        for one, image in zip(sought, found, strict=True):
            yield one.row, checked(image or b"", path, one)

    def parquet(self, position: int) -> tuple[str, int, str, str]:
        """Of a shard with pictures in Parquet: its file, the size and hash by which it is known,
        and the column. Raises where the file has changed."""
        shard, path = self.shards[position], self.place(position)
        check_facts(path, shard, place.facts(path))
        assert shard.column is not None
        return path, shard.bytes, shard.sha256, shard.column

    def _need_images(self, position: int) -> None:
        path = self.place(position)
        if self.shards[position].column is None and path.endswith(NO_IMAGES):
            raise ValueError(
                f"{self.folder}: this data set has no images, only captions and labels: "
                f"{self.shards[position].name} is a table"
            )

    def _column(self, name: str) -> list[Any]:
        path = self.folder / MANIFEST
        return pq.read_table(path, columns=[name], partitioning=None)[name].to_pylist()


class Sought(NamedTuple):
    """An image to read."""

    row: int
    key: str
    uid: str | None
    offset: int
    size: int


def content(reader: Reader, path: str, one: Sought) -> bytes:
    """The bytes of an image, which are those that the manifest is of."""
    reader.skip(one.offset - reader.position)
    return checked(reader.read(one.size), path, one)


def checked(found: bytes, path: str, one: Sought) -> bytes:
    """What was read, which is the image that was sought: ``ValueError`` where it is not."""
    if len(found) < one.size:
        raise ValueError(
            f"{path}: {one.key}: cut off, {len(found)} of {one.size} bytes; prepare the data set "
            "again"
        )
    if one.uid not in (None, uid(found)):
        raise ValueError(
            f"{path}: {one.key}: the image is not the one that the manifest is of ({one.size} "
            "bytes); prepare the data set again"
        )
    return found


def read(folder: Path, *, shards: bool = True) -> Manifest:
    """Open a data set and check that manifest and shard files fit each other.

    ``shards=False`` needs the manifest alone (stages that never look at an image). Raises
    ``FileNotFoundError`` or ``ValueError`` with the file and the counts that do not fit; contents
    of shards are checked when they are read, and so are shards under a URL.
    """
    path = folder / MANIFEST
    parquet = atomic.open_parquet(path)
    columns = parquet.schema_arrow.remove_metadata()
    if (at := columns.get_field_index(COLUMNS)) == len(SCHEMA):
        columns = columns.remove(at)
    atomic.check_schema(path, columns, SCHEMA)
    metadata = parquet.metadata.metadata or {}
    listed = metadata.get(SHARDS_KEY)
    if listed is None:
        raise ValueError(f"{path}: no list of shards in its metadata; prepare the data set again")
    source = metadata.get(PLACE_KEY)
    identity = digest(path) if source is None else sha256(listed).hexdigest()
    entries = tuple(Shard(**entry) for entry in json.loads(listed))
    manifest = Manifest(folder, identity, entries, None if source is None else source.decode())
    _check_rows(path, parquet.metadata, manifest)
    if shards:
        _check_files(manifest)
    return manifest


def _check_files(manifest: Manifest) -> None:
    if manifest.source is not None and place.is_url(manifest.source):
        place.check(manifest.source)  # a request for each of 40,000 shards would take an hour
        return
    for position, shard in enumerate(manifest.shards):
        path = manifest.place(position)
        try:
            found = place.facts(path)
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: not found; the manifest lists it") from None
        check_facts(path, shard, found)


def _check_rows(path: Path, footer: pq.FileMetaData, manifest: Manifest) -> None:
    """One row group per shard, with its rows and name: by the statistics in the footer."""
    if footer.num_rows != len(manifest):
        raise ValueError(
            f"{path}: {footer.num_rows} rows, but its list of {len(manifest.shards)} shards counts "
            f"{len(manifest)} samples"
        )
    if footer.num_row_groups != len(manifest.shards):
        raise ValueError(
            f"{path}: {footer.num_row_groups} row groups for {len(manifest.shards)} shards"
        )
    for position, shard in enumerate(manifest.shards):
        start, stop = manifest.starts[position : position + 2]
        group = footer.row_group(position)
        row, name = (group.column(column).statistics for column in (0, 1))
        if row is None or (row.min, row.max) != (start, stop - 1):
            raise ValueError(
                f"{path}: column 'row' does not count from {start} to {stop - 1} in {shard.name}"
            )
        if name is None or not name.min == name.max == shard.name:
            raise ValueError(f"{path}: column 'shard' does not fit the list of shards")
