"""Splits: a set of pool rows as a Roaring bitmap, and a card that says how it came about.

``splits/<name>/`` holds ``rows.roaring`` (at most one bit per pool row plus 1 %) and ``card.json``.
Rows mean something only together with the pool's manifest, whose SHA-256 the card states as
``pool``. ``python -m clipcause diff A B`` compares two splits.
"""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int64
from numpy.typing import ArrayLike
from pyroaring import BitMap

from clipcause.prune.split import roaring
from clipcause.runtime import atomic

ROWS = "rows.roaring"
CARD = "card.json"
LIMIT = roaring.LIMIT


@dataclass(frozen=True)
class Split:
    """A set of pool rows. ``card`` is empty for splits that were computed and not read."""

    bitmap: BitMap
    card: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.bitmap)

    @cached_property
    def rows(self) -> Int64[np.ndarray, " K"]:
        """The rows, ascending: eight bytes each, for splits of some millions of rows."""
        return np.frombuffer(self.bitmap.to_array(), np.uint32).astype(np.int64)

    def within(self, start: int, stop: int) -> Bool[np.ndarray, " M"]:
        """Which of the pool rows ``start`` to ``stop - 1`` are in the split: a shard's selection.

        Time and memory are those of the M = ``stop - start`` rows, not of the whole split: a
        reader of shards asks for one shard after the other. Rows that the pool does not have are
        in no split. Raises ``ValueError`` for a range that runs backwards or is negative.
        """
        if not 0 <= start <= stop:
            raise ValueError(f"rows {start} to {stop} are no range of pool rows")
        return roaring.within(self.bitmap, start, stop)

    def mask(self, count: int) -> Bool[np.ndarray, " N"]:
        """A boolean vector over ``count`` pool rows, true for the rows of the split."""
        if len(self) and self.bitmap.max() >= count:
            raise ValueError(f"row {self.bitmap.max()} of the split is not among {count} pool rows")
        return roaring.within(self.bitmap, 0, count)


def from_rows(rows: ArrayLike, card: Mapping[str, Any] | None = None) -> Split:
    """Make a split of any integer array, in any order.

    Raises ``ValueError`` for rows that come twice, are negative or do not fit 32 bits.
    """
    rows_K = np.asarray(rows)
    if rows_K.ndim != 1 or (rows_K.size and rows_K.dtype.kind not in "iu"):
        raise ValueError(f"rows are {rows_K.dtype} of shape {rows_K.shape}, expected integers (K,)")
    if rows_K.size and int(rows_K.min()) < 0:
        raise ValueError(f"row {rows_K.min()} is negative")
    if rows_K.size and int(rows_K.max()) >= LIMIT:
        raise ValueError(f"row {rows_K.max()} does not fit a split, whose rows are below {LIMIT}")
    # an array.array is taken as a whole, a NumPy array number by number
    bitmap = BitMap(array("I", rows_K.astype(np.uint32).tobytes()))
    if len(bitmap) != rows_K.size:
        sorted_K = np.sort(rows_K)
        twice = sorted_K[1:][sorted_K[1:] == sorted_K[:-1]]
        raise ValueError(f"{rows_K.size - len(bitmap)} rows come twice, the first is {twice[0]}")
    return Split(bitmap, dict(card or {}))


def from_mask(mask_N: Bool[np.ndarray, " N"], card: Mapping[str, Any] | None = None) -> Split:
    """Make a split of the rows for which the mask is true: 1.25 bytes a pool row while it works.

    Raises ``ValueError`` for a mask of more rows than a split can hold.
    """
    if len(mask_N) > LIMIT:
        raise ValueError(f"{len(mask_N)} rows do not fit a split, whose rows are below {LIMIT}")
    return Split(roaring.from_mask(mask_N), dict(card or {}))


def everything(count: int, card: Mapping[str, Any] | None = None) -> Split:
    """The split of all ``count`` pool rows."""
    return Split(BitMap(range(count)), dict(card or {}))


