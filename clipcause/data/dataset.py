"""Data sets: WebDataset tar shards, a manifest with one row per usable sample, a drop ledger.

``data/<name>/`` holds ``00000.tar`` …, ``manifest.parquet``, ``members.parquet`` (where in the tars
the images lie) and ``drops.parquet``. All samples of the tars have the same members, for readers
take those of the first few for those of all: pictures are called by the type of the first, and
where the first is labelled all have a ``cls``, which is the label's position in ``classnames.txt``,
-1 without one. What a label is says the JSON of every sample. This module writes them;
``clipcause.data.manifest`` reads the manifest and the images, and stages that only read can import
that one alone.
"""

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from clipcause.data import kept, member_index, shards, values
from clipcause.data.manifest import (
    COLUMNS,
    MANIFEST,
    SCHEMA,
    SHARDS_KEY,
    Manifest,
    encode_shards,
    read,
    uid,
)
from clipcause.data.shards import Shard
from clipcause.runtime import atomic

__all__ = [
    "OUTSIDE",
    "Counts",
    "Drop",
    "Manifest",
    "Sample",
    "ledger_of",
    "read",
    "read_drops",
    "uid",
    "write",
]

DROPS = "drops.parquet"
DROPS_SCHEMA = pa.schema([(name, pa.string()) for name in ("shard", "key", "reason", "detail")])
REASONS_SHOWN = 3
OUTSIDE = "outside the class list"


@dataclass(frozen=True)
class Sample:
    """One image-text pair. ``source`` says where it is from (a path, ``set:icon``), ``extra`` goes
    into the sample's JSON member.

    ``published`` says that ``source`` names the same thing everywhere, as a URL does. A path does
    not: every folder has its ``1.jpg``, and two of them are not one sample.

    ``captions`` are all, where there are several; ``caption`` is the first. ``pool_uid`` is the
    identity that the source itself publishes. ``uid`` is that of the bytes as they came, where
    ``image`` is not these: it was turned upright, made opaque, drawn on a square. ``columns`` are
    those of the source's metadata that are kept; all samples have them, or none.
    """

    key: str
    image: bytes
    extension: str
    caption: str
    label: str | None
    width: int
    height: int
    source: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    published: bool = False
    captions: Sequence[str] | None = None
    pool_uid: str | None = None
    uid: str | None = None
    columns: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Drop:
    """One sample that was left out: ``shard`` is its place in the raw source.

    It is ``counted`` against ``max_drop_fraction`` unless it is no damage: the data set shall not
    have it, or it never was a sample.
    """

    shard: str
    key: str
    reason: str
    detail: str
    counted: bool = True


@dataclass(frozen=True)
class Counts:
    """What was written: numbers of samples, of drops, of shards, and of drops by reason."""

    samples: int
    dropped: int
    shards: int
    reasons: dict[str, int]


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
    could not read back; nothing but the ledger is left then, beside the folder.
    """
    if shard_size < 1:
        raise ValueError(f"{folder}: shard_size is {shard_size}, expected at least 1")
    drops: list[Drop] = []
    written: list[Shard] = []
    alike = _Alike()
    with atomic.folder(folder) as out:
        with (
            kept.Writer(out / MANIFEST, SCHEMA) as manifest,
            member_index.Writer(out) as index,
        ):
            for part in _chunks(_usable(folder, samples, drops), shard_size):
                made = _write_shard(out, len(written), part, _count(written), alike)
                shard, table, places, others = made
                drops += others
                written.append(shard)
                index.add(places)
                manifest.add(shard.name, table)
            if alike.classes:
                shards.write_classes(out, alike.classes)
            manifest.finish({SHARDS_KEY.decode(): encode_shards(written)})
        counts = Counts(
            samples=_count(written),
            dropped=sum(drop.counted for drop in drops),
            shards=len(written),
            reasons=dict(sorted(Counter(drop.reason for drop in drops).items())),
        )
        atomic.write_parquet(out / DROPS, drops_table(drops))
        check_drops(folder, out / DROPS, counts, max_drop_fraction)
    return counts


def drops_table(drops: Iterable[Drop]) -> pa.Table:
    """Drops as the ledger has them."""
    drops = list(drops)
    columns = {name: [getattr(drop, name) for drop in drops] for name in DROPS_SCHEMA.names}
    return pa.table(columns, schema=DROPS_SCHEMA)


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
        elif why := values.unsafe(sample.key):
            key = values.shown(sample.key)
            drops.append(Drop("", key, values.UNSAFE, why))
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


@dataclass
class _Alike:
    """What all samples of the shards have alike: the first one decides."""

    extension: str = ""
    classes: dict[str, int] | None = None  # the labels met so far, by position

    def position(self, sample: Sample) -> int | None:
        """That of the sample's label in the list; None where no sample gets one."""
        if not self.extension:
            self.extension = sample.extension
            self.classes = None if sample.label is None else {}
        if self.classes is None:
            return None
        if sample.label is None:
            return shards.UNLABELLED
        return self.classes.setdefault(sample.label, len(self.classes))


