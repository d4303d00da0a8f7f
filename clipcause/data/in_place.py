"""Data sets that are read where they lie: a manifest and a ledger, and no copy of an image.

Written part by part, one shard each, so that memory holds one shard's rows whatever the size of
the pool. ``clipcause.data.manifest`` reads it as it reads every data set.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from clipcause.data import dataset, kept, member_index
from clipcause.data.dataset import Counts, Drop
from clipcause.data.manifest import COLUMNS, MANIFEST, PLACE_KEY, SCHEMA, SHARDS_KEY, encode_shards
from clipcause.data.shards import Shard
from clipcause.runtime import atomic

PART = pa.schema([SCHEMA.field(name) for name in SCHEMA.names if name not in ("row", "shard")])
CHECKED = ["row", "shard"]  # the columns whose statistics the reader compares


@dataclass(frozen=True)
class Part:
    """One shard: its entry, its rows (``PART``) in its order, and what is wrong with it.

    Beside the columns of ``PART`` rows may have those that are kept (``with_columns``).

    The hash of the rows is taken from the entry where it has one: workers have the time for it.
    ``drops`` are samples that were left out; ``remarks`` go to the ledger too but cost no sample.
    ``lost`` counts the samples that are known to be missing without a line each. ``places`` says
    where the rows lie in the shard (``member_index.PART``), where they have images. ``keys`` are
    the names that its metadata have, for the error where one is asked for that they have not.
    """

    shard: Shard
    rows: pa.Table
    drops: list[Drop] = field(default_factory=list)
    remarks: list[Drop] = field(default_factory=list)
    lost: int = 0
    places: pa.Table | None = None
    keys: Sequence[str] = ()


def write(
    folder: Path, place: str, parts: Iterable[Part], *, max_drop_fraction: float
) -> tuple[Counts, int]:
    """Write manifest and ledger in the order of ``parts``; the counts, and how many are lost.

    Shards without a usable row are in the ledger alone. Raises ``ValueError`` as
    ``dataset.write`` does, for shards of one name, and for rows that are not the shard's.
    """
    listed: dict[str, Shard] = {}
    reasons: Counter[str] = Counter()
    samples = dropped = lost = 0
    with atomic.folder(folder) as out:
        with ExitStack() as stack:
            manifest = stack.enter_context(
                kept.Writer(
                    out / MANIFEST,
                    SCHEMA,
                    use_dictionary=["shard", "label"],
                    column_encoding={"row": "DELTA_BINARY_PACKED"},
                    write_statistics=CHECKED,
                    write_page_checksum=True,
                )
            )
            ledger = stack.enter_context(
                pq.ParquetWriter(out / dataset.DROPS, dataset.DROPS_SCHEMA, compression="zstd")
            )
            index: member_index.Writer | None = None
            for part in parts:
                name, rows = part.shard.name, _checked(part.rows)
                if name in listed:
                    raise ValueError(f"{folder}: two shards are called {name}")
                if rows.num_rows != part.shard.samples:
                    raise ValueError(f"{folder}: {name} has {rows.num_rows} rows")
                if rows.num_rows and part.places is not None:
                    if index is None:
                        index = stack.enter_context(member_index.Writer(out))
                    index.add(part.places)
                if rows.num_rows:
                    digest = part.shard.rows or rows_digest(rows)
                    listed[name] = part.shard._replace(rows=digest)
                    manifest.add(name, _numbered(name, samples, rows))
                if found := [*part.drops, *part.remarks]:
                    ledger.write_table(dataset.drops_table(found))
                samples += rows.num_rows
                dropped += len(part.drops) + part.lost
                lost += part.lost
                reasons.update(drop.reason for drop in found)
            manifest.finish({SHARDS_KEY: encode_shards(listed.values()), PLACE_KEY: place})
        counts = Counts(samples, dropped, len(listed), dict(sorted(reasons.items())))
        dataset.check_drops(folder, out / dataset.DROPS, counts, max_drop_fraction)
    return counts, lost


def rows_digest(rows: pa.Table) -> str:
    """SHA-256 of the rows of a shard (``PART``), whatever the versions of Arrow and Parquet."""
    values = json.dumps(_checked(rows).to_pydict(), ensure_ascii=False, default=str)
    return hashlib.sha256(values.encode()).hexdigest()


def with_columns(rows: pa.Table, columns: pa.Array) -> pa.Table:
    """Rows (``PART``) with the columns that are kept beside them (``clipcause.data.kept``)."""
    return rows.append_column(COLUMNS, columns)


def _checked(rows: pa.Table) -> pa.Table:
    """Rows as a part has them, with kept columns where there are some."""
    if COLUMNS in rows.column_names:
        return rows.cast(PART.append(rows.schema.field(COLUMNS)))
    return rows.cast(PART)


def _numbered(shard: str, start: int, rows: pa.Table) -> pa.Table:
    row = pa.array(range(start, start + rows.num_rows), pa.int64())
    name = pa.array([shard] * rows.num_rows, pa.string())
    return rows.add_column(0, "shard", name).add_column(0, "row", row)
