"""`parquet`: Parquet files with the pictures in a column, as the hub stores most data sets.

A picture is a struct of `bytes` and `path`, as Hugging Face writes it, or a plain column of bytes,
as img2dataset's `jpg`. The files stay where they are. Their footers are read first, so that a
column that one of them lacks is told before any work; then each run of row groups by one task of
the engine. Only the named columns are read, also from an object store, and that reading is the
audit too: what is wrong with a file, a row group or a row goes to the ledger and stops nothing.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, ClassVar, Literal, NamedTuple

import braceexpand
import pyarrow as pa
from fsspec.utils import glob_translate
from pydantic import Field

from clipcause.config import engine, nearest, versions
from clipcause.config.datasets import NONE, Limits, Prepare
from clipcause.config.engine import Engine
from clipcause.data import cells, dataset, kept, member_index, place, signatures, values
from clipcause.data.cells import Footer, NotParquetError
from clipcause.data.dataset import Drop
from clipcause.data.in_place import PART, Part, rows_digest, with_columns
from clipcause.data.member_index import Place
from clipcause.data.place import Facts
from clipcause.data.shards import Shard
from clipcause.data.source import InPlace
from clipcause.data.sources import audit, columns
from clipcause.data.sources.columns import Lack
from clipcause.data.sources.webdataset import WILD, decode, encode, natural, positions
from clipcause.runtime import shard_cache as cache
from clipcause.runtime.engine import shardwise

ROLES = ("caption", "label", "key", "url", "uid")
ROWS = 10_000  # of a shard, unless one row group has more
BYTES = 1 << 29  # of a shard's pictures as they are stored, likewise
READERS = 16  # footers that are waited for at once
UNLABELLED = -1  # Hugging Face's class of a row that has none
SHOWN = 200  # characters of a detail in the ledger

UNREADABLE = "unreadable parquet"
DAMAGED = "damaged row group"
NO_IMAGE = "no image"
ELSEWHERE = "image is a path"
UNREADABLE_CLASS = "unreadable class"


class Parquet(InPlace):
    """Parquet files below ``place`` (or ``raw``) with pictures in a column, read where they lie.

    The columns; `none` for one that the files do not have, dots for a field of a struct
    (`json.caption`).
    """

    source: Literal["parquet"]
    captioned: ClassVar = True
    # the files' names: one or several, with {00000..00099} and, for what is there, * and **/
    shards: str | list[str] = "**/*.parquet"
    image: str = "image"
    caption: str = "text"  # none: the words of the class
    label: str = NONE
    # what a label is: id, a class's id, or the name that the file's Hugging Face metadata has for
    # its number; index, its position in the class list; or the name of a file below place with a
    # class a line, of which it is the position
    cls: str = "id"
    key: str = NONE  # none: the row's number in its file
    url: str = NONE
    uid: str = NONE  # the identity that the pool itself publishes
    # of the files' columns, those that the manifest keeps, for rules; dots for a field of a struct
    columns: list[str] = Field(default_factory=list)

    def parts(self, where: str, settings: Prepare, name: str) -> tuple[str, Iterator[Part]]:
        """Runs of row groups in the order of the files, by workers that show their progress."""
        versions.check("pillow")
        limits = Limits(**settings.model_dump(include=set(Limits.model_fields)))
        base, shards = where, self.shards
        if where.endswith(".parquet"):  # one file
            base, shards = where.rpartition("/")[0] or ".", PurePosixPath(where).name
        names = {role: getattr(self, role) for role in ("image", *ROLES)}
        read = Read(names, positions(base, self.cls), tuple(self.columns))
        return base, parts(base, shards, read, limits, engine.current().without_gpu(), name)


class Read(NamedTuple):
    """What is read: the column of each role, the class ids by position where a label is one, and
    the columns that the manifest keeps."""

    names: Mapping[str, str]
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Groups:
    """Row groups of a file that make a shard; ``fault`` is why a file is not one of Parquet."""

    file: str
    found: Facts
    footer: str = ""  # its SHA-256
    first: int = 0
    stop: int = 0
    fault: str = ""

    @property
    def name(self) -> str:
        """The shard's: the file's, and the number of the first row group."""
        return f"{self.file}#{self.first}"


@dataclass(frozen=True)
class Audit:
    """The task of one shard: its part of the manifest and of the ledger, as a table."""

    source: str
    limits: Limits
    read: Read

    def start(self) -> None:
        """Nothing to load."""

    def __call__(self, item: Groups, /) -> pa.Table:
        """Read row groups. Raises ``OSError`` where they cannot be had, ``ValueError`` where the
        file changes; nothing for what is in it."""
        return encode(read_groups(self, item))

    def name(self, item: Groups, /) -> str:
        """Path or URL, and the first row group."""
        return place.join(self.source, item.name)


def parts(
    source: str, shards: str | list[str], read: Read, limits: Limits, where: Engine, name: str
) -> Iterator[Part]:
    """The shards' parts in their order, from the shard cache where they are in it.

    Raises ``ValueError`` or ``FileNotFoundError`` at once where a file, the place or its driver, or
    a column of any file is missing, or of a type that holds no such thing.
    """
    task = Audit(source, limits, read)
    made_by = (versions.used("pillow"), source, read._asdict(), limits.model_dump())

    def key(item: Groups) -> str:
        return cache.key(*made_by, asdict(item))

    items = [item for found in planned(source, shards, read) for item in found]
    results = shardwise(
        task, items, key=key, store=cache.TABLE, where=where, label=f"prepare {name}"
    )
    return map(decode, results)


def planned(source: str, shards: str | list[str], read: Read) -> Iterator[list[Groups]]:
    """The shards of every file, by its footer."""
    listed = files(source, shards)

    def plan(name: str) -> list[Groups]:
        path, found = place.join(source, name), listed[name]
        try:
            known = cells.footer(path, found.bytes)
        except NotParquetError as error:
            return [Groups(name, found, fault=_told(path, found, error))]
        picture = check(path, known, read)
        return list(_cut(name, found, known, picture.bytes))

    with ThreadPoolExecutor(READERS) as readers:
        yield from readers.map(plan, listed)


def files(source: str, shards: str | list[str]) -> dict[str, Facts]:
    """The files below ``source``: those named, in the order given, braces expanded; what a pattern
    finds is in natural order (2 before 10)."""
    listed = place.listing(source)
    chosen: dict[str, Facts] = {}
    for pattern in [shards] if isinstance(shards, str) else shards:
        for name in braceexpand.braceexpand(pattern):
            expression = re.compile(glob_translate(name) if WILD.search(name) else re.escape(name))
            found = sorted((one for one in listed if expression.fullmatch(one)), key=natural)
            if not found:
                parquet = [one for one in listed if one.endswith(".parquet")][:10_000]
                tip = nearest(name, parquet or [*listed][:100])
                raise FileNotFoundError(f"{place.join(source, name)}: not found; {tip}")
            chosen |= {one: listed[one] for one in found}
    return chosen


class Picture(NamedTuple):
    """Where in a file the pictures are: the column of bytes, and that of paths if there is one."""

    bytes: str
    path: str | None


def check(path: str, known: Footer, read: Read) -> Picture:
    """Where the pictures are. Raises ``ValueError`` for a column that is missing, with the nearest
    that is there, or whose type can hold no picture, or no text."""
    schema = known.metadata.schema.to_arrow_schema()
    wanted = {role: name for role, name in read.names.items() if name != NONE}
    found = {role: cells.field(schema, name) for role, name in wanted.items()}
    if absent := [role for role, one in found.items() if one is None]:
        tip = nearest(wanted[absent[0]], _names(schema))
        raise ValueError(
            f"{path}: no column {wanted[absent[0]]!r} for {absent[0]}; {tip} Its columns are "
            f"{', '.join(schema.names)}; say another one, none, or other files by shards"
        )
    there = {role: one for role, one in found.items() if one is not None}
    if "image" not in there:
        raise ValueError(f"{path}: image is none, but a picture's column is needed")
    texts = pa.schema([one.with_name(role) for role, one in there.items() if role in ROLES])
    columns.check_types(path, texts, {role: role for role in texts.names})
    kept.check(path, read.columns, _names(schema))
    name, kind = wanted["image"], there["image"].type
    if cells.holds_bytes(kind):
        return Picture(name, None)
    inner = {one.name: one.type for one in kind} if pa.types.is_struct(kind) else {}
    if "bytes" in inner and cells.holds_bytes(inner["bytes"]):
        return Picture(f"{name}.bytes", f"{name}.path" if "path" in inner else None)
    held = cells.pictures(schema)
    raise ValueError(
        f"{path}: column {name!r} for image is {kind}, expected bytes, or a struct of bytes and "
        "path" + (f"; columns of bytes: {', '.join(held)}" if held else "")
    )


def read_groups(task: Audit, item: Groups) -> Part:
    """Read the row groups of a shard and look at every row."""
    path = task.name(item).rpartition("#")[0]
    if item.fault:
        damage = Drop(item.file, "", UNREADABLE, item.fault)
        none = PART.empty_table()
        return Part(_shard(item, None, none), none, [damage], places=member_index.table([]))
    known = cells.footer(path, item.found.bytes)
    if known.sha256 != item.footer:
        raise ValueError(f"{path}: changed while it was read; run again when it is complete")
    picture = check(path, known, task.read)
    with cells.opened(path, known) as file:
        reading = Reading(item.file, task, picture, class_names(file.schema_arrow, task.read))
        for group in range(item.first, item.stop):
            try:
                for batch in cells.batches(file, group, reading.columns, picture.bytes):
                    reading.add(group, known.starts[group], batch)
            except cells.DamagedError as error:
                reading.damaged(group, known, error)
    if cells.footer(path, place.facts(path).bytes).sha256 != item.footer:
        raise ValueError(f"{path}: changed while it was read; run again when it is complete")
    rows = pa.concat_tables([PART.empty_table(), *reading.rows]).combine_chunks()
    if task.read.columns and reading.kept:
        rows = with_columns(rows, pa.concat_arrays(reading.kept))
    shard = _shard(item, picture, rows)
    places = member_index.table(reading.places)
    return Part(shard, rows, reading.drops, reading.remarks, reading.lost, places)


def class_names(schema: pa.Schema, read: Read) -> dict[str, tuple[str, ...]]:
    """By role, the names of a column's classes by number, as Hugging Face's metadata have them."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError, RecursionError):
        return {}
    found = {}
    for role in ("caption", "label"):
        feature: Any = features
        for name in read.names.get(role, NONE).split("."):
            feature = feature.get(name) if isinstance(feature, dict) else None
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
            names = feature.get("names")
            if isinstance(names, list) and all(isinstance(one, str) for one in names):
                found[role] = tuple(names)
    return found


