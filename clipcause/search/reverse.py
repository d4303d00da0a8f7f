"""The other side of the same products: the nearest pool row of every query.

``decide`` finds every pool row's nearest query from the products of the fast pass. Here the same
products, while they are in the cache, nominate rows for every query, so that one matrix product
answers both questions.

Nothing is lost. Let r be the fast product of row x and query y, h half a unit in its last place
where r >= 0, and k the other errors of the pair (bounds 0 to 2 of the engine, the row's share and
the query's added up). With c the centre, x.y <= max(r, 0) + h + k + x.c, and where r > 0 also
x.y >= r - h - k + x.c. Let F be the most that the query is known to reach: the exact values of
earlier pairs, and the lower bounds of the present ones. A row that beats or equals the query's
maximum has x.y >= F, so its upper bound is >= F. First whole groups of rows are dropped, by the
largest r and the largest k + x.c among them (rows are arranged so that x.c differs little within a
group), then single rows by their own; what remains is computed in float64 from the stored vectors.
Where threads share the answer, F may be out of date: an older F is lower, so that more is
nominated, and no result changes.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int
from numpy import ndarray

from clipcause.search.decide import SLACK, Best, Columns
from clipcause.search.engine import TILE_ROWS, accumulation, half_ulp, product
from clipcause.search.vectors import Vectors, dot

STRIPS = 16
"""Rows of a group: one from each strip of a tile, so that maxima are taken over whole strips."""

MANY = 65_536
"""Pairs of one product from which on its float32 product, which drops most, costs less."""

COPIES = 8
"""Pairs for each query that has any, from which on looking for copies among the rows pays."""


def arranged(along_N: Float32[ndarray, " N"]) -> Int[ndarray, " N"]:
    """An order of rows in which every group of a tile has neighbours in ``along_N``, x.c."""
    order_N = np.empty(len(along_N), np.int64)
    for a in range(0, len(along_N), TILE_ROWS):
        rank = a + np.argsort(along_N[a : a + TILE_ROWS], kind="stable")
        order_N[a : a + TILE_ROWS] = rank.reshape(-1, _strips(len(rank))).T.ravel()
    return order_N


@dataclass(frozen=True)
class _Tile:
    """Some consecutive rows."""

    rows: Vectors
    """Of the whole piece."""
    index_N: Int[ndarray, " N"]
    """What a row is called in the answer."""
    high_N: torch.Tensor
    """x.c, and k."""
    low_N: torch.Tensor
    """x.c less k."""
    first: int
    """The row of the piece that is the first here."""


class Reverse:
    """The running answer of every query of one set of ``Columns``; threads may share it."""

    def __init__(self, columns: Columns, count: int, engine: str) -> None:
        """``count`` is the number of columns without those that fill up the last group."""
        self.columns, self.count, self.engine = columns, count, engine
        self.best = Best.none(count, margin=False)
        self.floor_C = np.full(count, -np.inf, np.float32)
        self.error_C = np.float32(1.01) * columns.vectors.error_N[:count]
        self.sum_error = np.float32(accumulation(columns.vectors.single_ND.shape[1])) + SLACK
        self._lock = threading.Lock()

    def watch(
        self, rows: Vectors, index_N: Int[ndarray, " N"]
    ) -> Callable[[torch.Tensor, int, int], None]:
        """What ``group_maxima`` shows the products of ``rows``, named ``index_N``, to."""
        along_N, error_N = rows.along_N, self.columns.length * (rows.error_N + self.sum_error)
        if along_N is None:
            along_N = np.zeros(len(rows), np.float32)
        else:
            error_N = error_N + self.sum_error  # x.c has an error of its own
        high, low = torch.from_numpy(along_N + error_N), torch.from_numpy(along_N - error_N)

        def see(sim_CN: torch.Tensor, c: int, a: int) -> None:
            columns, part = slice(c, self.count), slice(a, a + sim_CN.shape[1])
            tile = _Tile(rows, index_N[part], high[part], low[part], a)
            self._see(sim_CN[: self.count - c], columns, tile)

        return see

    def _see(self, sim_CN: torch.Tensor, columns: slice, tile: _Tile) -> None:
        columns = slice(columns.start, columns.start + len(sim_CN))
        pairs = self._pairs(sim_CN, columns, tile, self.error_C[columns], self.engine)
        if len(pairs[0]) > MANY:
            single_ND = tile.rows.single_ND[tile.first : tile.first + len(tile.index_N)]
            error_N = torch.full((len(single_ND),), float(self.sum_error))
            known = _Tile(tile.rows, tile.index_N, error_N, -error_N, tile.first)
            single_CN = product(self.columns.vectors.single_ND[columns], single_ND)
            none_C = np.zeros(len(single_CN), np.float32)
            pairs = self._pairs(single_CN, columns, known, none_C, "float32")
        if len(pairs[0]):
            self._decide(tile, *pairs)

    def _pairs(
        self, sim_CN: torch.Tensor, columns: slice, tile: _Tile, error_C: ndarray, engine: str
    ) -> tuple[ndarray, ndarray, ndarray]:
        """Columns, rows and upper bounds of the pairs that may be a column's maximum."""
        strips = _strips(sim_CN.shape[1])
        width = sim_CN.shape[1] // strips
        high_SW, low_SW = tile.high_N.view(strips, width), tile.low_N.view(strips, width)
        table_CW = _maxima(sim_CN, strips, engine)
        # h is that of the column's largest product, which is the largest h
        error_C = half_ulp(table_CW.amax(1).numpy(), engine) + error_C + SLACK
        need_C = self.floor_C[columns] - error_C
        near_K = np.flatnonzero((table_CW + high_SW.amax(0)).amax(1).numpy() >= need_C)
        column_K = torch.from_numpy(near_K)
        table_KW = table_CW[column_K]
        # what a group certainly reaches, less the error again for what may be as large
        low_KW = torch.where(table_KW > 0, table_KW + low_SW.amin(0), -np.inf)
        need_K = np.maximum(need_C[near_K], low_KW.amax(1).numpy() - 2 * error_C[near_K])
        need = torch.from_numpy(need_K)
        at_P, group_P = (table_KW + high_SW.amax(0) >= need[:, None]).nonzero(as_tuple=True)
        sim_PS = sim_CN.view(-1, strips, width)[column_K[at_P], :, group_P].float()
        bound_PS = sim_PS.clamp_(min=0) + high_SW.T[group_P]
        pair, strip = (bound_PS >= need[at_P, None]).nonzero(as_tuple=True)
        column_P = near_K[at_P[pair].numpy()]
        row_P = (strip * width + group_P[pair]).numpy()
        bound_P = bound_PS[pair, strip].numpy() + error_C[column_P]
        return columns.start + column_P, row_P, bound_P

    def _decide(self, tile: _Tile, column_P: ndarray, row_P: ndarray, bound_P: ndarray) -> None:
        """Float64 for the pairs that remain."""
        if len(row_P) > COPIES * len(np.unique(column_P)):
            column_P, row_P, bound_P = _distinct(tile, column_P, row_P, bound_P)
        value_P = dot(tile.rows, tile.first + row_P, self.columns.vectors, column_P)
        excess = (value_P - bound_P).max(initial=0)
        if excess > 0:
            raise RuntimeError(f"the fast pass broke its error bound by {excess:.3g}")
        with self._lock:
            self.best.settle(column_P, value_P, tile.index_N[row_P])
            self.floor_C[column_P] = self.best.similarity_N[column_P]


