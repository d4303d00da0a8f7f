"""How many pool rows lie above each of a few edges of every test image, exactly.

The fast pass decides what its error allows and the rest is decided in float64, so that the counts
depend on neither engine, blocks nor threads. With the bounds of ``engine``:

* bfloat16: a pair's product is at most r + h + k, where r is the fast product, h half a unit in
  the last place, and k the other errors of row and column. A pair for which that is below the
  column's lowest edge is above none. Here r < 0 is below any edge that is positive; columns with
  another lowest edge are not filtered.
* float32: a product is within A of r. Where an edge lies farther than that from r the pair is
  decided; the others are computed from the stored vectors (``vectors.dot``).

Columns are sorted by their lowest edge, so that a tile has many near pairs or few.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float16, Float32, Float64, Int, Int64
from numpy import ndarray

from clipcause.search.decide import SLACK
from clipcause.search.engine import (
    TILE_COLUMNS,
    TILE_ROWS,
    accumulation,
    choose,
    half_ulp,
    product,
    workers,
)
from clipcause.search.pool import ROWS, pieces
from clipcause.search.vectors import Vectors, check, dot, prepare

MANY = 8192
"""Near pairs of one bfloat16 product from which on its float32 product costs less than theirs."""

PAIRS = 262_144
"""Near pairs looked into at once: some 20 MiB."""


@dataclass(frozen=True)
class Columns:
    """Test images, sorted by their lowest edge, and what a product says about their edges."""

    vectors: Vectors
    order_C: Int64[ndarray, " C"]
    """Which test image a column is."""
    edge_CE: Float64[ndarray, "C E"]
    low_CE: Float32[ndarray, "C E"]
    """A float32 product below this is of a pair that is not above the edge …"""
    high_CE: Float32[ndarray, "C E"]
    """… and one above this of a pair that is."""
    need_C: Float32[ndarray, " C"]
    """The least of a column's ``low_CE``."""
    longest: np.float32
    """At least the norm of every vector that the engine sees."""
    single_error: float
    """A: how far a float32 product may be from the truth."""
    engine: str


def columns(
    query_QD: Float16[ndarray, "Q D"], edge_QE: Float64[ndarray, "Q E"], engine: str | None = None
) -> Columns:
    """Prepare test images and their edges. Raises ``ValueError`` for what is not unit vectors,
    and for edges that do not fit them or are not finite."""
    check_edges(query_QD, edge_QE)
    engine = choose(engine)
    prepare("queries", query_QD, "float32")  # checked first: an error names the caller's row
    order_C = np.argsort(edge_QE.min(1), kind="stable")
    vectors, edge_CE = prepare("queries", query_QD[order_C], engine), edge_QE[order_C]
    error = accumulation(query_QD.shape[1])
    low_CE = np.nextafter((edge_CE - error).astype(np.float32), np.float32(-np.inf))
    high_CE = np.nextafter((edge_CE + error).astype(np.float32), np.float32(np.inf))
    return Columns(
        vectors, order_C, edge_CE, low_CE, high_CE, low_CE.min(1), np.float32(1.003 + 2.0**-8),
        error, engine,
    )  # fmt: skip


def check_edges(query_QD: Float16[ndarray, "Q D"], edge_QE: Float64[ndarray, "Q E"]) -> None:
    """Raise ``ValueError`` for inputs whose counts would mean nothing."""
    check("queries", query_QD)
    if query_QD.dtype != np.float16:
        raise ValueError(f"queries: counts are exact for float16 vectors, got {query_QD.dtype}")
    if len(query_QD) == 0 or edge_QE.shape[1] == 0:
        raise ValueError(f"{len(query_QD)} queries with {edge_QE.shape[1]} edges: nothing to count")
    if edge_QE.shape[0] != len(query_QD):
        raise ValueError(f"{len(query_QD)} queries, but edges of shape {edge_QE.shape}")
    wrong = np.flatnonzero(~(np.abs(edge_QE) <= 4).all(1))
    if len(wrong):
        raise ValueError(
            f"edges: those of {len(wrong)} of {len(edge_QE)} queries are not similarities (within "
            f"4 of 0), the first is {edge_QE[wrong[0]].tolist()} of query {wrong[0]}"
        )


