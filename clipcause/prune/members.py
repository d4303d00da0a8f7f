"""Which rows of the pool are of which classes: by the manifest's labels or by their captions.

A row has at most one label; a caption may mention several classes. Both are read as matches, pairs
of row and class, of the rows of a base alone and batch by batch, so that memory is 12 bytes a match
of the base (and 4 a row of the pool while labels are read).

Shapes: N rows of a data set, M matches, C classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int32, Int64

from clipcause.captions import frequency
from clipcause.data import manifest
from clipcause.runtime import atomic


@dataclass(frozen=True)
class Members:
    """Pairs of row and class, by ascending row. ``classes`` are ids in ascending order, also those
    without rows; ``class_M`` counts in them. ``sorted_by_id`` makes them of any order. ``source``
    says what they were read from, beside the pool."""

    classes: tuple[str, ...]
    row_M: Int64[np.ndarray, " M"]
    class_M: Int32[np.ndarray, " M"]
    source: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def counts(self) -> Int64[np.ndarray, " C"]:
        """The number of rows of each class."""
        return np.bincount(self.class_M, minlength=len(self.classes)).astype(np.int64)

    def without_rows(self, classes: Sequence[str]) -> list[str]:
        """Those of some class ids that have no rows."""
        count = dict(zip(self.classes, self.counts.tolist(), strict=True))
        return [key for key in classes if not count[key]]

    def within(self, kept_N: Bool[np.ndarray, " N"]) -> Int64[np.ndarray, " C"]:
        """The number of rows of each class among those that are true in ``kept_N``."""
        inside = self.class_M[kept_N[self.row_M]]
        return np.bincount(inside, minlength=len(self.classes)).astype(np.int64)


def sorted_by_id(
    classes: Sequence[str], row_M: Int64[np.ndarray, " M"], class_M: Int32[np.ndarray, " M"]
) -> Members:
    """Matches of classes that come in any order, so that a rule cannot depend on it.

    Raises ``ValueError`` where a class comes twice or rows do not ascend.
    """
    if len(set(classes)) != len(classes):
        raise ValueError(f"{len(classes) - len(set(classes))} classes come twice")
    if (np.diff(row_M) < 0).any():
        raise ValueError("rows of matches do not ascend")
    order = sorted(range(len(classes)), key=lambda at: classes[at])
    place_C = np.empty(len(classes), np.int32)
    place_C[order] = np.arange(len(classes), dtype=np.int32)
    return Members(tuple(classes[at] for at in order), row_M, place_C[class_M])


def labels(folder: Path) -> Iterator[tuple[int, pa.Array]]:
    """The class ids of a data set block by block, for a large pool's are some gigabytes."""
    start = 0
    for batch in atomic.open_parquet(folder / manifest.MANIFEST).iter_batches(columns=["label"]):
        yield start, batch.column(0)
        start += len(batch)


def by_label(folder: Path, base_N: Bool[np.ndarray, " N"]) -> Members:
    """The labelled rows of the base; classes are all labels of the data set in ``folder``.

    Raises ``ValueError`` where no row of the data set has a label, or it has not N rows.
    """
    place: dict[str, int] = {}
    parts = [(np.empty(0, np.int64), np.empty(0, np.int32))]
    count = 0
    for start, column in labels(folder):
        count = start + len(column)
        coded = column.dictionary_encode()
        known = [place.setdefault(key, len(place)) for key in coded.dictionary.to_pylist()]
        wanted_B = base_N[start:count]
        if len(wanted_B) == len(column) and len(known):
            wanted_B = wanted_B & coded.is_valid().to_numpy(zero_copy_only=False)
            code_B = coded.indices.fill_null(0).to_numpy(zero_copy_only=False)
            parts.append(
                (np.flatnonzero(wanted_B) + start, np.array(known, np.int32)[code_B[wanted_B]])
            )
    if count != len(base_N):
        raise ValueError(f"{folder}: {count} rows, the splits are of {len(base_N)}")
    if not place:
        raise ValueError(
            f"{folder}: no row has a label, so there are no classes by label; take by: mention, or "
            "prepare the data set with labels"
        )
    rows, codes = zip(*parts, strict=True)
    return sorted_by_id(list(place), np.concatenate(rows), np.concatenate(codes))


def by_mention(folder: Path, base_N: Bool[np.ndarray, " N"], pool: str) -> Members:
    """The rows of the base whose captions mention a class; classes are those of the list that the
    frequency in ``folder`` is of.

    Raises ``ValueError`` where the frequency is of another pool than that of the manifest hash
    ``pool``.
    """
    card = atomic.read_json(folder / frequency.CARD)
    if card.get("pool") != pool:
        raise ValueError(f"{folder}: made from another pool; run the stage frequency again")
    classes = frequency.read(folder).classes
    parts = [(np.empty(0, np.int64), np.empty(0, np.int32))]
    for row_M, class_M in frequency.matches(folder).parts():
        if len(row_M) and not 0 <= row_M[0] <= row_M[-1] < len(base_N):
            raise ValueError(f"{folder}: matches are not of a pool of {len(base_N)} rows")
        inside_M = base_N[row_M]
        parts.append((row_M[inside_M], class_M[inside_M].astype(np.int32)))
    rows, codes = zip(*parts, strict=True)
    made = sorted_by_id(classes, np.concatenate(rows), np.concatenate(codes))
    source = {name: card[name] for name in ("classes", "matcher", "wordnet")}
    return replace(made, source={"frequency": source})
