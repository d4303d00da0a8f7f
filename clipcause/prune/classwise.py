"""The prune rules that look at classes, as functions on arrays.

They are the controlled factors of "What Makes CLIP More Robust to Long-Tailed Pre-Training Data?"
(NeurIPS 2024, arXiv 2405.21070): a trimmed tail, scale, matched class counts, captions above a
similarity to a definition, some classes alone; and MetaCLIP's balancing (arXiv 2309.16671).

Shapes: N pool rows, M matches (row, class) of the base, C classes, R rows that have a match.
Everything random is a SplitMix64 key of seed and row (``rules.mixed``), or of seed and class id, so
that results depend on no order of classes. No loop is over rows: an array operation costs some ten
nanoseconds a match, and the 94 M matches of LAION-400M with ImageNet's classes are 1.1 GB.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64, UInt64

from clipcause.config import nearest, unknown
from clipcause.prune import rules
from clipcause.prune.members import Members
from clipcause.runtime.splitmix64 import finalised

Scored = tuple[Int64[np.ndarray, " _M"], Float32[np.ndarray, " _M"]]  # rows and similarities
BLOCK = 1 << 20  # matches whose keys are made at once
UNIT = 2.0**-53


def trim_tail(
    base_N: Bool[np.ndarray, " N"], found: Members, tail: int, most: int, seed: int
) -> tuple[Bool[np.ndarray, " N"], list[str]]:
    """Cut the ``tail`` rarest classes to at most ``most`` rows each; what is kept, and their ids.

    Rarest are those with the fewest rows among the classes that the base has rows of; of equal
    ones, the first by id. A row of several of them stays where all have room (``at_most``); a row
    of none of them always stays. Raises ``ValueError`` for a tail of more classes than there are.
    """
    listed = np.flatnonzero(found.counts)
    if tail > len(listed):
        raise ValueError(
            f"a tail of {tail} classes is more than the {len(listed)} that the base has rows of"
        )
    # ids ascend, so that a stable sort leaves equal counts by id
    tail_T = listed[np.argsort(found.counts[listed], kind="stable")[:tail]]
    room_C = np.zeros(len(found.classes), np.int64)
    room_C[tail_T] = most
    among_M = _marked(len(room_C), tail_T)[found.class_M]
    row_M, class_M = found.row_M[among_M], found.class_M[among_M]
    kept_N = base_N.copy()
    kept_N[row_M] = False
    kept_N[at_most(row_M, class_M, room_C, seed)] = True
    return kept_N, [found.classes[at] for at in np.sort(tail_T)]


def scale(
    base_N: Bool[np.ndarray, " N"], found: Members, share: float, seed: int
) -> tuple[Bool[np.ndarray, " N"], int]:
    """A uniform ``share`` of the base (rounded half up), and of each class its row with the
    smallest key, so that none is lost; what is kept, and how many rows that added.

    The share has the smallest keys too: results of one seed are nested by share, and contain the
    split ``random`` of the same seed and share.
    """
    size = math.floor(share * int(np.count_nonzero(base_N)) + 0.5)
    kept_N = rules.random(base_N, size, seed)
    kept_N[_first_rows(found, seed)] = True
    return kept_N, int(np.count_nonzero(kept_N)) - size


def match(
    base_N: Bool[np.ndarray, " N"], found: Members, target_C: Int64[np.ndarray, " C"], seed: int
) -> tuple[Bool[np.ndarray, " N"], Int64[np.ndarray, " C"]]:
    """At most ``target_C`` rows of each class; what is kept, and what each class lacks.

    Where a row has one class, a class lacks only what the base has not. A row of several is kept
    while all have room (``at_most``), so that none has more rows than its target; rows without a
    class are not kept.
    """
    kept_N = np.zeros_like(base_N)
    kept_N[at_most(found.row_M, found.class_M, target_C, seed)] = True
    return kept_N, target_C - found.within(kept_N)


def targets(found: Members, wanted: Mapping[str, int], keep: int | None) -> Int64[np.ndarray, " C"]:
    """The counts ``wanted`` by class id, in the order of the classes of ``found``; where ``keep``
    is given, scaled to that sum by largest remainder (of equal ones, the first by id).

    Classes that are wanted and that ``found`` does not know are the caller's to count. Raises
    ``ValueError`` where no class is known, or ``keep`` is more than the base has rows with one.
    """
    count_C = np.array([wanted.get(key, 0) for key in found.classes], np.int64)
    if not count_C.any():
        some = sorted(key for key, count in wanted.items() if count)
        hint = f"{some[0]!r}: {nearest(some[0], found.classes)}" if some else "they have no rows"
        raise ValueError(f"none of the {len(some)} classes to match is a class here ({hint})")
    if keep is None:
        return count_C
    rows = int(np.count_nonzero(np.diff(found.row_M, prepend=-1)))
    if keep > rows:
        raise ValueError(f"keep {keep} is more than the {rows} rows of the base with a class")
    # plain integers: products of two counts of rows may pass 64 bits
    total = int(count_C.sum())
    parts = [divmod(keep * count, total) for count in count_C.tolist()]
    target_C = np.array([whole for whole, _ in parts], np.int64)
    order = sorted(range(len(parts)), key=lambda at: -parts[at][1])
    target_C[order[: keep - int(target_C.sum())]] += 1
    return target_C


def above(
    base_N: Bool[np.ndarray, " N"], scores: Iterable[Scored], threshold: float
) -> tuple[Bool[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """Base rows with a class to whose definition the caption's similarity is > ``threshold``, and
    those that have a similarity at all.

    ``scores`` are the rows and similarities of matches, in parts, of which memory holds one.
    """
    kept_N, scored_N = np.zeros_like(base_N), np.zeros_like(base_N)
    for row_M, similarity_M in scores:
        scored_N[row_M] = True
        # the largest is above it where any is; a float64 scalar, lest it be rounded to float32
        kept_N[row_M[similarity_M > np.float64(threshold)]] = True
    kept_N &= base_N
    scored_N &= base_N
    return kept_N, scored_N


def chosen(found: Members, take: str | int | float | Sequence[str], seed: int | None) -> list[str]:
    """The class ids that ``take`` means: `any`, a number or share of those that the base has rows
    of, drawn, or a list. Draws of one seed are nested by size.

    A share is rounded half up. Raises ``ValueError`` for an unknown id, and where a number is more
    than the classes there are or a share is none of them.
    """
    listed = [found.classes[at] for at in np.flatnonzero(found.counts)]
    if take == "any":
        return listed
    if not isinstance(take, int | float):
        for key in take:
            if key not in found.classes:
                raise unknown("class", key, found.classes, "take")
        return sorted(take)
    size = take if isinstance(take, int) else math.floor(take * len(listed) + 0.5)
    if not 1 <= size <= len(listed):
        raise ValueError(f"take {take}: {size} of the {len(listed)} classes with rows in the base")
    if seed is None:
        raise ValueError("classes that are drawn need a seed")
    # a class's key depends on its id and not on which others there are
    key_C = finalised(_digests(listed) ^ rules.mixed(seed, np.zeros(1, np.int64)))
    order_C = np.argsort(key_C, kind="stable")
    return sorted(listed[at] for at in order_C[:size])


def of_classes(
    base_N: Bool[np.ndarray, " N"], found: Members, taken: Sequence[str]
) -> tuple[Bool[np.ndarray, " N"], int]:
    """Rows of any class of ``taken``, and how many of them are of another class too."""
    place = {key: at for at, key in enumerate(found.classes)}
    taken_C = _marked(len(place), [place[key] for key in taken])
    taken_M = taken_C[found.class_M]
    kept_N = np.zeros_like(base_N)
    kept_N[found.row_M[taken_M]] = True
    others = found.row_M[~taken_M]
    return kept_N, len(np.unique(others[kept_N[others]]))


def balance(
    base_N: Bool[np.ndarray, " N"], found: Members, most: int, seed: int
) -> Bool[np.ndarray, " N"]:
    """MetaCLIP's balancing: each match fires with probability min(1, ``most`` / rows of its class),
    and a row stays if any of its matches fires (algorithm 1 there).

    Classes of at most ``most`` rows stay whole; rows without a class go. Members fire each by its
    own key, whatever other classes there are.
    """
    probability_C = np.minimum(1.0, most / np.maximum(found.counts, 1))
    digest_C = _digests(found.classes)
    kept_N = np.zeros_like(base_N)
    for row_B, class_B in _blocks(found):
        key_B = finalised(rules.mixed(seed, row_B) ^ digest_C[class_B])
        # 53 bits: a uniform float64 in [0, 1)
        fires_B = (key_B >> np.uint64(11)).astype(np.float64) * UNIT < probability_C[class_B]
        kept_N[row_B[fires_B]] = True
    return kept_N


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
        key_R[start : start + BLOCK] = rules.mixed(seed, rows_R[start : start + BLOCK])
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


def _first_rows(found: Members, seed: int) -> Int64[np.ndarray, " listed"]:
    """Of each class that has rows, the one with the smallest key."""
    smallest_C = np.full(len(found.classes), np.iinfo(np.uint64).max, np.uint64)
    row_C = np.full(len(found.classes), -1, np.int64)
    for row_B, class_B in _blocks(found):
        key_B = rules.mixed(seed, row_B)
        np.minimum.at(smallest_C, class_B, key_B)
        # keys differ, so that a class's smallest so far is one row's
        first_B = key_B == smallest_C[class_B]
        row_C[class_B[first_B]] = row_B[first_B]
    return row_C[row_C >= 0]


def _digests(classes: Sequence[str]) -> UInt64[np.ndarray, " C"]:
    digests = (blake2b(key.encode(), digest_size=8).digest() for key in classes)
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _marked(count: int, positions: Any) -> Bool[np.ndarray, " C"]:
    marked_C = np.zeros(count, bool)
    marked_C[positions] = True
    return marked_C


def _blocks(found: Members) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(found.row_M), BLOCK):
        part = slice(start, start + BLOCK)
        yield found.row_M[part], found.class_M[part]