def _write_shard(
    out: Path, number: int, samples: Iterable[Sample], start: int, alike: _Alike
) -> tuple[Shard, pa.Table, pa.Table, list[Drop]]:
    path = out / f"{number:05d}.tar"
    rows: list[tuple[Any, ...]] = []
    facts_kept: list[Mapping[str, Any]] = []
    places = []
    with shards.ShardWriter(path) as shard:
        for row, one in enumerate(samples, start):
            facts = {"source": one.source, "width": one.width, "height": one.height} | dict(
                one.extra
            )
            facts["captions"] = list(one.captions or [one.caption])
            facts["clipcause"] = {"label": one.label or ""}
            position = alike.position(one)
            texts = one.caption, position, facts
            places.append(shard.add(one.key, alike.extension, one.image, *texts))
            known = source_id(one.source, one.caption) if one.published else None
            identity = one.uid or uid(one.image), known, one.pool_uid
            said = one.caption, one.captions, one.label
            seen = one.width, one.height, one.uid is not None
            rows.append((row, path.name, one.key, *identity, *said, *seen))
            if one.columns is not None:
                facts_kept.append(one.columns)
    columns = zip(zip(*rows, strict=True), SCHEMA, strict=True)
    entry = Shard(path.name, shards.digest(path), path.stat().st_size, len(rows))
    table = pa.table([pa.array(column, field.type) for column, field in columns], schema=SCHEMA)
    strange: list[kept.Other] = []
    if facts_kept:
        columns_kept, strange = kept.of_values(list(facts_kept[0]), facts_kept)
        table = table.append_column(COLUMNS, columns_kept)
    others = [
        Drop("", rows[at][2], kept.OTHER_TYPE, detail, counted=False) for at, detail in strange
    ]
    return entry, table, member_index.table(places), others


def check_drops(folder: Path, ledger: Path, counts: Counts, most: float) -> None:
    """Raise ``ValueError`` where nothing is usable or more than a share ``most`` was dropped.

    The ledger is copied beside the folder then, so that a person can read what went wrong.
    """
    total = counts.samples + counts.dropped
    beside = ledger_of(folder)
    if counts.samples and counts.dropped <= most * total:
        beside.unlink(missing_ok=True)
        return
    with atomic.file(beside) as temporary:
        shutil.copyfile(ledger, temporary)
    batch = next(pq.ParquetFile(ledger).iter_batches(REASONS_SHOWN), None)
    shown = batch.to_pylist() if batch else []
    first = "; ".join(
        f"{drop['key'] or drop['shard']}: {drop['reason']} ({drop['detail']})" for drop in shown
    )
    what = (
        f"{counts.dropped} of {total} samples dropped, more than max_drop_fraction {most}"
        if counts.samples
        else f"no usable sample among {counts.dropped}"
    )
    raise ValueError(f"{folder}: {what}" + (f": {first}" if first else "") + f"; see {beside}")


def ledger_of(folder: Path) -> Path:
    """Where the drop ledger of a data set lies that could not be made for its drops."""
    return folder.with_name(f"{folder.name}.{DROPS}")


def _count(entries: Iterable[Shard]) -> int:
    return sum(shard.samples for shard in entries)
