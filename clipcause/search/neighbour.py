"""The exact nearest neighbour of every query in a base that streams past."""

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from numpy import ndarray

from clipcause.search.decide import Best, Columns, improve
from clipcause.search.engine import TILE_COLUMNS, choose, workers
from clipcause.search.pool import ROWS, pieces
from clipcause.search.vectors import check, prepare


class Nearest:
    """A running search: show it the base block by block, in any sizes, then ask.

    What a query has already found is the floor for later blocks, so few of their rows are ever
    computed in more than the fast pass.
    """

    def __init__(
        self,
        query_QD: Float[ndarray, "Q D"],
        *,
        engine: str | None = None,
        threads: int | None = None,
    ) -> None:
        check("queries", query_QD)
        self.engine, self.threads = choose(engine), threads
        self.dim = query_QD.shape[1]
        self.queries = [
            prepare("queries", query_QD[piece], self.engine, piece.start)
            for piece in pieces(len(query_QD), ROWS, threads)
        ]
        self.best = [Best.none(len(vectors), margin=False) for vectors in self.queries]
        self.seen = 0

    def update(
        self, base_ND: Float[ndarray, "N D"], chosen_N: Bool[ndarray, " N"] | None = None
    ) -> None:
        """Take the next rows of the base into account; with ``chosen_N`` only those of them.

        Rows keep their number in the whole base either way.
        """
        check("base", base_ND, self.dim)
        with workers(self.threads) as over:
            for a in range(0, len(base_ND), TILE_COLUMNS):
                self._tile(base_ND[a : a + TILE_COLUMNS], a, chosen_N, over)
        self.seen += len(base_ND)

    def _tile(self, tile_ND: ndarray, a: int, chosen_N: ndarray | None, over) -> None:  # noqa: ANN001
        index = np.arange(len(tile_ND))
        if chosen_N is not None:
            index = np.flatnonzero(chosen_N[a : a + len(tile_ND)])
            tile_ND = tile_ND[index]
        if len(index) == 0:
            return
        row = self.seen + a + index
        vectors = prepare("base", tile_ND, self.engine, row)
        columns = Columns.group(vectors, row, np.zeros(len(row)))

        def work(part: int) -> None:
            improve(self.best[part], self.queries[part], columns, self.engine)

        for _ in over(work, range(len(self.queries))):
            pass

    def result(self) -> tuple[Float64[ndarray, " Q"], Int64[ndarray, " Q"]]:
        """Similarity and row of each query's nearest; -inf and -1 before any row was seen."""
        if not self.best:
            return np.empty(0), np.empty(0, np.int64)
        return (
            np.concatenate([best.similarity_N for best in self.best]),
            np.concatenate([best.index_N for best in self.best]),
        )


def nearest(
    query_QD: Float[ndarray, "Q D"],
    base_ND: Float[ndarray, "N D"],
    *,
    engine: str | None = None,
    threads: int | None = None,
) -> tuple[Float64[ndarray, " Q"], Int64[ndarray, " Q"]]:
    """Each query's nearest row of the base by inner product: ``(similarity, index)``.

    s_i(D) = max over x in D of s(t_i, x) of arXiv 2310.09562. Rows are unit vectors in float16
    or float32; the base may be a memory map of any length. The similarity is the float64 dot
    product of the stored vectors, the index the lowest on ties; the same bytes for any blocks,
    threads and engine. Raises ``ValueError`` for an empty base and for rows not of unit length.
    """
    check("base", base_ND)
    if len(base_ND) == 0:
        raise ValueError("base: it has no rows, so nothing is nearest")
    search = Nearest(query_QD, engine=engine, threads=threads)
    search.update(base_ND)
    return search.result()
