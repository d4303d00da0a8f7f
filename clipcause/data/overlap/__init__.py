"""Two manifests of one pool, downloaded on different days: which rows are the same samples?

Links rot and images are encoded again, so neither rows nor bytes stay. A row of A and a row of B
are the same sample if they have one `source_id` (the hash of URL and caption, null without a URL);
of the rows that find no partner so, if they have one `uid` (the hash of the image's bytes). An id
that several rows have matches its k-th row in A, in row order, with its k-th row in B; what one
side has more of stays without a partner. Every row has at most one.

    python -m clipcause overlap data/pool other/data/pool
    python -m clipcause project splits/core data/pool other/data/pool splits/core-b

The join goes by partitions: 28 bytes a row (id, row, half of the other id) go to as many unnamed
temporary files beside the shard cache as keep a partition below four million rows, by the first
bits of the id, and each is sorted in memory. 413 million rows a side take 23 GB of disk while it
runs, and 1.7 GB of memory for the partners, 1.3 GB for which rows are free, 1 GB for a partition.

Shapes: N rows of A, M rows of B, K rows of a partition.
"""

import binascii
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, UInt32, UInt64

from clipcause.data.manifest import Manifest
from clipcause.prune import split
from clipcause.runtime import shard_cache as cache

NONE = (1 << 32) - 1  # no partner
DIGITS = 32  # of an id, hexadecimal
AT_ONCE = 1 << 22  # rows of a side in a partition
MOST_PARTITIONS = 256  # open files a side
RECORD = np.dtype([("high", "<u8"), ("low", "<u8"), ("row", "<u4"), ("other", "<u8")])


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


class Pairs(NamedTuple):
    """Rows of A and B that match, and how many of the matches are by an id that more rows have."""

    a_K: UInt32[np.ndarray, " K"]
    b_K: UInt32[np.ndarray, " K"]
    same: int
    ambiguous: int


def match(a: Manifest, b: Manifest, scratch: Path | None = None, at_once: int = AT_ONCE) -> Overlap:
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
    for column, other in (("source_id", "uid"), ("uid", None)):
        found = same = ambiguous = 0
        free_N = partner_N == NONE
        lacking = [0, 0]
        for pairs in _joined((a, b), (free_N, ~met_M), column, other, scratch, at_once, lacking):
            partner_N[pairs.a_K] = pairs.b_K
            met_M[pairs.b_K] = True
            found += len(pairs.a_K)
            same += pairs.same
            ambiguous += pairs.ambiguous
        counts |= {f"by_{column}": found, f"ambiguous_{column}": ambiguous}
        if other is not None:
            counts["same_bytes"] = same
            without = lacking
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


def _joined(
    sides: tuple[Manifest, Manifest],
    free: tuple[Bool[np.ndarray, " N"], Bool[np.ndarray, " M"]],
    column: str,
    other: str | None,
    scratch: Path | None,
    at_once: int,
    lacking: list[int],
) -> Iterator[Pairs]:
    """The pairs of all rows that are free, partition by partition.

    The free rows of either side that have no id are counted in ``lacking``.
    """
    most = max(int(rows.sum()) for rows in free)
    bits = min(MOST_PARTITIONS, max(1, -(-most // at_once)) - 1).bit_length()
    where = cache.folder() if scratch is None else scratch
    where.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = [
            [stack.enter_context(tempfile.TemporaryFile(dir=where)) for _ in range(1 << bits)]
            for _ in sides
        ]
        for side, (one, rows, partitions) in enumerate(zip(sides, free, files, strict=True)):
            lacking[side] = int(rows.sum())
            for record_K in _records(one, rows, column, other):
                lacking[side] -= len(record_K)
                _spread(record_K, partitions, bits)
        for a_file, b_file in zip(*files, strict=True):
            yield join(_whole(a_file), _whole(b_file))
            a_file.close()
            b_file.close()


def _records(
    one: Manifest, free_N: Bool[np.ndarray, " N"], column: str, other: str | None
) -> Iterator[np.ndarray]:
    """The free rows of a manifest that have an id, shard by shard."""
    columns = [column] if other is None else [column, other]
    for position in range(len(one.shards)):
        start, stop = one.starts[position : position + 2]
        if not free_N[start:stop].any():
            continue
        table = one.shard_table(position, columns)
        stays = pc.call_function("is_valid", [table[column]]).to_numpy() & free_N[start:stop]
        if not stays.any():
            continue
        table = table.filter(pa.array(stays))
        record_K = np.zeros(table.num_rows, RECORD)
        where = f"{one.folder}: {one.shards[position].name}: {column}"
        id_K2 = numbers(table[column], where)
        record_K["high"], record_K["low"] = id_K2[:, 0], id_K2[:, 1]
        record_K["row"] = start + np.flatnonzero(stays)
        if other is not None and table[other].null_count < table.num_rows:
            there = pc.call_function("is_valid", [table[other]]).to_numpy()
            # half of the other id is enough to see that two are the same; 0 is none
            record_K["other"][there] = numbers(table[other].drop_null(), where)[:, 0]
        yield record_K


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


def _spread(record_K: np.ndarray, files: Sequence[BinaryIO], bits: int) -> None:
    """Append records to the partitions of their ids' first bits, in their order."""
    if not bits:
        files[0].write(record_K.tobytes())
        return
    part_K = (record_K["high"] >> np.uint64(64 - bits)).astype(np.int64)
    sorted_K = record_K[np.argsort(part_K, kind="stable")]
    ends = np.cumsum(np.bincount(part_K, minlength=len(files)))
    start = 0
    for file, end in zip(files, ends.tolist(), strict=True):
        file.write(sorted_K[start:end].tobytes())
        start = end


def _whole(file: BinaryIO) -> np.ndarray:
    file.seek(0)
    return np.frombuffer(file.read(), RECORD)


def join(a_K: np.ndarray, b_L: np.ndarray) -> Pairs:
    """Match the records of two sides, each in row order: the k-th of an id with the k-th."""
    both = np.concatenate([a_K, b_L])
    order = np.argsort(
        both["high"], kind="stable"
    )  # within an id: A's rows, then B's, each in order
    high, low = both["high"][order], both["low"][order]
    if ((high[1:] == high[:-1]) & (low[1:] != low[:-1])).any():
        order = np.lexsort((both["low"], both["high"]))
        high, low = both["high"][order], both["low"][order]
    new = np.ones(len(both), bool)
    new[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    first = np.flatnonzero(new)
    group = np.cumsum(new) - 1
    of_a = order < len(a_K)
    in_a = np.bincount(group[of_a], minlength=len(first))
    in_b = np.bincount(group[~of_a], minlength=len(first))
    here = np.flatnonzero(of_a)
    mine = group[here]
    rank = here - first[mine]
    matched = rank < in_b[mine]
    here, mine, rank = here[matched], mine[matched], rank[matched]
    partner = first[mine] + in_a[mine] + rank
    left, right = both[order[here]], both[order[partner]]
    return Pairs(
        left["row"].copy(),
        right["row"].copy(),
        int(((left["other"] == right["other"]) & (left["other"] != 0)).sum()),
        int(((in_a[mine] > 1) | (in_b[mine] > 1)).sum()),
    )


def _count(counts: dict[str, int], labels: pa.ChunkedArray) -> None:
    for entry in labels.drop_null().value_counts().to_pylist():
        counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]


def share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0
