"""Parts of an embedding store past the queries: what `similarity` and `gap` do with a shard.

Results are exact, so their keys in the shard cache name the vectors, the thresholds and the code,
and neither device, engine, threads nor blocks.
"""

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import numpy as np
import torch
from jaxtyping import Bool, Float16, Float64, Int64

from clipcause.config.engine import Engine
from clipcause.embed.embeddings import Embeddings, Part
from clipcause.prune.split import Split
from clipcause.runtime import shard_cache as cache
from clipcause.runtime import threads as on_threads
from clipcause.runtime.engine import shardwise
from clipcause.runtime.engine.task import Task
from clipcause.search import device, pool
from clipcause.search.neighbour import Nearest

Block = tuple[int, np.ndarray]
Arrays = dict[str, np.ndarray]

JOINED = 262_144
"""Consecutive parts are searched together until they have so many rows: every search begins
without a neighbour of any query, and the first thousands of rows cost more for that."""


@dataclass(frozen=True)
class Portion:
    """Consecutive parts of a store, and which of their rows count. Tasks count rows from 0."""

    files: tuple[Part, ...]
    identities: tuple[str, ...]
    dim: int
    kept: bytes | None = None
    """One bit a row, as ``numpy.packbits`` makes them; None where all rows count."""

    @property
    def start(self) -> int:
        """The store's row that is the first here."""
        return self.files[0].start

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(part.rows for part in self.files)

    @property
    def name(self) -> str:
        """The file, or the first and the last."""
        first, last = self.files[0].path, self.files[-1].path
        return str(first) if first == last else f"{first} to {last.name}"

    def mask(self) -> Bool[np.ndarray, " N"]:
        """Which rows count."""
        if self.kept is None:
            return np.ones(self.rows, bool)
        bits = np.frombuffer(self.kept, np.uint8)
        return np.unpackbits(bits, count=self.rows).view(bool)

    def blocks(self, rows: int) -> Iterator[tuple[int, Float16[np.ndarray, "_ D"]]]:
        """(first row, block) in order, read into fresh memory, for mapped pages count as ours.

        Raises ``ValueError`` where a file is not the one that the store's card describes.
        """
        start = filled = 0
        block_ND = np.empty((min(rows, self.rows), self.dim), np.float16)
        for part in self.files:
            left, digest = part.rows, hashlib.sha256()
            with part.path.open("rb") as stream:
                digest.update(stream.read(part.offset))
                while left:
                    piece_ND = block_ND[filled : filled + left]
                    if stream.readinto(piece_ND.data) != piece_ND.nbytes:
                        last = part.start + part.rows - 1
                        raise ValueError(f"{part.path}: ends before row {last}; embed again")
                    if part.sha256 is not None:
                        digest.update(piece_ND.view(np.uint8).data)
                    filled, left = filled + len(piece_ND), left - len(piece_ND)
                    if filled == len(block_ND):
                        yield start, block_ND
                        start, filled = start + filled, 0
                        block_ND = np.empty((min(rows, self.rows - start), self.dim), np.float16)
            if part.sha256 not in (None, digest.hexdigest()):
                raise ValueError(
                    f"{part.path}: its SHA-256 is not that of the card ({part.sha256[:12]}…): it "
                    "was changed since; embed again"
                )


def portions(store: Embeddings, chosen: Split | None = None) -> Iterator[Portion]:
    """The parts of ``store`` in their order; with ``chosen`` only the split's rows count."""
    files: list[Part] = []
    identities: list[str] = []
    for number, part in enumerate(store.files):
        files.append(part)
        identities.append(store.part_id(number))
        first, stop = files[0].start, part.start + part.rows
        if stop - first < JOINED and number + 1 < len(store.files):
            continue
        kept = None if chosen is None else np.packbits(chosen.within(first, stop)).tobytes()
        yield Portion(tuple(files), tuple(identities), store.dim, kept)
        files, identities = [], []


class Closest:
    """The nearest row of every query over parts that come in order."""

    def __init__(self, queries: int) -> None:
        self.similarity_Q = np.full(queries, -np.inf)
        self.row_Q = np.full(queries, -1, np.int64)

    def add(
        self, similarity_Q: Float64[np.ndarray, " Q"], row_Q: Int64[np.ndarray, " Q"], start: int
    ) -> None:
        """The answer of the next part, whose first row is ``start``; on ties the earlier stays."""
        better_Q = similarity_Q > self.similarity_Q
        self.similarity_Q[better_Q] = similarity_Q[better_Q]
        self.row_Q[better_Q] = start + row_Q[better_Q]