class Reading:
    """The rows of a shard, while its row groups are read.

    ``rows`` (tables of ``PART``) with their ``places`` and ``kept`` columns, ``drops`` and
    ``remarks`` are in the order of the file; ``lost`` counts the rows of damaged row groups that
    could not be read.
    """

    def __init__(
        self, file: str, task: Audit, picture: Picture, named: Mapping[str, Sequence[str]]
    ) -> None:
        self.rows: list[pa.Table] = []
        self.kept: list[pa.Array] = []
        self.places: list[Place] = []
        self.drops: list[Drop] = []
        self.remarks: list[Drop] = []
        self.lost = 0
        self._file, self._limits, self._picture = file, task.limits, picture
        self._names = {role: task.read.names.get(role, NONE) for role in ROLES}
        self._classes = {"label": task.read.classes} if task.read.classes else named
        texts = [name for name in self._names.values() if name != NONE]
        self._kept = task.read.columns
        wanted = (*picture, *texts, *self._kept)
        self.columns = [*dict.fromkeys(one for one in wanted if one is not None)]
        self._group, self._passed = -1, 0

    def add(self, group: int, start: int, batch: pa.RecordBatch) -> None:
        """Take the next rows of a row group whose first is row ``start`` of the file."""
        if group != self._group:
            self._group, self._passed = group, 0
        first = start + self._passed
        self._passed += batch.num_rows
        found, faults = self._texts(batch, first)
        images = cells.column(batch, self._picture.bytes)
        paths = cells.column(batch, self._picture.path) if self._picture.path else None
        keys, seen = found.column("key"), []
        for at in range(batch.num_rows):
            content = images[at].as_py()
            if content is None:
                path = paths[at].as_py() if paths is not None else None
                self._no_image(group, first + at, keys[at].as_py(), path)
                continue
            looked = faults.get(at) or audit.look(content, self._limits)
            if not isinstance(looked, audit.Look):
                entry = self._entry(
                    group, first + at, keys[at].as_py(), looked.reason, looked.detail
                )
                self.drops.append(entry)
                continue
            seen.append((at, dataset.uid(content), looked))
            self.places.append(Place(first + at, len(content), looked.extension))
        usable = pa.array([at for at, _, _ in seen], pa.int64())
        rows = found.take(usable)
        known = {
            "uid": [uid for _, uid, _ in seen],
            "width": [look.width for _, _, look in seen],
            "height": [look.height for _, _, look in seen],
            "converted": [look.converted for _, _, look in seen],
        }
        for name, column in known.items():
            index, kind = PART.get_field_index(name), PART.field(name)
            rows = rows.set_column(index, kind, pa.array(column, kind.type))
        self.rows.append(rows)
        if self._kept:
            further = pa.table({name: cells.column(batch, name) for name in self._kept})
            held = kept.of_table(self._file, self._kept, further)
            self.kept.append(held.take(usable))

    def damaged(self, group: int, known: Footer, error: Exception) -> None:
        """A row group could not be read on: what was not read of it is lost."""
        passed = self._passed if group == self._group else 0
        rows = known.starts[group + 1] - known.starts[group]
        self.lost += rows - passed
        detail = f"{error}, after {passed:,} of {rows:,} rows"
        self.remarks.append(Drop(f"{self._file}#{group}", "", DAMAGED, detail[:SHOWN]))

    def _texts(self, batch: pa.RecordBatch, first: int) -> tuple[pa.Table, dict[int, Lack]]:
        """The rows as the manifest has them but for what their pictures say, and what is wrong."""
        given: dict[str, pa.Array] = {}
        faults: dict[int, Lack] = {}
        for role, name in self._names.items():
            if name != NONE:
                given[role] = cells.column(batch, name)
            if role in self._classes and name != NONE:
                given[role] = _called(given[role], self._classes[role], faults)
        if "caption" not in given and "label" in given:
            labels = columns.texts(pa.chunked_array([given["label"]]))
            words = [label and label.replace("_", " ") for label in labels]
            given["caption"] = pa.array(words, pa.string())
        # a table of no column would have no rows
        numbers = pa.array(range(batch.num_rows), pa.int64())
        table = pa.table({**given, "row": numbers})
        found = columns.rows(table, {role: role for role in given}, first)
        for lack in found.lacking:
            faults.setdefault(lack.place, lack)
        return found.table, faults

    def _no_image(self, group: int, row: int, key: str, path: Any) -> None:
        if path:
            why = f"{path!r} and no bytes; only pictures in the file are read"
            self.drops.append(self._entry(group, row, key, ELSEWHERE, why))
        else:  # such a row never was a sample, as of a download that failed
            self.remarks.append(self._entry(group, row, key, NO_IMAGE, "null"))

    def _entry(self, group: int, row: int, key: str, reason: str, detail: str) -> Drop:
        said = values.shown(detail[:SHOWN])
        return Drop(f"{self._file}#{group}", key, reason, f"row {row}: {said}")


