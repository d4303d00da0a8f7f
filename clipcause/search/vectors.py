"""Unit vectors as the search sees them: as stored, in float32, and rounded for the fast pass."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int
from numpy import ndarray

NORM_TOLERANCE = 2e-3

_ROWS = 512  # rounding errors are measured in pieces that stay in the cache


@dataclass(frozen=True)
class Vectors:
    """Rows of unit length in the three precisions that the search works in."""

    stored_ND: ndarray
    """float16 or float32, as given: what every written value is computed from."""
    single_ND: torch.Tensor
    """float32; for stored float16 the same numbers."""
    fast_ND: torch.Tensor
    """The engine's input: bfloat16, or ``single_ND`` itself."""
    error_N: Float32[ndarray, " N"]
    """At least the norm of ``single_ND - fast_ND`` (less the centre, where there is one)."""
    along_N: Float32[ndarray, " N"] | None = None
    """Products with the centre of the columns that these rows meet, by float32."""

    def __len__(self) -> int:
        return len(self.stored_ND)


def check(name: str, given: ndarray, dim: int | None = None) -> None:
    """Shape and type of one input; ``ValueError`` names it."""
    if given.ndim != 2:
        raise ValueError(f"{name}: expected rows of vectors (2 axes), got shape {given.shape}")
    if given.dtype not in (np.float16, np.float32):
        raise ValueError(f"{name}: expected float16 or float32, got {given.dtype}")
    if dim is not None and given.shape[1] != dim:
        raise ValueError(f"{name}: {given.shape[1]} dimensions where the others have {dim}")


def prepare(
    name: str,
    stored_ND: Float[ndarray, "N D"],
    engine: str,
    row_N: int | Int[ndarray, " N"] = 0,
    centre_D: torch.Tensor | None = None,
    along_N: Float32[ndarray, " N"] | None = None,
) -> Vectors:
    """Convert and validate; ``row_N`` are the rows' numbers for errors, or the first one's.

    With ``centre_D`` the engine's input is the vector less the centre. ``along_N`` is passed on.

    Raises ``ValueError`` where a row is not finite or not of unit length (within 2e-3).
    """
    # a copy in private memory: the source may be a mapped file that is far larger than memory
    stored_ND = np.array(stored_ND, order="C")
    single_ND = torch.from_numpy(stored_ND).float()
    norm_N = torch.linalg.vector_norm(single_ND, dim=1).numpy()
    # a NaN compares false, so the test is for what is good
    bad = np.flatnonzero(~(np.abs(norm_N - 1) <= NORM_TOLERANCE))
    if len(bad):
        number_N = row_N + np.arange(len(norm_N)) if isinstance(row_N, int) else row_N
        first = bad[np.argmin(number_N[bad])]
        what = (
            "is not finite" if not np.isfinite(norm_N[first]) else f"has norm {norm_N[first]:.4g}"
        )
        raise ValueError(
            f"{name}: row {number_N[first]} {what}; {len(bad)} of the {len(norm_N)} rows that were "
            f"read from {number_N.min()} to {number_N.max()} are not unit vectors; normalise the "
            "embeddings (float32, then float16)"
        )
    if engine == "float32":
        error_N = np.zeros(len(stored_ND), np.float32)
        return Vectors(stored_ND, single_ND, single_ND, error_N, along_N)
    fast_ND = torch.empty(single_ND.shape, dtype=torch.bfloat16)
    error_N = torch.empty(len(single_ND))
    for a in range(0, len(single_ND), _ROWS):
        piece, rounded = single_ND[a : a + _ROWS], fast_ND[a : a + _ROWS]
        if centre_D is not None:
            piece = piece - centre_D
        rounded.copy_(piece)
        torch.linalg.vector_norm(rounded.float().sub_(piece), dim=1, out=error_N[a : a + _ROWS])
    # more than the rounding of the norm (engine.DIMENSIONS) and that of the centring
    error_N.mul_(1.001).add_(1e-6)
    return Vectors(stored_ND, single_ND, fast_ND, error_N.numpy(), along_N)


def dot(
    x: Vectors, row_P: Int[ndarray, " P"], y: Vectors, col_P: Int[ndarray, " P"]
) -> Float64[ndarray, " P"]:
    """Float64 dot products of the stored vectors, pair by pair: the values that are written.

    Stored float16: products of two 11-bit significands are exact in float32, they are multiples
    of 2^-48, and partial sums over unit vectors stay below 2, so 50 bits hold every partial sum
    and no order of summation rounds. Float32 inputs are summed by NumPy along the row, an order
    that depends on the dimension only.
    """
    value_P = np.empty(len(row_P))
    exact = x.stored_ND.dtype == np.float16 and y.stored_ND.dtype == np.float16
    for a in range(0, len(row_P), _ROWS):
        piece = slice(a, a + _ROWS)
        row, col = torch.from_numpy(row_P[piece]), torch.from_numpy(col_P[piece])
        left, right = x.single_ND.index_select(0, row), y.single_ND.index_select(0, col)
        if exact:
            value_P[piece] = left.mul_(right).double().sum(1).numpy()
        else:
            value_P[piece] = np.multiply(left.numpy(), right.numpy(), dtype=np.float64).sum(1)
    return value_P


def double(
    name: str, stored_ND: Float[ndarray, "N D"], row_N: int | Int[ndarray, " N"] = 0
) -> torch.Tensor:
    """The rows in float64, for products that are the same bytes by any library and in any order.

    They are exact for the reason that ``dot`` gives: a float64 product of two matrices of stored
    float16 unit vectors rounds nowhere. Raises ``ValueError`` as ``prepare`` does, and for float32.
    """
    if stored_ND.dtype != np.float16:
        raise ValueError(f"{name}: expected float16, got {stored_ND.dtype}")
    return prepare(name, stored_ND, "float32", row_N).single_ND.double()
