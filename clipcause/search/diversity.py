"""How diverse the rows of splits are: distances, effective numbers, near copies.

All splits are measured in one pass over the pool's embeddings. Memory holds a block, a sample of
rows, and D x D numbers a split.

Shapes: N pool rows, B rows of a block, M sampled rows, P pairs, D dimensions, K kinds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Float16, Float64, Int64

from clipcause.embed.store import Embeddings
from clipcause.prune.sampling import sample
from clipcause.prune.split import Split

SAMPLE = 16_384  # pool rows whose copies are looked for; a smaller pool is looked at in full
SEED = 0  # of that sample: the rows with the smallest keys, the same ones for all splits
BLOCK = 1024  # rows whose products with the sample memory holds


@dataclass(frozen=True)
class Diversity:
    """Of the rows of one split; NaN where it has too few."""

    distance: float  # mean cosine distance, 1 - s(x, y), of all pairs of different rows
    vendi: float  # the Vendi score under cosine similarity: 1 if all rows are the same, at most D
    copied: float  # share of its sampled rows that have a near copy among its other rows


@dataclass
class _Sums:
    """What is added up of a split."""

    sum_D: Float64[np.ndarray, " D"]
    moment_DD: Float64[np.ndarray, "D D"]
    copied_M: Bool[np.ndarray, " M"]
    sampled_M: Bool[np.ndarray, " M"] = field(init=False)

    def __post_init__(self) -> None:
        self.sampled_M = np.zeros_like(self.copied_M)


def measure(
    store: Embeddings, splits: Mapping[str, Split], *, threshold: float, most: int = SAMPLE
) -> dict[str, Diversity]:
    """The diversity of every split of the pool whose embeddings are ``store``.

    Two rows are near copies where their similarity is at least ``threshold``; pairs that float32
    cannot decide are decided by the exact float64 product. ``most`` pool rows are looked at.
    """
    sampled_N = sample(np.ones(len(store), bool), min(most, len(store)), SEED)
    row_M = np.flatnonzero(sampled_N)
    sample_MD = store.take(row_M)
    width, many = store.dim, len(row_M)
    sums = {
        name: _Sums(np.zeros(width), np.zeros((width, width)), np.zeros(many, bool))
        for name in splits
    }
    for start, block_BD in store.blocks(BLOCK):
        exact_BD = block_BD.astype(np.float64)
        at_P, other_P = near(sample_MD, block_BD, threshold)
        itself_P = row_M[at_P] == start + other_P
        at_P, other_P = at_P[~itself_P], other_P[~itself_P]
        inside = slice(*np.searchsorted(row_M, (start, start + len(block_BD))))
        for name, one in sums.items():
            within_B = splits[name].within(start, start + len(block_BD))
            own_BD = exact_BD[within_B]
            one.sum_D += own_BD.sum(axis=0)
            one.moment_DD += own_BD.T @ own_BD
            one.copied_M[at_P[within_B[other_P]]] = True
            one.sampled_M[inside] = within_B[row_M[inside] - start]
    return {name: _of(one, len(splits[name])) for name, one in sums.items()}


def near(
    a_MD: Float16[np.ndarray, "M D"], b_BD: Float16[np.ndarray, "B D"], threshold: float
) -> tuple[Int64[np.ndarray, " P"], Int64[np.ndarray, " P"]]:
    """The pairs of a row of each whose similarity is at least ``threshold``, by their positions."""
    doubt = a_MD.shape[1] * 2.0**-23  # more than float32 sums of products of unit vectors are off
    product_MB = a_MD.astype(np.float32) @ b_BD.astype(np.float32).T
    at_P, other_P = np.nonzero(product_MB >= threshold - doubt)
    value_P = product_MB[at_P, other_P].astype(np.float64)
    for piece in _pieces(np.flatnonzero(value_P < threshold + doubt)):
        left_PD = a_MD[at_P[piece]].astype(np.float64)
        value_P[piece] = (left_PD * b_BD[other_P[piece]]).sum(axis=1)
    is_near_P = value_P >= threshold
    return at_P[is_near_P], other_P[is_near_P]


def mean_distance(sum_D: Float64[np.ndarray, " D"], square: float, rows: int) -> float:
    """1 less the mean product of all pairs of different rows, from the sum of the rows and the sum
    of their squared lengths: the products of all pairs add up to |sum|²."""
    if rows < 2:
        return float("nan")
    return 1.0 - (float(sum_D @ sum_D) - square) / (rows * (rows - 1))


def vendi(moment_DD: Float64[np.ndarray, "D D"]) -> float:
    """The Vendi score (Friedman and Dieng, TMLR 2023) of rows under their products, from the sum of
    their outer products: its eigenvalues are those of the n x n matrix of products, beside zeros.
    """
    total = float(np.trace(moment_DD))
    if not total:
        return float("nan")
    return effective_number(np.maximum(np.linalg.eigvalsh(moment_DD / total), 0.0))


def effective_number(weight_K: Float[np.ndarray, " K"] | Int64[np.ndarray, " K"]) -> float:
    """The number of equally large kinds that are as diverse as kinds of these sizes: the
    exponential of their shares' entropy (Hill, Ecology 1973, order 1). NaN where there is none."""
    share_K = weight_K[weight_K > 0] / weight_K.sum() if weight_K.sum() else np.empty(0)
    return float(np.exp(-(share_K * np.log(share_K)).sum())) if len(share_K) else float("nan")


def _of(one: _Sums, rows: int) -> Diversity:
    square, sampled = float(np.trace(one.moment_DD)), int(one.sampled_M.sum())
    copied = int((one.copied_M & one.sampled_M).sum()) / sampled if sampled else float("nan")
    return Diversity(mean_distance(one.sum_D, square, rows), vendi(one.moment_DD), copied)


def _pieces(index_P: Int64[np.ndarray, " P"]) -> Iterator[Int64[np.ndarray, " _"]]:
    for start in range(0, len(index_P), BLOCK):
        yield index_P[start : start + BLOCK]