def _called(numbers: pa.Array, names: Sequence[str], faults: dict[int, Lack]) -> pa.Array:
    """Names instead of numbers of classes; text among them is a name already."""
    if not (pa.types.is_integer(numbers.type) or pa.types.is_floating(numbers.type)):
        return numbers
    found: list[str | None] = []
    for at, number in enumerate(numbers.to_pylist()):
        known = number is not None and number in range(len(names))
        found.append(names[int(number)] if known else None)
        if not (known or number is None or number == UNLABELLED or number != number):
            detail = f"{number} is no position among {len(names)} classes"
            faults.setdefault(at, Lack(at, UNREADABLE_CLASS, detail))
    return pa.array(found, pa.string())


def _cut(name: str, found: Facts, known: Footer, picture: str) -> Iterator[Groups]:
    """The row groups of a file, in runs of no more than a shard should have."""
    first = rows = size = 0
    for group in range(known.metadata.num_row_groups):
        facts = known.metadata.row_group(group)
        chunks = (facts.column(index) for index in range(facts.num_columns))
        more = sum(one.total_compressed_size for one in chunks if one.path_in_schema == picture)
        if group > first and (rows + facts.num_rows > ROWS or size + more > BYTES):
            yield Groups(name, found, known.sha256, first, group)
            first, rows, size = group, 0, 0
        rows, size = rows + facts.num_rows, size + more
    yield Groups(name, found, known.sha256, first, known.metadata.num_row_groups)


def _told(path: str, found: Facts, error: NotParquetError) -> str:
    """What a file is that is none of Parquet."""
    (first,) = place.pieces(path, [(0, min(found.bytes, signatures.FIRST))])
    what = signatures.called(first)
    begins = first.startswith(cells.MAGIC)
    return f"it is {what}" if what and not begins else str(error)


def _shard(item: Groups, picture: Picture | None, rows: pa.Table) -> Shard:
    column = picture and picture.bytes
    digest = rows_digest(rows)
    return Shard(
        item.name, item.footer, item.found.bytes, rows.num_rows, rows=digest, column=column
    )


def _names(schema: pa.Schema) -> list[str]:
    """All columns, and the fields of those that are structs."""
    structs = (one for one in schema if pa.types.is_struct(one.type))
    return schema.names + [f"{one.name}.{inner.name}" for one in structs for inner in one.type]
