"""Near-duplicates: for every row the first earlier row of its cluster that is too similar, or how
similar the most similar earlier one is."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, Int64
from numpy import ndarray

from clipcause.search.decide import Columns
from clipcause.search.engine import (
    GROUP,
    TILE_COLUMNS,
    accumulation,
    choose,
    group_maxima,
    half_ulp,
    products,
    workers,
)
from clipcause.search.vectors import Vectors, dot, double, prepare

PAIRS = 8192
"""(row, group) pairs computed in float32 at once; all their columns may be candidates."""

HELD = 32_768
"""A cluster of at most so many rows is read once; of a larger one a tile whenever it is needed."""

GREATEST_TILE = 1024
"""Rows and columns of a float64 product: 8 MiB."""

Span = tuple[int, int]


def first_above(
    take: Callable[[ndarray], ndarray],
    clusters_N: Int[ndarray, " N"],
    threshold: float,
    *,
    engine: str | None = None,
    threads: int | None = None,
) -> tuple[Int64[ndarray, " N"], Float64[ndarray, " N"]]:
    """Per row x the lowest earlier row y of its cluster with s(x, y) > threshold.

    Returns that row (-1 where there is none) and the float64 similarity (0 there). ``take`` gives
    the vectors of an ascending array of rows, so that memory holds no more than a few tiles.
    Rows in [-1, threshold] keep: strictly greater, in float64, decides.
    """
    if not -1e6 <= threshold <= 1e6:
        raise ValueError(f"threshold: {threshold} is not a similarity")
    engine = choose(engine)
    first_N, similarity_N = np.full(len(clusters_N), -1, np.int64), np.zeros(len(clusters_N))

    def work(task: tuple[ndarray, list[Span]]) -> None:
        members, spans = task
        near = _held(take, members) if len(spans) > 1 else take
        for a, b in spans:
            found, value = _tile(near, members, a, b, threshold, engine)
            rows = members[a:b]
            first_N[rows] = np.where(found < 0, -1, members[found])
            similarity_N[rows] = value

    with workers(threads) as over:
        for _ in over(work, _tasks(clusters_N, None, TILE_COLUMNS)):
            pass
    return first_N, similarity_N


NONE_EARLIER = -1.0
"""For the first row of a cluster: the least similarity that there is, so that it goes last."""


def greatest(
    take: Callable[[ndarray], ndarray],
    clusters_N: Int[ndarray, " N"],
    place_N: Float[ndarray, " N"] | None = None,
    *,
    threads: int | None = None,
) -> Float64[ndarray, " N"]:
    """Per row its greatest similarity to any earlier row of its cluster, -1 for the first.

    Rows of a cluster are in the order of (``place_N``, row), or of the row alone. ``take`` gives
    the float16 unit vectors of any rows. All pairs are float64 products, which are exact, so the
    bytes do not depend on threads, tiles or BLAS: ``sum n_c^2 D`` multiplications for clusters of
    n_c rows, and a few tiles of memory a thread.
    """
    greatest_N = np.empty(len(clusters_N))

    def work(task: tuple[ndarray, list[Span]]) -> None:
        members, spans = task
        near, at = take, members
        if len(spans) > 1:
            held = take(members)
            near, at = held.__getitem__, np.arange(len(members))
        for a, b in spans:
            greatest_N[members[a:b]] = _greatest(near, at, members, a, b)

    with workers(threads) as over:
        for _ in over(work, _tasks(clusters_N, place_N, GREATEST_TILE)):
            pass
    return greatest_N


def _greatest(
    take: Callable[[ndarray], ndarray], at: ndarray, members: ndarray, a: int, b: int
) -> ndarray:
    """For positions a to b of a cluster; ``take`` wants the numbers ``at`` of its members."""

    def tile(c: int, stop: int) -> torch.Tensor:
        return double("rows", take(at[c:stop]), members[c:stop])

    rows = tile(a, b)
    own = rows @ rows.T
    own.masked_fill_(torch.ones_like(own, dtype=torch.bool).triu_(), NONE_EARLIER)
    best = own.amax(1)
    for c in range(0, a, GREATEST_TILE):
        earlier = tile(c, min(c + GREATEST_TILE, a))
        best = torch.maximum(best, (rows @ earlier.T).amax(1))
    # of vectors that are a little longer than one
    return best.clamp_(min=NONE_EARLIER).numpy()


def _tasks(
    clusters_N: ndarray, place_N: ndarray | None, tile: int
) -> Iterator[tuple[ndarray, list[Span]]]:
    """The rows of a cluster in order, and those of its tiles that are one piece of work."""
    keys = (clusters_N,) if place_N is None else (place_N, clusters_N)
    order = np.lexsort(keys)  # stable: ties by row
    edges = np.flatnonzero(np.diff(clusters_N[order])) + 1
    for a, b in pairwise([0, *edges.tolist(), len(order)]):
        members = order[a:b]
        size = len(members)
        spans = [(c, min(c + tile, size)) for c in range(0, size, tile)]
        for together in [spans] if size <= HELD else [[span] for span in spans]:
            yield members, together


def _held(take: Callable[[ndarray], ndarray], members: ndarray) -> Callable[[ndarray], ndarray]:
    """``take`` for the rows ``members``, which ascend, from memory."""
    vectors = take(members)
    return lambda rows: vectors[np.searchsorted(members, rows)]


def _tile(
    take: Callable[[ndarray], ndarray],
    members: ndarray,
    a: int,
    b: int,
    threshold: float,
    engine: str,
) -> tuple[ndarray, ndarray]:
    """For positions a to b of a cluster: position of the first above (or -1), similarity."""
    found_N, value_N = np.full(b - a, -1, np.int64), np.zeros(b - a)
    rows = prepare("rows", take(members[a:b]), engine, members[a:b])
    for c in range(0, b, TILE_COLUMNS):
        stop = min(c + TILE_COLUMNS, b)
        of = members[c:stop]
        vectors = rows if c == a else prepare("rows", take(of), engine, of)
        columns = Columns.group(vectors, np.arange(c, stop), np.zeros(stop - c))
        single = np.float32(accumulation(rows.single_ND.shape[1]) + 4e-6 * (1 + abs(threshold)))
        for row_P, group_P in _nominated(rows, columns, a, threshold, single, engine):
            open_P = found_N[row_P] < 0
            _resolve(
                rows,
                columns,
                row_P[open_P],
                group_P[open_P],
                a,
                threshold,
                single,
                found_N,
                value_N,
            )
        # a product of rows that are decided would be wasted, but dropping them costs a copy
        if (found_N >= 0).all():
            break
    return found_N, value_N


def _nominated(
    rows: Vectors, columns: Columns, a: int, threshold: float, single: np.float32, engine: str
) -> Iterator[tuple[ndarray, ndarray]]:
    """(row, group) pairs that may hold a column above the threshold, in pieces, by group."""
    table_GN = group_maxima(rows.fast_ND, columns.vectors.fast_ND, engine)
    # a result below the threshold was rounded by no more than one at it
    rounding = half_ulp(np.array([max(threshold, 0)], np.float32), engine)
    error_N = columns.length * rows.error_N + single + rounding
    table_GN += np.float32(1.01) * columns.error_G[:, None]
    chosen_GN = table_GN >= np.float32(threshold) - error_N
    # a group is of interest to rows after its first column
    chosen_GN &= columns.index_C[::GROUP, None] < a + np.arange(len(rows))
    flat = np.flatnonzero(chosen_GN)
    for at in range(0, len(flat), PAIRS):
        group_P, row_P = np.divmod(flat[at : at + PAIRS], len(rows))
        yield row_P, group_P


def _resolve(
    rows: Vectors,
    columns: Columns,
    row_P: ndarray,
    group_P: ndarray,
    a: int,
    threshold: float,
    single: np.float32,
    found_N: ndarray,
    value_N: ndarray,
) -> None:
    """Settle the given pairs in place: groups come in ascending order, so the first stands."""
    parts = []
    for piece, g, sim_PC in products(rows, columns.vectors, row_P, group_P):
        sim = sim_PC.numpy()
        position_C = columns.index_C[g * GROUP : (g + 1) * GROUP]
        near = (sim > threshold - single) & (position_C < a + row_P[piece, None])
        pair, within = np.nonzero(near)
        parts.append((row_P[piece][pair], g * GROUP + within, sim[near]))
    if not parts:
        return
    row, column, sim = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort((column, row))
    row, column, sim = row[order], column[order], sim[order]
    # up to and including the first column of a row that is above beyond doubt
    certain = np.cumsum(sim > threshold + single)
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    before = np.concatenate([[0], certain])[:-1]
    needed = before == np.repeat(before[starts], np.diff(np.append(starts, len(row))))
    row, column, sim = row[needed], column[needed], sim[needed]
    value = dot(rows, row, columns.vectors, column)
    if len(value) and np.abs(value - sim).max() > single:
        raise RuntimeError("a float32 product broke its error bound")
    above = value > threshold
    row, column, value = row[above], column[above], value[above]
    _, first = np.unique(row, return_index=True)
    found_N[row[first]] = columns.index_C[column[first]]
    value_N[row[first]] = value[first]