def _strips(rows: int) -> int:
    """Into how many strips a tile of so many rows is cut."""
    return math.gcd(rows, STRIPS)


def _maxima(sim_CN: torch.Tensor, strips: int, engine: str) -> torch.Tensor:
    """Per column and group the largest product, or 0, in float32."""
    columns, rows = sim_CN.shape
    if engine == "float32":
        return sim_CN.view(columns, strips, rows // strips).amax(1).clamp_(min=0)
    # bound 4 of the engine: the bits of values >= 0 are in order, below 0 is read as 0
    bits_CW = sim_CN.view(torch.int16).view(columns, strips, rows // strips).amax(1)
    return bits_CW.view(torch.bfloat16).float().clamp_(min=0)


def _distinct(
    tile: _Tile, column_P: ndarray, row_P: ndarray, bound_P: ndarray
) -> tuple[ndarray, ndarray, ndarray]:
    """Many near rows are copies of one image: keep each query's lowest of those that are equal."""
    used = np.unique(row_P)
    used = used[np.argsort(tile.index_N[used])]
    stored = np.ascontiguousarray(tile.rows.stored_ND[tile.first + used])
    whole = stored.view(np.dtype((np.void, stored.shape[1] * stored.itemsize)))[:, 0]
    # `used` ascends in what rows are called, and `unique` gives the first of equal ones
    _, first, same = np.unique(whole, return_index=True, return_inverse=True)
    stands_N = np.zeros(len(tile.index_N), np.int64)
    stands_N[used] = used[first[same]]
    row_P = stands_N[row_P]
    _, once = np.unique(column_P * len(tile.index_N) + row_P, return_index=True)
    return column_P[once], row_P[once], bound_P[once]
