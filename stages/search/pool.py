"""The hull margin and the nearest test image of every pool row, in one exact streaming pass."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int32
from numpy import ndarray

from stages.search.decide import Best, Columns, improve
from stages.search.engine import TILE_COLUMNS, TILE_ROWS, choose, workers
from stages.search.vectors import Vectors, check, prepare

ROWS = 8192
"""Pool rows that one worker holds: their float32 copies and tables are some 40 MiB at 512-d."""

LARGEST_THRESHOLD = 1e6


@dataclass(frozen=True)
class Queries:
    """A test set ready to score pool blocks: sorted by threshold, in tiles, copies merged."""

    tiles: list[Columns]
    dim: int
    engine: str


def queries(
    query_QD: Float[ndarray, "Q D"],
    threshold_Q: Float64[ndarray, " Q"],
    engine: str | None = None,
) -> Queries:
    """Prepare the test images and their thresholds s_i(reference).

    Of equal vectors only the lowest index and the lowest threshold can decide, so one stays.
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
    engine = choose(engine)
    first: dict[bytes, int] = {}
    lowest_Q = threshold_Q.astype(np.float64)
    for i, vector in enumerate(query_QD):
        at = first.setdefault(vector.tobytes(), i)
        lowest_Q[at] = min(lowest_Q[at], lowest_Q[i])
    index = np.fromiter(first.values(), np.int64, len(first))
    index = index[np.argsort(lowest_Q[index], kind="stable")]
    # checked in the caller's order first, so that an error names the caller's row
    whole = prepare("queries", query_QD, "float32")
    centre_D = whole.single_ND.mean(0) if engine == "bfloat16" else None
    tiles = []
    for a in range(0, len(index), TILE_COLUMNS):
        part = index[a : a + TILE_COLUMNS]
        vectors = prepare("queries", query_QD[part], engine, centre_D=centre_D)
        tiles.append(Columns.group(vectors, part, lowest_Q[part], centre_D))
    return Queries(tiles, query_QD.shape[1], engine)


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
    return score(pool_ND, queries(query_QD, threshold_Q, engine), threads=threads)


def score(
    pool_ND: Float[ndarray, "N D"],
    query: Queries,
    *,
    start: int = 0,
    threads: int | None = None,
) -> tuple[Float32[ndarray, " N"], Int32[ndarray, " N"], Float32[ndarray, " N"]]:
    """``score_pool`` for queries that are ready; the first row is row ``start`` of the pool."""
    check("pool", pool_ND, query.dim)
    rows = len(pool_ND)
    max_sim_N, nearest_N = np.empty(rows, np.float32), np.empty(rows, np.int32)
    margin_N = np.empty(rows, np.float32)

    def work(piece: slice) -> None:
        vectors: Vectors = prepare("pool", pool_ND[piece], query.engine, start + piece.start)
        best = Best.none(len(vectors), margin=True)
        for tile in query.tiles:
            improve(best, vectors, tile, query.engine)
        max_sim_N[piece], nearest_N[piece] = best.similarity_N, best.index_N
        margin_N[piece] = best.margin_N

    parts = pieces(rows, ROWS, threads)
    with workers(threads) as over:
        for _ in over(work, parts):
            pass
    return max_sim_N, nearest_N, margin_N


def pieces(total: int, most: int, threads: int | None) -> list[slice]:
    """Cut ``total`` rows evenly into pieces of at most ``most``, and at least one per thread."""
    threads = threads or torch.get_num_threads()
    count = max(-(-total // most), min(threads, -(-total // TILE_ROWS)), 1)
    edges = np.linspace(0, total, count + 1).astype(int).tolist()
    return [slice(a, b) for a, b in pairwise(edges) if b > a]
