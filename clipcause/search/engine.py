"""The fast pass: matrix products in bfloat16 or float32, reduced to one maximum per group.

It only nominates. How far its numbers can be from the truth is proved here, and ``decide``
turns them into values that do not depend on it.

Bounds
------
x, y are stored unit vectors (norms within 2e-3 of 1), x', y' the engine's inputs, v = x'.y' in
exact arithmetic, r the engine's result.

0. Centring: embeddings of one encoder share a large mean c. x.y = x.c + x.(y - c), and x.c is
   the same for all columns of a row, so the engine sees y - c, which is shorter: every error of
   its product shrinks with it (and doubles at worst, where y is -c). x.c is added in float32 and
   has an error of its own, by bound 2. Below, where there is a centre, y stands for y - c.
1. Inputs: |x.y - v| = |(x - x').y' + x.(y - y')| <= |x - x'| |y'| + |x| |y - y'|. The norms of
   the differences and the largest |y'|, L, are measured; |x| <= 1.003.
2. Accumulation of a product a.b in float32, any order, fused or not, even truncating: at most
   g sum |a_i b_i| <= g |a| |b|, with g = D u / (1 - D u) and u = 2^-23 (twice the rounding unit).
   A stored vector and c are no longer than 1.003, and x' than 1.007, so with A = 1.02 g
   (``accumulation``) that is at most A L for v, and A for x.c and for a float32 x.y.
3. Output: a float32 v rounded to nearest bfloat16 moves by at most half a unit in the last place
   of r, 2^(e-8) where 2^e <= |r|. Nothing for the float32 engine.
4. bfloat16 maxima are taken on the bit patterns as int16, which order all values >= 0 rightly
   and above all negative ones. A negative result therefore says no more than "all of the group
   is negative" and is read as the upper bound 0.
"""

import os
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int
from numpy import ndarray

from clipcause.runtime.threads import ahead
from clipcause.search.vectors import Vectors

ENGINES = ("bfloat16", "float32")
GROUP = 64
TILE_ROWS, TILE_COLUMNS = 1024, 4096
"""One product: 8 MiB of bfloat16, which the group maxima read back out of the cache."""

GATHER = 512
"""Rows gathered for one product: 1 MiB at 512-d, which stays in the cache."""

DIMENSIONS = 8192
"""At most: then g < 0.001, and a norm measured in float32 is right to one part in a thousand."""

Also = Callable[[torch.Tensor, int, int], None] | None
"""What else looks at products, (columns, rows): it is told their first column and row."""

_mkldnn: Any = torch.backends.mkldnn  # a class in the place of a module, so without types
_scratch = threading.local()


def choose(engine: str | None = None) -> str:
    """The engine to use: the one asked for, ``CLIPCAUSE_ENGINE``, or the CPU's faster one.

    Results do not depend on it. Without bfloat16 instructions that product is emulated and
    slower than float32.
    """
    engine = engine or os.environ.get("CLIPCAUSE_ENGINE") or "auto"
    if engine == "auto":
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
        return "bfloat16" if supported() else "float32"
    if engine not in ENGINES:
        raise ValueError(f"search engine {engine!r}: valid are auto, {', '.join(ENGINES)}")
    return engine


@contextmanager
def workers(threads: int | None) -> Generator[Callable[..., Iterator[Any]]]:
    """A ``map`` over ``threads`` Python threads (default: torch's), each computing on one core.

    Threads that own whole blocks need no barrier after every product, and NumPy's and torch's
    pools do not fight. Results come in order; no more than a few are ever in flight.

    Meanwhile float32 products are float32: ``torch.set_float32_matmul_precision`` lets oneDNN
    round their inputs to bfloat16, which the bounds do not cover. Both settings are given back.
    """
    before, precision = torch.get_num_threads(), _mkldnn.matmul.fp32_precision
    threads = threads or before
    if threads < 1:
        raise ValueError(f"threads: expected at least 1, got {threads}")
    try:
        torch.set_num_threads(1)
        _mkldnn.matmul.fp32_precision = "ieee"
        if threads == 1:
            yield map
            return
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield lambda work, items: ahead(pool, work, items, threads + 1)
    finally:
        _mkldnn.matmul.fp32_precision = precision
        torch.set_num_threads(before)


@cache
def _onednn() -> Callable[..., torch.Tensor] | None:
    """oneDNN's float32 product, which uses AVX-512 on every maker's CPU; MKL's does not on AMD."""
    try:
        product = torch.ops.mkldnn._linear_pointwise
        probe = torch.randn(64, 96, generator=torch.Generator().manual_seed(0))
        got = product(probe, probe, None, "none", [], "")
        good = (got.double() - probe.double() @ probe.double().T).abs().max() < 1e-4
    except (AttributeError, RuntimeError, TypeError):
        return None
    return product if good else None


