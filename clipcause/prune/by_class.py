"""What rules share that look at the classes of rows.

They are the controlled factors of "What Makes CLIP More Robust to Long-Tailed Pre-Training Data?"
(NeurIPS 2024, arXiv 2405.21070), and MetaCLIP's balancing (arXiv 2309.16671). What a row's classes
are is said by ``by``: the label of its manifest, or the classes that its caption mentions.

Shapes: N pool rows, M matches (row, class) of the base, C classes, R rows that have a match.
Everything random is a SplitMix64 key of seed and row, or of seed and class id, so that results
depend on no order of classes. No loop is over rows: an array operation costs some ten nanoseconds a
match, and the 94 M matches of LAION-400M with ImageNet's classes are 1.1 GB.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Int32, Int64, UInt64

from clipcause.prune import split
from clipcause.prune.members import Members
from clipcause.prune.rule import Decision, Rule
from clipcause.runtime.splitmix64 import outputs

BLOCK = 1 << 20  # matches whose keys are made at once


class ByClass(Rule):
    """A rule by the classes of rows: their labels, or the classes that their captions mention, of
    which a row may have several."""

    by: Literal["label", "mention"]

    @property
    def classes_by(self) -> Literal["label", "mention"]:
        """As the item says."""
        return self.by


def decision(
    kept_N: Bool[np.ndarray, " N"],
    found: Members,
    numbers: Mapping[str, Any],
    facts: Mapping[str, Any] | None = None,
) -> Decision:
    """A decision whose card also has the counts of the classes before and after."""
    counts = {"before": spread(found.counts), "after": spread(found.within(kept_N))}
    return Decision(
        split.from_mask(kept_N),
        {**numbers, "class_counts": counts},
        {**found.source, **(facts or {})},
    )


def at_most(
    row_M: Int64[np.ndarray, " M"],
    class_M: Int32[np.ndarray, " M"],
    room_C: Int64[np.ndarray, " C"],
    seed: int,
) -> Int64[np.ndarray, " kept"]:
    """Rows taken in the order of their keys while all their classes have room; they ascend.

    ``row_M`` ascends. The rule is sequential, but its result is reached in passes over all rows
    that are not decided: a row is kept where, even if every undecided row before it were, each of
    its classes had room; it is refused where the rows that are kept fill one. The first undecided
    row is always decided. One class a row takes one pass. Several take few, for chains of rows
    that wait for each other are short in random order (Blelloch, Fineman, Shun, SPAA 2012, for
    matching). A sort and some 75 bytes a match: 30 M matches of 20 M rows, each of 1,000 classes
    cut to a quarter, are decided in 28 passes, 40 s on one core and 2 GB.
    """
    first_M = np.diff(row_M, prepend=-1) > 0
    rows_R, item_M = row_M[first_M], np.cumsum(first_M) - 1
    key_R = np.empty(len(rows_R), np.uint64)
    for start in range(0, len(rows_R), BLOCK):
        key_R[start : start + BLOCK] = outputs(seed, rows_R[start : start + BLOCK])
    place_R = np.empty(len(rows_R), np.int64)
    place_R[np.argsort(key_R)] = np.arange(len(rows_R))  # two rows never have the same key
    order_M = np.argsort(class_M * np.int64(len(rows_R)) + place_R[item_M])
    item_M, class_M = item_M[order_M], class_M[order_M]
    kept_R, refused_R = (np.zeros(len(rows_R), bool) for _ in range(2))
    taken_M = np.zeros(len(item_M), np.int64)  # kept rows of the class before this one
    while len(item_M):
        start_C = np.searchsorted(class_M, np.arange(len(room_C)))
        waits_M = taken_M + np.arange(len(item_M)) - start_C[class_M] >= room_C[class_M]
        waits_R = np.zeros_like(kept_R)
        waits_R[item_M[waits_M]] = True
        now_M = ~waits_R[item_M]
        kept_R[item_M[now_M]] = True
        before_M = np.cumsum(now_M) - now_M
        taken_M += before_M - before_M[start_C[class_M]]
        refused_R[item_M[taken_M >= room_C[class_M]]] = True
        left_M = ~now_M & ~refused_R[item_M]
        item_M, class_M, taken_M = item_M[left_M], class_M[left_M], taken_M[left_M]
    return rows_R[kept_R]


def spread(count_C: Int64[np.ndarray, " C"]) -> dict[str, Any]:
    """How many classes have rows, and the most, median and least rows of those that have."""
    listed = count_C[count_C > 0]
    if not len(listed):
        return {"classes": 0}
    most, least = int(listed.max()), int(listed.min())
    return {
        "classes": len(listed),
        "most": most,
        "median": float(np.median(listed)),
        "least": least,
    }


def digests(classes: Sequence[str]) -> UInt64[np.ndarray, " C"]:
    """A 64-bit number of every class id, which depends on no other class."""
    found = (blake2b(key.encode(), digest_size=8).digest() for key in classes)
    return np.frombuffer(b"".join(found), "<u8").astype(np.uint64)


def marked(count: int, positions: Any) -> Bool[np.ndarray, " C"]:
    """Of ``count`` classes those at ``positions``."""
    marked_C = np.zeros(count, bool)
    marked_C[positions] = True
    return marked_C


def blocks(found: Members) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows and classes of consecutive matches, some at a time."""
    for start in range(0, len(found.row_M), BLOCK):
        part = slice(start, start + BLOCK)
        yield found.row_M[part], found.class_M[part]
