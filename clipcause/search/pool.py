"""The hull margin and the nearest test image of every pool row, and the nearest pool row of every
test image, in one exact streaming pass."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int, Int32, Int64
from numpy import ndarray

from clipcause.search.decide import Best, Columns, improve
from clipcause.search.engine import TILE_COLUMNS, TILE_ROWS, choose, workers
from clipcause.search.reverse import Reverse, arranged
from clipcause.search.vectors import check, prepare

ROWS = 12_288
"""Pool rows that one worker holds: their copies and bounds are some 80 MiB at 512-d. The largest
array stays below 32 MiB up to 640-d, from where on the allocator takes fresh pages each time."""

COLUMNS = 4 * TILE_COLUMNS
"""Queries whose bounds are held at once, so that a row's best of them is known before any other is
computed: 8 MiB of bounds for each worker."""

LARGEST_THRESHOLD = 1e6


@dataclass(frozen=True)
class Queries:
    """A test set ready to score pool blocks: sorted by threshold, in tiles, copies merged."""

    tiles: list[Columns]
    counts: list[int]
    """Columns of every tile, without those that fill up its last group."""
    column_Q: Int[ndarray, " Q"]
    """Where each test image, or the one that stands for it, is among the tiles' columns."""
    dim: int
    engine: str


def distinct(
    query_QD: Float[ndarray, "Q D"], threshold_Q: Float64[ndarray, " Q"]
) -> tuple[Int64[ndarray, " C"], Float64[ndarray, " Q"], Int64[ndarray, " Q"]]:
    """One test image for all that are equal, in order of their thresholds.

    Of equal vectors only the lowest index and the lowest threshold can decide. Returns the indices
    of those that stay, the thresholds (right for those), and where each one, or the one that
    stands for it, is among those that stay.
    """
    check("queries", query_QD)
    if len(query_QD) == 0:
        raise ValueError("queries: there are none")
    if threshold_Q.shape != (len(query_QD),):
        raise ValueError(f"{len(query_QD)} queries, but thresholds of shape {threshold_Q.shape}")
    wrong = np.flatnonzero(~(np.abs(threshold_Q) <= LARGEST_THRESHOLD))
    if len(wrong):
        raise ValueError(
            f"thresholds: {len(wrong)} of {len(threshold_Q)} are not similarities (within "
            f"{LARGEST_THRESHOLD:g} of 0), the first is {threshold_Q[wrong[0]]} at {wrong[0]}"
        )
    first: dict[bytes, int] = {}
    lowest_Q = threshold_Q.astype(np.float64)
    stands_Q = np.empty(len(query_QD), np.int64)
    for i, vector in enumerate(query_QD):
        stands_Q[i] = at = first.setdefault(vector.tobytes(), i)
        lowest_Q[at] = min(lowest_Q[at], lowest_Q[i])
    index = np.fromiter(first.values(), np.int64, len(first))
    index = index[np.argsort(lowest_Q[index], kind="stable")]
    column_Q = np.empty(len(query_QD), np.int64)
    column_Q[index] = np.arange(len(index))
    return index, lowest_Q, column_Q[stands_Q]


def queries(
    query_QD: Float[ndarray, "Q D"],
    threshold_Q: Float64[ndarray, " Q"],
    engine: str | None = None,
) -> Queries:
    """Prepare the test images and their thresholds s_i(reference)."""
    index, lowest_Q, column_Q = distinct(query_QD, threshold_Q)
    engine = choose(engine)
    # checked in the caller's order first, so that an error names the caller's row
    whole = prepare("queries", query_QD, "float32")
    centre_D = whole.single_ND.mean(0) if engine == "bfloat16" else None
    tiles, counts = [], []
    for a in range(0, len(index), COLUMNS):
        part = index[a : a + COLUMNS]
        vectors = prepare("queries", query_QD[part], engine, centre_D=centre_D)
        tiles.append(Columns.group(vectors, part, lowest_Q[part], centre_D))
        counts.append(len(part))
    return Queries(tiles, counts, column_Q, query_QD.shape[1], engine)


