"""From nominated groups to exact maxima.

The fast pass says, per row and group of columns, what the largest product can be at most
(``engine``). Here groups that cannot hold a maximum are dropped, the others are computed in
float32, columns that still can are computed in float64, and those values decide; among equal
ones the lowest index. Only the last step writes values, so they depend on nothing before it.

Nothing is lost: let B be a row's best value among pairs already seen, known in float32 to
within e (``accumulation``). A pair that beats or equals the row's maximum has a product >= B - e,
so its group's bound is >= B - e, and its own float32 product >= B - 2e. The same holds for
``s - t`` with B - t in place of B, since the bound of ``max (s_j - t_j)`` over a group is the
bound of ``max s_j`` less the group's lowest threshold; columns are sorted by threshold, so that
one maximum serves both questions.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int
from numpy import ndarray

from clipcause.search.engine import GROUP, Also, accumulation, group_maxima, half_ulp, products
from clipcause.search.vectors import Vectors, dot

PAIRS = 32_768
"""Nominated (row, group) pairs computed at once: 8 MiB of float32 products."""

CANDIDATES = 262_144
"""(row, column) pairs held before they are decided."""

SLACK = np.float32(2e-6)
"""More than the rounding of the bounds' own float32 arithmetic, for values below 8."""


@dataclass(frozen=True)
class Columns:
    """Columns in groups of 64, padded by repeating the last one."""

    vectors: Vectors
    index_C: Int[ndarray, " C"]
    """What a column is called in the answer."""
    threshold_C: Float64[ndarray, " C"]
    error_G: Float32[ndarray, " G"]
    lowest_G: Float32[ndarray, " G"]
    highest_G: Float32[ndarray, " G"]
    length: np.float32
    """At least the norm of every vector that the engine sees."""
    centre_D: torch.Tensor | None

    @classmethod
    def group(
        cls,
        vectors: Vectors,
        index_C: Int[ndarray, " C"],
        threshold_C: Float64[ndarray, " C"],
        centre_D: torch.Tensor | None = None,
    ) -> "Columns":
        """Take columns in the order given, which is best that of their thresholds.

        ``centre_D`` is what ``vectors`` were prepared with.
        """
        # as the engine sees them; 1.003 is the longest unit vector that is let in, rounded up
        length = 1.003 if centre_D is None else _longest(vectors)
        lacking = -len(vectors) % GROUP
        if lacking:
            vectors = Vectors(
                np.concatenate([vectors.stored_ND, vectors.stored_ND[-1:].repeat(lacking, 0)]),
                _repeat(vectors.single_ND, lacking),
                _repeat(vectors.fast_ND, lacking),
                np.pad(vectors.error_N, (0, lacking), mode="edge"),
            )
            index_C = np.pad(index_C, (0, lacking), mode="edge")
            threshold_C = np.pad(threshold_C, (0, lacking), mode="edge")
        grouped_GC = threshold_C.astype(np.float32).reshape(-1, GROUP)
        return cls(
            vectors,
            index_C,
            threshold_C,
            vectors.error_N.reshape(-1, GROUP).max(1),
            np.nextafter(grouped_GC.min(1), np.float32(-np.inf)),
            np.nextafter(grouped_GC.max(1), np.float32(np.inf)),
            np.float32(length + 2.0**-8),
            centre_D,
        )


@dataclass
class Best:
    """Running answer per row: the largest similarity with its column, the largest margin."""

    similarity_N: Float64[ndarray, " N"]
    index_N: Int[ndarray, " N"]
    margin_N: Float64[ndarray, " N"] | None

    @classmethod
    def none(cls, rows: int, *, margin: bool) -> "Best":
        """Before any column was seen."""
        worst = np.full(rows, -np.inf)
        return cls(worst, np.full(rows, -1, np.int64), worst.copy() if margin else None)

    def settle(
        self,
        row_P: Int[ndarray, " P"],
        value_P: Float64[ndarray, " P"],
        index_P: Int[ndarray, " P"],
    ) -> None:
        """Take pairs of row and column into account: the larger value, then the lower index."""
        order = np.lexsort((index_P, -value_P, row_P))
        first = order[np.flatnonzero(np.diff(row_P[order], prepend=-1))]
        at = row_P[first]
        better = (value_P[first] > self.similarity_N[at]) | (
            (value_P[first] == self.similarity_N[at]) & (index_P[first] < self.index_N[at])
        )
        first, at = first[better], at[better]
        self.similarity_N[at], self.index_N[at] = value_P[first], index_P[first]