def product(left_MD: torch.Tensor, right_ND: torch.Tensor) -> torch.Tensor:
    """``left_MD @ right_ND.T`` in float32."""
    fused = _onednn()
    if fused is None:
        return torch.mm(left_MD, right_ND.T)
    return fused(left_MD, right_ND, None, "none", [], "")


def products(
    rows: Vectors, columns: Vectors, row_P: Int[ndarray, " P"], group_P: Int[ndarray, " P"]
) -> Iterator[tuple[slice, int, torch.Tensor]]:
    """Float32 products of rows with groups of columns, for pairs sorted by group.

    Yields which pairs, their group, and the products, (pairs, 64), which the caller may change.
    """
    row = torch.from_numpy(row_P)
    gathered_PD = torch.zeros(GATHER, rows.single_ND.shape[1])
    bounds = np.flatnonzero(np.diff(group_P, prepend=-1, append=-1)).tolist()
    for start, stop in pairwise(bounds):
        g = int(group_P[start])
        group_CD = columns.single_ND[g * GROUP : (g + 1) * GROUP]
        for a in range(start, stop, GATHER):
            piece = slice(a, min(a + GATHER, stop))
            n = piece.stop - a
            torch.index_select(rows.single_ND, 0, row[piece], out=gathered_PD[:n])
            # oneDNN compiles code for every new shape: rows are filled up to a multiple of 64
            yield piece, g, product(gathered_PD[: -(-n // 64) * 64], group_CD)[:n]


def accumulation(dim: int) -> float:
    """Bound 2: A, what summing ``dim`` products can move, for lengths whose product is <= 1.02."""
    if dim > DIMENSIONS:
        raise ValueError(f"vectors of {dim} dimensions: the search takes at most {DIMENSIONS}")
    lost = dim * 2.0**-23
    return 1.02 * lost / (1 - lost) + 1e-30


def half_ulp(top_N: Float32[ndarray, " N"], engine: str) -> Float32[ndarray, " N"]:
    """Bound 3 for results in [0, ``top_N``]."""
    if engine == "float32":
        return np.zeros_like(top_N)
    power = (np.maximum(top_N, 2.0**-60).view(np.uint32) & np.uint32(0x7F800000)).view(np.float32)
    return power * np.float32(2.0**-8)


def group_maxima(
    row_ND: torch.Tensor, column_CD: torch.Tensor, engine: str, also: Also = None
) -> Float32[ndarray, "G N"]:
    """Per row and group of ``GROUP`` consecutive columns, the maximum of the fast products.

    The number of columns is a multiple of ``GROUP``. With the bounds above, every product of the
    group is at most this value (bfloat16: or 0) plus input, accumulation and output errors.
    ``also`` is shown every product while it is in the cache.
    """
    table_GN = torch.empty(len(column_CD) // GROUP, len(row_ND))
    tile = TILE_ROWS if engine == "bfloat16" else TILE_ROWS // 2
    for c in range(0, len(column_CD), TILE_COLUMNS):
        part_CD = column_CD[c : c + TILE_COLUMNS]
        groups = len(part_CD) // GROUP
        part_GN = table_GN[c // GROUP : c // GROUP + groups]
        for a in range(0, len(row_ND), tile):
            piece_ND = row_ND[a : a + tile]
            n = len(piece_ND)
            if engine == "float32":
                sim_CN = product(part_CD, piece_ND)
                part_GN[:, a : a + n] = sim_CN.view(groups, GROUP, n).amax(1)
            else:
                sim_CN = _buffer(len(part_CD) * n).view(len(part_CD), n)
                torch.mm(part_CD, piece_ND.T, out=sim_CN)
                bits_GN = sim_CN.view(torch.int16).view(groups, GROUP, n).amax(1)
                part_GN[:, a : a + n] = bits_GN.view(torch.bfloat16)
            if also is not None:
                also(sim_CN, c, a)
    if engine == "bfloat16":
        table_GN.clamp_(min=0)  # bound 4
    return table_GN.numpy()


def _buffer(size: int) -> torch.Tensor:
    """This thread's bfloat16 scratch memory: a fresh 8 MiB per product costs page faults."""
    held = getattr(_scratch, "sim", None)
    if held is None or len(held) < size:
        held = _scratch.sim = torch.empty(size, dtype=torch.bfloat16)
    return held[:size]
