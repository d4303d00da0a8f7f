"""The search on a device that torch drives (a GPU): every step there, the same bytes.

The fast pass is a float16 product with float32 accumulation. Its inputs are the stored vectors
themselves, so only accumulation and output err, by far less than on a CPU in bfloat16; pairs that
may hold a maximum, of a pool row or of a test image, go straight to float64, whose sums are exact
in any order (``vectors.dot``). Torch and not faiss: faiss returns the k best of its own rounded
values, which decides nothing between near ties and bounds no margin, while here the products stay
on the device until both questions are answered.

Bounds, after those of ``engine``, of which inputs, centring and bit patterns do not apply:

* Accumulation: a tensor core adds a block of k >= 4 products to the accumulator after aligning
  all k + 1 addends to the largest of them, truncating each and the sum to 24 bits or more: for
  each block k + 2 errors of 2^-23 of a partial sum of magnitudes, (k + 2) / k <= 1.5 for each
  product. Twice bound 2 covers that, and any order of sums.
* Output: values below 2 are rounded to nearest float16 by at most 2^-11.

With E the sum of both, a value r says that the product is in [r - E, r + E]. A row that reaches F
for certain needs no pair with r + E < F, and the same for a query. A group of columns or rows is
dropped by its largest r, a single pair by its own.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float16, Float64, Int, Int64
from numpy import ndarray

from clipcause.config.engine import Engine
from clipcause.search.decide import SLACK
from clipcause.search.engine import GROUP, accumulation
from clipcause.search.pool import distinct
from clipcause.search.vectors import NORM_TOLERANCE, check, prepare

ROWS, COLUMNS = 8192, 16_384
"""One product: 256 MiB of float16; columns are whole groups, so that only the last tile is filled
up."""

GROUPS = 65_536
"""Nominated groups looked into at once: 16 MiB of float32 products."""

PAIRS = 65_536
"""Pairs computed in float64 at once: 256 MiB at 512-d."""

NEVER = torch.iinfo(torch.int64).max


@dataclass
class Best:
    """The running answer of some vectors: value, the name of what gave it, largest margin."""

    value_N: torch.Tensor
    index_N: torch.Tensor
    margin_N: torch.Tensor

    @classmethod
    def none(cls, count: int, device: torch.device) -> "Best":
        """Before anything was seen."""
        worst = torch.full((count,), -torch.inf, dtype=torch.float64, device=device)
        index = torch.full((count,), NEVER, dtype=torch.int64, device=device)
        return cls(worst, index, worst.clone())

    def settle(self, at_P: torch.Tensor, value_P: torch.Tensor, index_P: torch.Tensor) -> None:
        """The larger value, then the lower index: maxima and minima, in any order of pairs."""
        before_P = self.value_N[at_P]
        self.value_N.scatter_reduce_(0, at_P, value_P, "amax")
        after_P = self.value_N[at_P]
        self.index_N[at_P[after_P > before_P]] = NEVER
        top_P = value_P == after_P
        self.index_N.scatter_reduce_(0, at_P[top_P], index_P[top_P], "amin")


@dataclass(frozen=True)
class Columns:
    """Queries on the device, sorted by threshold, filled up to whole groups with the last one."""

    vectors_CD: torch.Tensor
    index_C: torch.Tensor
    threshold_C: torch.Tensor
    lowest_G: torch.Tensor
    highest_G: torch.Tensor
    best: Best
    """Of the queries themselves."""


@dataclass(frozen=True)
class Queries:
    """A test set on its device."""

    vectors_CD: ndarray
    index_C: ndarray
    threshold_C: ndarray
    column_Q: ndarray
    device: torch.device

    def tiles(self) -> list[Columns]:
        """The columns, nothing seen yet."""
        return [
            _columns(
                self.vectors_CD[a : a + COLUMNS],
                self.index_C[a : a + COLUMNS],
                self.threshold_C[a : a + COLUMNS],
                self.device,
            )
            for a in range(0, len(self.index_C), COLUMNS)
        ]


def available(name: str) -> torch.device:
    """The device of that name; ``ValueError`` where the machine has none."""
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"engine.device is {name}, and torch finds no GPU here (its build: "
            f"{torch.version.cuda or 'CPU only'}); set engine.device to cpu"
        )
    return device


def here(where: Engine) -> str:
    """The device for what this process does itself: a Ray cluster's head may have no GPU.

    Raises ``ValueError`` as ``available`` does for the local engine.
    """
    if where.kind == "ray" and not torch.cuda.is_available():
        return "cpu"
    available(where.device)
    return where.device


def queries(
    query_QD: Float[ndarray, "Q D"], threshold_Q: Float64[ndarray, " Q"], device: str
) -> Queries:
    """As ``pool.queries``, for float16 vectors only: float32 ones have no exact sums."""
    if query_QD.dtype != np.float16:
        raise ValueError(f"queries: a device takes float16 vectors, got {query_QD.dtype}")
    index_C, lowest_Q, column_Q = distinct(query_QD, threshold_Q)
    prepare("queries", query_QD, "float32")  # lengths are checked
    accumulation(query_QD.shape[1])
    return Queries(query_QD[index_C], index_C, lowest_Q[index_C], column_Q, available(device))


class Scan:
    """As ``pool.Scan``; with ``margins`` False only for the queries' own neighbours."""

    def __init__(self, query: Queries, rows: int, *, margins: bool = True) -> None:
        self.query, self.margins = query, margins
        self.seen, self.tiles = 0, query.tiles()
        self.dim = query.vectors_CD.shape[1]
        kept = rows if margins else 0
        self.max_sim_N, self.nearest_N = np.empty(kept, np.float32), np.empty(kept, np.int32)
        self.margin_N = np.empty(kept, np.float32)
        slack = float(SLACK) * (1 + np.abs(query.threshold_C).max(initial=0))
        self.error = 2.0**-11 + 2 * accumulation(self.dim) + slack

    def read(self, blocks: Iterable[tuple[int, Float16[ndarray, "_ D"]]]) -> None:
        """Every block's first row, and its rows."""
        for start, block_ND in blocks:
            self.seen = start
            self.update(block_ND)

    def update(
        self, block_ND: Float16[ndarray, "N D"], chosen_N: Bool[ndarray, " N"] | None = None
    ) -> None:
        """The next rows; with ``chosen_N`` only those of them, which keep their number."""
        check("pool", block_ND, self.dim)
        index = np.arange(len(block_ND)) if chosen_N is None else np.flatnonzero(chosen_N)
        with exact_products():
            for a in range(0, len(index), ROWS):
                piece = index[a : a + ROWS]
                self._piece(block_ND[piece], self.seen + piece)
        self.seen += len(block_ND)

    def result(self) -> tuple[Float64[ndarray, " Q"], Int64[ndarray, " Q"]]:
        """Similarity and row of each query's nearest; -inf and -1 before any row was seen."""
        value = torch.cat([tile.best.value_N for tile in self.tiles]).cpu().numpy()
        row = torch.cat([tile.best.index_N for tile in self.tiles]).cpu().numpy()
        row = np.where(row == NEVER, -1, row)
        return value[self.query.column_Q], row[self.query.column_Q]

    def _piece(self, stored_ND: Float16[ndarray, "N D"], row_N: Int[ndarray, " N"]) -> None:
        device, rows = self.query.device, len(stored_ND)
        # filled up to whole groups with the last row, which changes no maximum
        filled = np.minimum(np.arange(rows + -rows % GROUP), rows - 1)
        vectors_ND = torch.from_numpy(stored_ND[filled]).to(device)
        length_N = torch.linalg.vector_norm(vectors_ND, dim=1, dtype=torch.float32)
        # a NaN compares false, so the test is for what is good
        if not bool(((length_N - 1).abs() <= NORM_TOLERANCE).all()):
            prepare("pool", stored_ND, "float32", row_N)  # says which rows
        index_N = torch.from_numpy(row_N[filled]).to(device)
        best = Best.none(len(filled), device)
        for tile in self.tiles:
            sim_NC = vectors_ND @ tile.vectors_CD.T
            if self.margins:
                for row, column in self._of_rows(sim_NC, best, tile):
                    value = self._values(sim_NC, vectors_ND, tile, row, column)
                    best.settle(row, value, tile.index_C[column])
                    margin = value - tile.threshold_C[column]
                    best.margin_N.scatter_reduce_(0, row, margin, "amax")
            for row, column in self._of_queries(sim_NC, tile):
                value = self._values(sim_NC, vectors_ND, tile, row, column)
                tile.best.settle(column, value, index_N[row])
        if self.margins:
            self.max_sim_N[row_N] = best.value_N[:rows].cpu().numpy()
            self.nearest_N[row_N] = best.index_N[:rows].cpu().numpy()
            self.margin_N[row_N] = best.margin_N[:rows].cpu().numpy()

    def _of_rows(
        self, sim_NC: torch.Tensor, best: Best, tile: Columns
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(row, column) pairs that may be a row's largest similarity or margin."""
        grouped_NGC = sim_NC.view(len(sim_NC), -1, GROUP)
        table_NG = grouped_NGC.amax(2).double()
        need_N = torch.maximum(best.value_N, table_NG.amax(1) - self.error) - self.error
        reached_N = (table_NG - tile.highest_G).amax(1) - self.error
        margin_N = torch.maximum(best.margin_N, reached_N) - self.error
        near_NG = table_NG >= need_N[:, None]
        near_NG |= table_NG - tile.lowest_G >= margin_N[:, None]
        for row, group in _pieces(near_NG):
            sim_PC = grouped_NGC[row, group].double()
            threshold_PC = tile.threshold_C.view(-1, GROUP)[group]
            near_PC = sim_PC >= need_N[row, None]
            near_PC |= sim_PC - threshold_PC >= margin_N[row, None]
            yield from _pairs(near_PC, row, group * GROUP)

    def _of_queries(
        self, sim_NC: torch.Tensor, tile: Columns
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(row, column) pairs that may be a column's largest similarity."""
        grouped_GNC = sim_NC.view(-1, GROUP, sim_NC.shape[1])
        table_CG = grouped_GNC.amax(1).double().T
        need_C = torch.maximum(tile.best.value_N, table_CG.amax(1) - self.error) - self.error
        for column, group in _pieces(table_CG >= need_C[:, None]):
            near_PN = grouped_GNC[group, :, column].double() >= need_C[column, None]
            for at, row in _pairs(near_PN, column, group * GROUP):
                yield row, at

    def _values(
        self,
        sim_NC: torch.Tensor,
        vectors_ND: torch.Tensor,
        tile: Columns,
        row_P: torch.Tensor,
        column_P: torch.Tensor,
    ) -> torch.Tensor:
        """The float64 products that are written."""
        # products of float16 numbers are exact in float32, their sums in float64
        left_PD, right_PD = vectors_ND[row_P].float(), tile.vectors_CD[column_P].float()
        value_P = left_PD.mul_(right_PD).double().sum(1)
        excess = float((value_P - sim_NC[row_P, column_P].double()).abs().amax()) - self.error
        if excess > 0:
            raise RuntimeError(f"the device broke its error bound by {excess:.3g}")
        return value_P


def _columns(
    vectors_CD: ndarray, index_C: ndarray, threshold_C: ndarray, device: torch.device
) -> Columns:
    count = len(index_C)
    filled = np.minimum(np.arange(count + -count % GROUP), count - 1)
    grouped_GC = threshold_C[filled].reshape(-1, GROUP)

    def there(given: ndarray) -> torch.Tensor:
        return torch.from_numpy(given).to(device)

    return Columns(
        there(vectors_CD[filled]),
        there(index_C[filled]),
        there(threshold_C[filled]),
        there(grouped_GC.min(1)),
        there(grouped_GC.max(1)),
        Best.none(len(filled), device),
    )


def _pieces(near_AG: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """What is true, ``GROUPS`` at once."""
    at, group = near_AG.nonzero(as_tuple=True)
    for a in range(0, len(at), GROUPS):
        yield at[a : a + GROUPS], group[a : a + GROUPS]


def _pairs(
    near_PM: torch.Tensor, at_P: torch.Tensor, first_P: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """What is true within groups: whose it is, and which member, ``PAIRS`` at once."""
    pair, member = near_PM.nonzero(as_tuple=True)
    for a in range(0, len(pair), PAIRS):
        piece = pair[a : a + PAIRS]
        yield at_P[piece], first_P[piece] + member[a : a + PAIRS]


@contextmanager
def exact_products() -> Generator[None]:
    """Float32 accumulation: neither float16 sums nor sums that are reduced in float16."""
    backend = torch.backends.cuda.matmul
    names = ["allow_fp16_reduced_precision_reduction", "allow_fp16_accumulation", "allow_tf32"]
    before = {name: getattr(backend, name) for name in names if hasattr(backend, name)}
    try:
        for name in before:
            setattr(backend, name, False)
        yield
    finally:
        for name, value in before.items():
            setattr(backend, name, value)