def score_pool(
    pool_ND: Float[ndarray, "N D"],
    query_QD: Float[ndarray, "Q D"],
    threshold_Q: Float64[ndarray, " Q"],
    *,
    engine: str | None = None,
    threads: int | None = None,
) -> tuple[Float32[ndarray, " N"], Int32[ndarray, " N"], Float32[ndarray, " N"]]:
    """Similarity of each pool row x to a test set {t_i}: ``(max_sim, nearest, margin)``.

    ``max_sim = max_i s(t_i, x)`` and ``nearest`` its i (the lowest on ties);
    ``margin = max_i [s(t_i, x) - threshold_i]``, so that hull pruning (arXiv 2310.09562, section
    on pruning) removes x iff ``margin > 0``: exactly when s > threshold in float64 for some i.
    Rows are unit vectors in float16 or float32; ``pool_ND`` may be a memory map of any length and
    is read in blocks. Every value is a float64 dot product of the stored vectors, rounded once:
    the same bytes for any blocks, threads and engine.

    Raises ``ValueError`` for other types, shapes, lengths other than 1, and thresholds that
    are not finite or beyond 1e6.
    """
    check("pool", pool_ND, query_QD.shape[-1])
    scan = Scan(queries(query_QD, threshold_Q, engine), len(pool_ND), threads, reverse=False)
    scan.read([(0, pool_ND)])
    return scan.max_sim_N, scan.nearest_N, scan.margin_N


class Scan:
    """Rows of a pool, in blocks of any sizes, past queries that are ready.

    ``max_sim_N``, ``nearest_N`` and ``margin_N`` are those of ``score_pool``; ``result`` is the
    queries' own. Without ``reverse`` nobody looks for it.
    """

    def __init__(
        self, query: Queries, rows: int, threads: int | None = None, *, reverse: bool = True
    ) -> None:
        self.query, self.threads = query, threads
        self.max_sim_N, self.nearest_N = np.empty(rows, np.float32), np.empty(rows, np.int32)
        self.margin_N = np.empty(rows, np.float32)
        sides = zip(query.tiles, query.counts, strict=True) if reverse else ()
        self.reverse = [Reverse(tile, count, query.engine) for tile, count in sides]

    def read(self, blocks: Iterable[tuple[int, Float[ndarray, "_ D"]]]) -> None:
        """Every block's first row, and its rows. The next one is read while one is computed."""
        with workers(self.threads) as over:
            for _ in over(self._piece, self._pieces(blocks)):
                pass

    def result(self) -> tuple[Float64[ndarray, " Q"], Int64[ndarray, " Q"]]:
        """Similarity and row of each query's nearest; -inf and -1 before any row was seen."""
        similarity = np.concatenate([side.best.similarity_N for side in self.reverse])
        row = np.concatenate([side.best.index_N for side in self.reverse])
        return similarity[self.query.column_Q], row[self.query.column_Q]

    def _pieces(self, blocks: Iterable[tuple[int, ndarray]]) -> Iterator[tuple[int, ndarray]]:
        for start, block_ND in blocks:
            check("pool", block_ND, self.query.dim)
            for piece in pieces(len(block_ND), ROWS, self.threads):
                yield start + piece.start, block_ND[piece]

    def _piece(self, given: tuple[int, ndarray]) -> None:
        start, piece_ND = given
        row_N, along_N = start + np.arange(len(piece_ND)), None
        centre_D = self.query.tiles[0].centre_D
        if centre_D is not None:
            single_ND = torch.from_numpy(np.array(piece_ND, order="C")).float()
            along_N = torch.mv(single_ND, centre_D).numpy()
            if self.reverse:
                order_N = arranged(along_N)
                row_N, along_N, piece_ND = row_N[order_N], along_N[order_N], piece_ND[order_N]
        vectors = prepare("pool", piece_ND, self.query.engine, row_N, along_N=along_N)
        best = Best.none(len(vectors), margin=True)
        for number, tile in enumerate(self.query.tiles):
            also = self.reverse[number].watch(vectors, row_N) if self.reverse else None
            improve(best, vectors, tile, self.query.engine, also)
        self.max_sim_N[row_N], self.nearest_N[row_N] = best.similarity_N, best.index_N
        self.margin_N[row_N] = best.margin_N


def pieces(total: int, most: int, threads: int | None) -> list[slice]:
    """Cut ``total`` rows evenly into pieces of at most ``most``, and at least one per thread.

    Pieces are whole tiles, as far as they have one.
    """
    threads = threads or torch.get_num_threads()
    count = max(-(-total // most), min(threads, -(-total // TILE_ROWS)), 1)
    step = max(-(-total // count), 1)
    if step > TILE_ROWS:
        step = min(-(-step // TILE_ROWS) * TILE_ROWS, most)
    return [slice(a, min(a + step, total)) for a in range(0, total, step)]