@dataclass(frozen=True)
class Scoring:
    """Task: max_sim, nearest and margin of a part's rows, and every test image's nearest row."""

    query_QD: Float16[np.ndarray, "Q D"]
    threshold_Q: Float64[np.ndarray, " Q"]
    block_rows: int
    device: str
    threads: int

    def start(self) -> None:
        """Bring the queries to their device."""
        _ = self._queries

    def __call__(self, portion: Portion, /) -> dict[str, np.ndarray]:
        """The columns of ``scores``; ``similarity`` and ``row`` (of the part) per test image."""
        scan = (
            pool.Scan(self._queries, portion.rows, self.threads)
            if isinstance(self._queries, pool.Queries)
            else device.Scan(self._queries, portion.rows)
        )
        scan.read(ahead(portion.blocks(self.block_rows)))
        similarity_Q, row_Q = scan.result()
        return {
            "max_sim": scan.max_sim_N,
            "nearest": scan.nearest_N,
            "margin": scan.margin_N,
            "similarity": similarity_Q,
            "row": row_Q,
        }

    def name(self, portion: Portion, /) -> str:
        """The part's file, or files."""
        return portion.name

    def over(
        self, store: Embeddings, where: Engine, label: str
    ) -> Iterator[tuple[Portion, dict[str, np.ndarray]]]:
        """Every part of a store with its result, in their order."""
        given = digest(self.query_QD), digest(self.threshold_Q)
        return by_portion(self, list(portions(store)), where, label, "scoring", *given)

    @cached_property
    def _queries(self) -> pool.Queries | device.Queries:
        if self.device == "cpu":
            return pool.queries(self.query_QD, self.threshold_Q)
        return device.queries(self.query_QD, self.threshold_Q, self.device)


@dataclass(frozen=True)
class Neighbours:
    """Task: the nearest of every query of some sets among the rows of a part that count."""

    sets: Mapping[str, Float16[np.ndarray, "_ D"]]
    block_rows: int
    device: str
    threads: int

    def start(self) -> None:
        """Bring the queries to their device."""
        _ = self._queries

    def __call__(self, portion: Portion, /) -> dict[str, np.ndarray]:
        """``SET/similarity`` and ``SET/row`` (of the part): -inf and -1 where no row counts."""
        searches = {
            name: device.Scan(self._queries[name], portion.rows, margins=False)
            if name in self._queries
            else Nearest(query_QD, threads=self.threads)
            for name, query_QD in self.sets.items()
        }
        mask_N = portion.mask()
        for start, block_ND in ahead(portion.blocks(self.block_rows)):
            for search in searches.values():
                search.update(block_ND, mask_N[start : start + len(block_ND)])
        found = {}
        for name, search in searches.items():
            found[f"{name}/similarity"], found[f"{name}/row"] = search.result()
        return found

    def name(self, portion: Portion, /) -> str:
        """The part's file, or files."""
        return portion.name

    def among(
        self, store: Embeddings, where: Engine, label: str, chosen: Split | None = None
    ) -> dict[str, Closest]:
        """The nearest rows of a store, or of a split of it, for every set."""
        closest = {name: Closest(len(query_QD)) for name, query_QD in self.sets.items()}
        given = [f"{name} {digest(query_QD)}" for name, query_QD in self.sets.items()]
        items = list(portions(store, chosen))
        for portion, found in by_portion(self, items, where, label, "neighbours", *given):
            for name, one in closest.items():
                one.add(found[f"{name}/similarity"], found[f"{name}/row"], portion.start)
        return closest

    @cached_property
    def _queries(self) -> dict[str, device.Queries]:
        if self.device == "cpu":
            return {}
        return {
            name: device.queries(query_QD, np.zeros(len(query_QD)), self.device)
            for name, query_QD in self.sets.items()
        }


def ahead(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same blocks; the next one is read while one is computed."""
    with ThreadPoolExecutor(1) as reader:
        # a call each, the last of which finds no block
        read = on_threads.ahead(reader, lambda _: next(blocks, None), repeat(None), 2)
        with closing(read):
            for block in read:
                if block is None:
                    return
                yield block


def threads(where: Engine) -> int:
    """Of one worker: its share of this machine, or what its Ray actor was given."""
    if where.kind == "ray":
        return max(1, int(where.cpus))
    return max(1, torch.get_num_threads() // where.workers)


def by_portion(
    task: Task[Portion, Arrays], items: list[Portion], where: Engine, label: str, *decided: str
) -> Iterator[tuple[Portion, Arrays]]:
    """Every part with its result, in their order, from the shard cache where it is kept.

    ``decided`` names what decides a result beside the part, its rows that count and the code.
    """

    def key(portion: Portion) -> str:
        kept = None if portion.kept is None else hashlib.sha256(portion.kept).hexdigest()
        return cache.key(*decided, portion.identities, kept)

    found = shardwise(task, items, key=key, store=cache.ARRAYS, where=where, label=label)
    return zip(items, found, strict=True)


def digest(values: np.ndarray) -> str:
    """The SHA-256 of an array: its type, shape and bytes."""
    whole = np.ascontiguousarray(values)
    return hashlib.sha256(f"{whole.dtype}{whole.shape}".encode() + whole.tobytes()).hexdigest()