def improve(best: Best, rows: Vectors, columns: Columns, engine: str, also: Also = None) -> None:
    """Let every row of ``best`` see ``columns``, in place; ``also`` sees the products."""
    if len(rows):
        _Improvement(best, rows, columns, engine, also).run()


class _Improvement:
    """One call of ``improve``: its bounds, its float32 floors and its undecided candidates."""

    def __init__(
        self, best: Best, rows: Vectors, columns: Columns, engine: str, also: Also = None
    ) -> None:
        self.best, self.rows, self.columns = best, rows, columns
        self.table_GN = group_maxima(rows.fast_ND, columns.vectors.fast_ND, engine, also)
        slack = SLACK * np.float32(1 + np.abs(columns.threshold_C).max(initial=0))
        sum_error = np.float32(accumulation(rows.single_ND.shape[1]))
        # e of the module's text, for a similarity and for a margin alike
        self.single = sum_error + slack
        # inputs, accumulation and output: bounds 1 to 3 of the engine
        self.row_error_N = columns.length * (rows.error_N + sum_error) + slack
        self.row_error_N += half_ulp(np.maximum(self.table_GN.max(0), 0), engine)
        # from here on the table is a bound but for the row's own error
        self.table_GN += np.float32(1.01) * columns.error_G[:, None]
        if columns.centre_D is not None:
            along_N = rows.along_N
            if along_N is None:
                along_N = torch.mv(rows.single_ND, columns.centre_D).numpy()
            self.table_GN += along_N
            self.row_error_N += self.single  # x.c has an error of its own
        # what float32 already knows to be reached, per row, to within `single`
        self.floor_N = best.similarity_N.astype(np.float32)
        self.margin_floor_N = None if best.margin_N is None else best.margin_N.astype(np.float32)
        self.threshold_GC = torch.from_numpy(
            columns.threshold_C.astype(np.float32).reshape(-1, GROUP)
        )
        self.waiting: list[tuple[ndarray, ...]] = []
        self.count = 0

    def run(self) -> None:
        # the likeliest groups first: their products raise the floors before the rest is nominated
        done_GN = self._likeliest()
        self._compute(done_GN)
        nominated_GN = self._nominated()
        nominated_GN &= ~done_GN
        self._compute(nominated_GN)
        self._decide()

    def _likeliest(self) -> ndarray:
        chosen_GN = np.zeros(self.table_GN.shape, bool)
        everyone = np.arange(len(self.rows))
        chosen_GN[_argmax(self.table_GN), everyone] = True
        if self.margin_floor_N is not None:
            middle_G = (self.columns.lowest_G + self.columns.highest_G) / 2
            chosen_GN[_argmax(self.table_GN - middle_G[:, None]), everyone] = True
        if np.isfinite(self.floor_N).any():
            chosen_GN &= self._nominated()
        return chosen_GN

    def _nominated(self) -> ndarray:
        """Groups that may still hold a row's maximum."""
        nominated_GN = self.table_GN >= self.floor_N - self.single - self.row_error_N
        if self.margin_floor_N is not None:
            need_N = self.margin_floor_N - self.single - self.row_error_N
            nominated_GN |= self.table_GN - self.columns.lowest_G[:, None] >= need_N
        return nominated_GN

    def _compute(self, chosen_GN: ndarray) -> None:
        """Float32 products of the chosen (row, group) pairs, in bounded pieces."""
        rows = len(self.rows)
        flat = np.flatnonzero(chosen_GN)
        for a in range(0, len(flat), PAIRS):
            group_P, row_P = np.divmod(flat[a : a + PAIRS], rows)
            self._pairs(group_P, row_P)

    def _pairs(self, group_P: ndarray, row_P: ndarray) -> None:
        sim_PC = torch.empty(len(row_P), GROUP)
        top_P, margin_P = torch.empty(len(row_P)), torch.empty(len(row_P))
        for piece, g, sim_C in products(self.rows, self.columns.vectors, row_P, group_P):
            sim_PC[piece] = sim_C
            torch.amax(sim_C, 1, out=top_P[piece])
            if self.margin_floor_N is not None:
                torch.amax(sim_C.sub_(self.threshold_GC[g]), 1, out=margin_P[piece])
        top = top_P.numpy()
        # the table bounds the true product, from which the float32 one may differ by e
        excess = top - self.single - self.table_GN[group_P, row_P] - self.row_error_N[row_P]
        if excess.max() > 0:
            raise RuntimeError(f"the fast pass broke its error bound by {excess.max():.3g}")
        np.maximum.at(self.floor_N, row_P, top)
        keep_P = top >= self.floor_N[row_P] - 2 * self.single
        if self.margin_floor_N is not None:
            np.maximum.at(self.margin_floor_N, row_P, margin_P.numpy())
            keep_P |= margin_P.numpy() >= self.margin_floor_N[row_P] - 2 * self.single
        self._collect(group_P[keep_P], row_P[keep_P], sim_PC[torch.from_numpy(keep_P)])

    def _collect(self, group_P: ndarray, row_P: ndarray, sim_PC: torch.Tensor) -> None:
        """Hold the columns that may still be a maximum; decide when there are many."""
        step = CANDIDATES // GROUP
        for a in range(0, len(row_P), step):
            row, sim = row_P[a : a + step], sim_PC[a : a + step]
            margin = sim - self.threshold_GC[torch.from_numpy(group_P[a : a + step])]
            good = sim >= torch.from_numpy(self.floor_N[row] - 2 * self.single)[:, None]
            if self.margin_floor_N is not None:
                floor = torch.from_numpy(self.margin_floor_N[row] - 2 * self.single)
                good |= margin >= floor[:, None]
            pair, within = (part.numpy() for part in good.nonzero(as_tuple=True))
            column = group_P[a : a + step][pair] * GROUP + within
            self.waiting.append((row[pair], column, sim[good].numpy(), margin[good].numpy()))
            self.count += len(pair)
            if self.count > CANDIDATES:
                self._decide()

    def _decide(self) -> None:
        """Float64 for what float32 could not tell apart."""
        if not self.waiting:
            return
        row, column, sim, margin = (
            np.concatenate(part) for part in zip(*self.waiting, strict=True)
        )
        self.waiting, self.count = [], 0
        good = sim >= self.floor_N[row] - 2 * self.single
        if self.margin_floor_N is not None:
            good |= margin >= self.margin_floor_N[row] - 2 * self.single
        row, column, sim = row[good], column[good], sim[good]
        if len(row) > 8 * len(self.rows):
            row, column, sim = self._distinct(row, column, sim)
        value = dot(self.rows, row, self.columns.vectors, column)
        if len(value) and np.abs(value - sim).max() > self.single:
            raise RuntimeError("a float32 product broke its error bound")
        self.best.settle(row, value, self.columns.index_C[column])
        if self.best.margin_N is not None:
            np.maximum.at(self.best.margin_N, row, value - self.columns.threshold_C[column])

    def _distinct(self, row: ndarray, column: ndarray, sim: ndarray) -> tuple[ndarray, ...]:
        """Many ties are copies: keep one of each row's columns that are equal in all respects."""
        seen: dict[tuple[bytes, float], int] = {}
        first_C = np.arange(len(self.columns.index_C))
        # in order of index, so that the copy that stays is the one that a tie would choose
        for c in np.argsort(self.columns.index_C, kind="stable").tolist():
            key = (self.columns.vectors.stored_ND[c].tobytes(), float(self.columns.threshold_C[c]))
            first_C[c] = seen.setdefault(key, c)
        _, once = np.unique(row * len(first_C) + first_C[column], return_index=True)
        return row[once], first_C[column[once]], sim[once]


def _argmax(table_GN: Float32[ndarray, "G N"]) -> Int[ndarray, " N"]:
    """Along the first axis, by whole rows (NumPy's own walks down columns)."""
    top_N = table_GN.max(0)
    at_N = np.zeros(len(top_N), np.int64)
    for g in range(len(table_GN) - 1, -1, -1):
        at_N[table_GN[g] == top_N] = g
    return at_N


def _longest(vectors: Vectors) -> float:
    norm_N = torch.linalg.vector_norm(vectors.fast_ND, dim=1, dtype=torch.float32)
    return float(norm_N.max()) * 1.001


def _repeat(given: torch.Tensor, times: int) -> torch.Tensor:
    return torch.cat([given, given[-1:].expand(times, -1)])