def count_above(
    pool_ND: Float16[ndarray, "N D"],
    query_QD: Float16[ndarray, "Q D"],
    edge_QE: Float64[ndarray, "Q E"],
    chosen_N: Bool[ndarray, " N"] | None = None,
    *,
    engine: str | None = None,
    threads: int | None = None,
) -> Int64[ndarray, "2 Q E"]:
    """Per test image and edge the number of pool rows x with s(t_i, x) > edge: [of all rows, of
    those in ``chosen_N``].

    s is the float64 dot product of the stored float16 vectors, which no order of summation rounds;
    equal is not above. ``pool_ND`` may be a memory map. The same counts for any engine, threads
    and blocks. Raises ``ValueError`` for what is not unit vectors, and as ``columns``.
    """
    check("pool", pool_ND, query_QD.shape[-1])
    scan = Scan(columns(query_QD, edge_QE, engine), threads)
    scan.read([(0, pool_ND)], np.ones(len(pool_ND), bool) if chosen_N is None else chosen_N)
    return scan.result()


class Scan:
    """Blocks of a pool past columns that are ready."""

    def __init__(self, of: Columns, threads: int | None = None) -> None:
        self.of, self.threads = of, threads
        self._count_2CE = np.zeros((2, *of.edge_CE.shape), np.int64)
        # column tiles whose products are taken in float32 at once
        self._dense: set[int] = set() if of.engine == "bfloat16" else set(_starts(of))

    def read(
        self, blocks: Iterable[tuple[int, Float16[ndarray, "_ D"]]], chosen_N: Bool[ndarray, " N"]
    ) -> None:
        """Every block's first row, and its rows; ``chosen_N`` says for all rows which are chosen.

        The next block is read while one is computed.
        """

        def cut() -> Iterable[tuple[int, ndarray]]:
            for start, block_ND in blocks:
                check("pool", block_ND, self.of.vectors.stored_ND.shape[1])
                for piece in pieces(len(block_ND), ROWS, self.threads):
                    yield start + piece.start, block_ND[piece]

        def work(given: tuple[int, ndarray]) -> ndarray:
            start, piece_ND = given
            return self._piece(start, piece_ND, chosen_N[start : start + len(piece_ND)])

        with workers(self.threads) as over:
            for found_2CE in over(work, cut()):
                self._count_2CE += found_2CE

    def result(self) -> Int64[ndarray, "2 Q E"]:
        """The counts so far, in the order in which the test images were given."""
        count_2QE = np.empty_like(self._count_2CE)
        count_2QE[:, self.of.order_C] = self._count_2CE
        return count_2QE

    def _piece(
        self, start: int, piece_ND: Float16[ndarray, "N D"], chosen_N: Bool[ndarray, " N"]
    ) -> ndarray:
        rows = prepare("pool", piece_ND, self.of.engine, start)
        count_2CE = np.zeros_like(self._count_2CE)
        tile = TILE_ROWS if self.of.engine == "bfloat16" else TILE_ROWS // 2
        for c in _starts(self.of):
            for a in range(0, len(rows), tile):
                self._tile(
                    rows, slice(a, a + tile), slice(c, c + TILE_COLUMNS), chosen_N, count_2CE
                )
        return count_2CE

    def _tile(
        self, rows: Vectors, part: slice, tile: slice, chosen_N: ndarray, count_2CE: ndarray
    ) -> None:
        of = self.of
        if tile.start not in self._dense:
            near = self._near(rows, part, tile)
            if near is not None:
                column_P, row_P = near
                value_P = dot(rows, row_P, of.vectors, column_P)
                for e in range(of.edge_CE.shape[1]):
                    above_P = value_P > of.edge_CE[column_P, e]
                    _add(count_2CE[:, :, e], column_P[above_P], chosen_N[row_P[above_P]])
                return
            self._dense.add(tile.start)
        sim_CN = product(of.vectors.single_ND[tile], rows.single_ND[part]).numpy()
        flat = np.flatnonzero(sim_CN >= of.need_C[tile, None])
        for a in range(0, len(flat), PAIRS):
            piece = flat[a : a + PAIRS]
            column_P, row_P = np.divmod(piece, sim_CN.shape[1])
            self._decide(
                rows, part.start + row_P, tile.start + column_P, sim_CN.ravel()[piece], chosen_N,
                count_2CE,
            )  # fmt: skip

    def _near(
        self, rows: Vectors, part: slice, tile: slice
    ) -> tuple[Int[ndarray, " P"], Int[ndarray, " P"]] | None:
        """Columns and rows of the pairs that may be above some edge; None where they are many."""
        of, error_N = self.of, rows.error_N[part]
        lowest_C = of.need_C[tile]
        error_C = 1.01 * of.vectors.error_N[tile] + of.longest * (error_N.max() + of.single_error)
        # a result below the edge was rounded by no more than one at it
        error_C += SLACK + half_ulp(np.maximum(lowest_C, 0), "bfloat16")
        least_C = (lowest_C - error_C).astype(np.float32)
        if least_C.min() <= 0:
            return None
        sim_CN = torch.mm(of.vectors.fast_ND[tile], rows.fast_ND[part].T)
        # bits of positive numbers are in their order, negative ones are below all of them; cutting
        # off the lower half of a float32 rounds it down
        least_bits_C = (least_C.view(np.uint32) >> 16).astype(np.int16)
        near_CN = sim_CN.view(torch.int16).numpy() >= least_bits_C[:, None]
        if np.count_nonzero(near_CN) > MANY:
            return None
        column_P, row_P = np.divmod(np.flatnonzero(near_CN), near_CN.shape[1])
        return tile.start + column_P, part.start + row_P

    def _decide(
        self,
        rows: Vectors,
        row_P: Int[ndarray, " P"],
        column_P: Int[ndarray, " P"],
        value_P: Float32[ndarray, " P"],
        chosen_N: ndarray,
        count_2CE: ndarray,
    ) -> None:
        """Count what float32 can tell, and the rest in float64."""
        of, edges = self.of, range(self.of.edge_CE.shape[1])
        chosen_P = chosen_N[row_P]
        open_PE = np.empty((len(row_P), len(edges)), bool)
        for e in edges:
            above_P = value_P > of.high_CE[column_P, e]
            open_PE[:, e] = (value_P >= of.low_CE[column_P, e]) & ~above_P
            _add(count_2CE[:, :, e], column_P[above_P], chosen_P[above_P])
        left = np.flatnonzero(open_PE.any(1))
        exact_P = dot(rows, row_P[left], of.vectors, column_P[left])
        excess = np.abs(exact_P - value_P[left]).max(initial=0) - of.single_error
        if excess > 0:
            raise RuntimeError(f"a float32 product broke its error bound by {excess:.3g}")
        for e in edges:
            above_P = open_PE[left, e] & (exact_P > of.edge_CE[column_P[left], e])
            _add(count_2CE[:, :, e], column_P[left[above_P]], chosen_P[left[above_P]])


def _starts(of: Columns) -> range:
    return range(0, len(of.order_C), TILE_COLUMNS)


def _add(count_2C: ndarray, column_P: ndarray, chosen_P: ndarray) -> None:
    """Add pairs to the counts of all rows and of those that are chosen."""
    columns = count_2C.shape[1]
    count_2C[0] += np.bincount(column_P, minlength=columns)
    count_2C[1] += np.bincount(column_P[chosen_P], minlength=columns)
