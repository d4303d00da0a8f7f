"""Two manifests of one pool, downloaded on different days: which rows are the same samples?

Links rot and images are encoded again, so neither rows nor bytes stay. A row of A and a row of B
are the same sample if they have one `source_id` (the hash of URL and caption, null without a URL);
of the rows that find no partner so, if they have one `uid` (the hash of the image's bytes). An id
that several rows have matches its k-th row in A, in row order, with its k-th row in B; what one
side has more of stays without a partner. Every row has at most one.

    python -m clipcause overlap data/pool other/data/pool
    python -m clipcause project splits/core data/pool other/data/pool splits/core-b

DuckDB joins them in `MEMORY` bytes and spills what it cannot hold to a folder beside the shard
cache, which goes at the end. For 413 million rows a side it holds an eighth of their 23 GB (28
bytes a row: id, row, half of the other id) and wants some 70 GB of disk; the partners take 1.7 GB
of memory, the flags of rows that are free 1.3 GB. `benchmarks/overlap.md` has what was measured.

Shapes: N rows of A, M rows of B, K rows of a block.
"""

import binascii
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, UInt32, UInt64

from clipcause.data.manifest import Manifest
from clipcause.prune import split
from clipcause.runtime import shard_cache as cache
from clipcause.runtime.parallel import cores

NONE = (1 << 32) - 1  # no partner
DIGITS = 32  # of an id, hexadecimal
MEMORY = 3 << 30  # bytes that DuckDB may hold
BLOCK = 1 << 20  # pairs that come back at once
# two columns of 64 bits an id: of one column of 128 bits some ways into DuckDB make floating-point
# numbers, which do not tell ids apart that differ in their last bits
RECORDS = pa.schema(
    [("high", pa.uint64()), ("low", pa.uint64()), ("row", pa.uint32()), ("other", pa.uint64())]
)
# ids that several rows of a side have: they alone are ranked, since a rank of every row would need
# memory that grows with the rows
REPEATED = """
    CREATE OR REPLACE TABLE repeated AS
    SELECT high, low FROM a GROUP BY ALL HAVING count(*) > 1 UNION
    SELECT high, low FROM b GROUP BY ALL HAVING count(*) > 1
"""
PAIRS = """
    WITH once AS (FROM a ANTI JOIN repeated USING (high, low)),
    ranked_a AS (
        SELECT *, row_number() OVER (PARTITION BY high, low ORDER BY "row") AS rank
        FROM a SEMI JOIN repeated USING (high, low)
    ),
    ranked_b AS (
        SELECT *, row_number() OVER (PARTITION BY high, low ORDER BY "row") AS rank
        FROM b SEMI JOIN repeated USING (high, low)
    )
    SELECT once."row" AS a, b."row" AS b, coalesce(once.other = b.other, false) AS same,
           false AS ambiguous
    FROM once JOIN b USING (high, low)
    UNION ALL
    SELECT a."row", b."row", coalesce(a.other = b.other, false), true
    FROM ranked_a a JOIN ranked_b b USING (high, low, rank)
"""


@dataclass(frozen=True)
class Overlap:
    """The partner in B of every row of A, or ``NONE``, and what was counted on the way.

    Counts: rows_a, rows_b; by_source_id, by_uid (pairs); same_bytes (pairs by source_id whose uid
    is the same too), ambiguous_source_id, ambiguous_uid (pairs whose id more rows have, on either
    side); only_in_a, only_in_b; no_source_id_a, no_source_id_b (rows whose URL nobody knows, which
    only their uid can match).
    """

    partner_N: UInt32[np.ndarray, " N"]
    counts: Mapping[str, int]


def match(a: Manifest, b: Manifest, scratch: Path | None = None, memory: int = MEMORY) -> Overlap:
    """Match the rows of two manifests; ``scratch`` is a folder for temporary files.

    Raises ``ValueError`` for an id that is none, and for more rows than a split can hold.
    """
    for one in (a, b):
        if len(one) >= NONE:
            raise ValueError(f"{one.folder}: {len(one)} rows are more than a split can hold")
    partner_N = np.full(len(a), NONE, np.uint32)
    met_M = np.zeros(len(b), bool)
    counts = {"rows_a": len(a), "rows_b": len(b)}
    without = [0, 0]
    with _database(scratch, memory) as database:
        for column, other in (("source_id", "uid"), ("uid", None)):
            sides = {"a": (a, partner_N == NONE), "b": (b, ~met_M)}
            for place, (name, (one, free_N)) in enumerate(sides.items()):
                records = _records(one, free_N, column, other)
                stream = pa.RecordBatchReader.from_batches(RECORDS, records)
                database.register("records", stream)
                database.execute(f"CREATE OR REPLACE TABLE {name} AS FROM records")
                if other is not None:
                    ((kept,),) = database.execute(f"SELECT count(*) FROM {name}").fetchall()
                    without[place] = len(one) - kept
            database.execute(REPEATED)
            found = same = ambiguous = 0
            for pairs in database.sql(PAIRS).to_arrow_reader(BLOCK):
                row_K, partner_K, same_K, ambiguous_K = (part.to_numpy(False) for part in pairs)
                partner_N[row_K] = partner_K
                met_M[partner_K] = True
                found += len(row_K)
                same += int(same_K.sum())
                ambiguous += int(ambiguous_K.sum())
            counts |= {f"by_{column}": found, f"ambiguous_{column}": ambiguous}
            if other is not None:
                counts["same_bytes"] = same
    both = counts["by_source_id"] + counts["by_uid"]
    counts |= {"only_in_a": len(a) - both, "only_in_b": len(b) - both}
    counts |= {"no_source_id_a": without[0], "no_source_id_b": without[1]}
    return Overlap(partner_N, counts)