def write(
    folder: Path | str, rows: Split | ArrayLike, *, card: Mapping[str, Any] | None = None
) -> None:
    """Write a split, or that of ``rows`` (any integer array, any order); ``card`` is a JSON object.

    The same rows and card give the same bytes, however the rows were found. ``kept`` is added to
    the card; a split's own card is not taken over. Raises as ``from_rows`` does, and where the
    card's ``kept`` or ``pool_rows`` does not fit the rows.
    """
    folder = Path(folder)
    bitmap = roaring.canonical(rows.bitmap) if isinstance(rows, Split) else from_rows(rows).bitmap
    split = Split(bitmap, {"kept": len(bitmap), **(card or {})})
    _check_card(folder, split)
    # optimising a bitmap in place would change what other code iterates over: it is ours here
    bitmap.run_optimize()
    with atomic.folder(folder) as out:
        (out / ROWS).write_bytes(bitmap.serialize())
        (out / CARD).write_bytes(atomic.encode_json(dict(split.card)))


def read(folder: Path | str) -> Split:
    """Read a split. A missing or damaged file, or a card of other rows, is an error."""
    folder = Path(folder)
    path = folder / ROWS
    if not path.exists():
        raise FileNotFoundError(f"{path}: not found; make the split first")
    return decode(folder, path.read_bytes(), atomic.read_json(folder / CARD))


def read_for(folder: Path | str, pool: str) -> Split:
    """Read a split of the pool whose manifest's SHA-256 is ``pool``; of another is an error."""
    found = read(folder)
    stated = found.card.get("pool")
    if stated != pool:
        have = f"{stated[:12]}…" if stated else "none"
        raise ValueError(
            f"{folder}: made from pool manifest {have}, the pool's is {pool[:12]}…; "
            "make the split again"
        )
    return found


def decode(where: Path, content: bytes, card: Mapping[str, Any]) -> Split:
    """The split that is stored as ``content`` and ``card``; ``where`` is named in errors."""
    try:
        bitmap = BitMap.deserialize(content)
    except ValueError as error:
        raise ValueError(f"{where / ROWS}: damaged ({error}); make the split again") from None
    split = Split(bitmap, card)
    _check_card(where, split)
    return split


def union(a: Split, b: Split) -> Split:
    """The rows of either split."""
    return Split(a.bitmap | b.bitmap, {})


def intersection(a: Split, b: Split) -> Split:
    """The rows of both splits."""
    return Split(a.bitmap & b.bitmap, {})


def difference(a: Split, b: Split) -> Split:
    """The rows of ``a`` that are not in ``b``."""
    return Split(a.bitmap - b.bitmap, {})


def jaccard(a: Split, b: Split) -> float:
    """Rows of both over rows of either; two empty splits are equal, so theirs is 1."""
    either = a.bitmap.union_cardinality(b.bitmap)
    return a.bitmap.intersection_cardinality(b.bitmap) / either if either else 1.0


def class_change(
    a: Split, b: Split, labels: Iterable[tuple[int, pa.Array]]
) -> dict[str, tuple[int, int]]:
    """Class id to its numbers of rows in ``a`` and ``b``, for classes where they differ.

    ``labels`` gives the class id (null: none) of every pool row: the first row of a block and the
    strings of the block. Largest change first, then by class id. Raises ``ValueError`` for a row
    that has no place among them.
    """
    counts: dict[str, list[int]] = {}
    count = 0
    for start, column in labels:
        count = start + len(column)
        for position, one in enumerate((a, b)):
            inside = pa.array(one.within(start, count))
            for entry in column.filter(inside).drop_null().value_counts().to_pylist():
                counts.setdefault(entry["values"], [0, 0])[position] += entry["counts"]
    for one in (a, b):
        if len(one) and one.bitmap.max() >= count:
            raise ValueError(f"row {one.bitmap.max()} of the split has no label ({count} rows)")
    changed = {name: (before, after) for name, (before, after) in counts.items() if before != after}
    order = sorted(changed, key=lambda name: (-abs(changed[name][1] - changed[name][0]), name))
    return {name: changed[name] for name in order}


def _check_card(folder: Path, split: Split) -> None:
    kept = split.card.get("kept", len(split))
    if kept != len(split):
        raise ValueError(f"{folder}: the card says {kept} rows kept, the split has {len(split)}")
    pool_rows = split.card.get("pool_rows")
    if pool_rows is not None and len(split) and split.bitmap.max() >= pool_rows:
        raise ValueError(
            f"{folder}: row {split.bitmap.max()} is not among the {pool_rows} rows of the pool"
        )