def project(
    chosen: split.Split, a: Manifest, b: Manifest, overlap: Overlap
) -> tuple[split.Split, dict[str, Any]]:
    """The rows of B that are the samples of a split of A, and the card of what is lost.

    Samples that only B has are in no split of A. Classes are those of A's labels.
    """
    mask_M = np.zeros(len(b), bool)
    rows_of: dict[str, int] = {}
    lost_of: dict[str, int] = {}
    lost = 0
    for position in range(len(a.shards)):
        start, stop = a.starts[position : position + 2]
        inside = chosen.within(start, stop)
        partner = overlap.partner_N[start:stop][inside]
        gone = partner == NONE
        mask_M[partner[~gone]] = True
        lost += int(gone.sum())
        labels = a.shard_table(position, ["label"])["label"].filter(pa.array(inside))
        if labels.null_count < len(labels):
            _count(rows_of, labels)
            _count(lost_of, labels.filter(pa.array(gone)))
    projected = split.from_mask(mask_M)
    total = len(chosen)
    card = {
        "rule": "projected",
        "pool": b.sha256,
        "pool_rows": len(b),
        "kept": len(projected),
        "share_of_pool": share(len(projected), len(b)),
        "projected": {
            "pool": a.sha256,
            "pool_rows": len(a),
            "card": dict(chosen.card),
            "rows": total,
            "lost": lost,
            "lost_share": share(lost, total),
            "lost_share_of_all_rows": share(overlap.counts["only_in_a"], len(a)),
            "per_class": {
                name: {
                    "rows": rows_of[name],
                    "lost": lost_of.get(name, 0),
                    "lost_share": share(lost_of.get(name, 0), rows_of[name]),
                }
                for name in sorted(rows_of)
            },
            "matches": dict(overlap.counts),
        },
    }
    return split.Split(projected.bitmap, card), card


@contextmanager
def _database(scratch: Path | None, memory: int) -> Generator[duckdb.DuckDBPyConnection]:
    """A data base in memory that spills to a folder of its own, which goes when it is closed."""
    where = cache.folder() if scratch is None else scratch
    where.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=where) as folder:
        settings: dict[str, str | float | list[str]] = {
            "memory_limit": f"{memory}B",
            "temp_directory": folder,
            "preserve_insertion_order": False,  # the pairs have no order, and keeping one costs
            "threads": cores(),
        }
        with duckdb.connect(config=settings) as database:
            database.execute("SET enable_progress_bar = false")
            yield database


def _records(
    one: Manifest, free_N: Bool[np.ndarray, " N"], column: str, other: str | None
) -> Iterator[pa.RecordBatch]:
    """The free rows of a manifest that have an id (``RECORDS``), shard by shard."""
    columns = [column] if other is None else [column, other]
    for position in range(len(one.shards)):
        start, stop = one.starts[position : position + 2]
        table = one.shard_table(position, columns)
        stays = pc.call_function("is_valid", [table[column]]).to_numpy() & free_N[start:stop]
        if not stays.any():
            continue
        table = table.filter(pa.array(stays))
        where = f"{one.folder}: {one.shards[position].name}: {column}"
        id_K2 = numbers(table[column], where)
        row_K = (start + np.flatnonzero(stays)).astype(np.uint32)
        other_K = pa.nulls(len(row_K), pa.uint64())
        if other is not None and table[other].null_count < len(row_K):
            known_K = pc.call_function("is_valid", [table[other]]).to_numpy()
            half_K = np.zeros(len(row_K), np.uint64)
            # half of the other id is enough to see that two are the same
            half_K[known_K] = numbers(table[other].drop_null(), where)[:, 0]
            other_K = pa.array(half_K, mask=~known_K)
        yield pa.record_batch([id_K2[:, 0].copy(), id_K2[:, 1].copy(), row_K, other_K], RECORDS)


def numbers(column: pa.ChunkedArray, where: str) -> UInt64[np.ndarray, "K 2"]:
    """Ids of 32 hexadecimal digits, none null, as two 64-bit numbers each."""
    spans = pc.call_function("min_max", [pc.call_function("binary_length", [column])]).as_py()
    try:
        # one buffer of digits, converted as a whole
        chunk = pa.concat_arrays(column.cast(pa.large_string()).chunks) if len(column) else None
        digits = b"" if chunk is None else memoryview(chunk.buffers()[2])
        start = 0 if chunk is None else chunk.offset * DIGITS
        raw = binascii.unhexlify(digits[start : start + len(column) * DIGITS])
    except binascii.Error:
        raw = b""
    if len(raw) != len(column) * DIGITS // 2 or set(spans.values()) - {None, DIGITS}:
        raise ValueError(
            f"{where}: an id is not {DIGITS} hexadecimal digits; is the manifest ours?"
        )
    return np.frombuffer(raw, ">u8").reshape(-1, 2).astype(np.uint64)


def _count(counts: dict[str, int], labels: pa.ChunkedArray) -> None:
    for entry in labels.drop_null().value_counts().to_pylist():
        counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]


def share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0
