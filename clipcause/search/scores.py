"""Scores: how similar every pool row is to a test set, and every test image to reference and pool.

``similarity/<encoder>/<reference>/<test>/`` holds ``pool.parquet`` (row-aligned with the pool's
manifest), ``test.parquet`` (row-aligned with the test's) and ``card.json``: the fingerprint of the
encoder, the SHA-256 of the manifests of pool, reference and test, and the numbers of rows.

Shapes: N pool rows, Q test images.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, Float64, Int32, Int64

from clipcause.config import unknown
from clipcause.runtime import atomic

POOL = "pool.parquet"
TEST = "test.parquet"
CARD = "card.json"
POOL_SCHEMA = pa.schema(
    [("max_sim", pa.float32()), ("nearest", pa.int32()), ("margin", pa.float32())]
)
TEST_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("reference_sim", pa.float64()),
        ("reference_row", pa.int64()),
        ("pool_sim", pa.float64()),
        ("pool_row", pa.int64()),
    ]
)
SOURCES = ("encoder", "pool", "reference", "test")


@dataclass(frozen=True)
class PoolScores:
    """Per pool row: the similarity to the nearest test image, that image's row, and the hull
    margin, the largest (similarity to a test image - that image's threshold)."""

    max_sim: Float32[np.ndarray, " N"]
    nearest: Int32[np.ndarray, " N"]
    margin: Float32[np.ndarray, " N"]


@dataclass(frozen=True)
class TestScores:
    """Per test image: its row, and similarity and row of its nearest reference and pool image."""

    __test__ = False  # not a test case, whatever its name suggests to pytest

    row: Int64[np.ndarray, " Q"]
    reference_sim: Float64[np.ndarray, " Q"]
    reference_row: Int64[np.ndarray, " Q"]
    pool_sim: Float64[np.ndarray, " Q"]
    pool_row: Int64[np.ndarray, " Q"]


class StoredPool:
    """The columns of ``PoolScores`` on disk: each is read, and checked, when it is asked for."""

    def __init__(self, path: Path, tests: int) -> None:
        self._path, self._tests = path, tests
        self._rows = atomic.open_parquet(path).metadata.num_rows

    def __len__(self) -> int:
        return self._rows

    @cached_property
    def max_sim(self) -> Float32[np.ndarray, " N"]:
        """As in ``PoolScores``."""
        return self.column("max_sim")

    @cached_property
    def nearest(self) -> Int32[np.ndarray, " N"]:
        """As in ``PoolScores``."""
        return self.column("nearest")

    @cached_property
    def margin(self) -> Float32[np.ndarray, " N"]:
        """As in ``PoolScores``."""
        return self.column("margin")

    def column(self, name: str) -> np.ndarray:
        """One column whole: 4 bytes a row."""
        values = np.empty(self._rows, POOL_SCHEMA.field(name).type.to_pandas_dtype())
        for start, block in self.blocks([name]):
            values[start : start + len(block[name])] = block[name]
        return values

    def blocks(
        self, columns: Sequence[str], rows: int = atomic.ROW_GROUP
    ) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """(first row, columns by name) in order, at most ``rows`` rows at once.

        Raises ``ValueError`` for a column that does not exist and for values that cannot be.
        """
        for name in columns:
            if name not in POOL_SCHEMA.names:
                raise unknown("column", name, POOL_SCHEMA.names, str(self._path))
        file, start = atomic.open_parquet(self._path), 0
        for batch in file.iter_batches(rows, columns=list(columns)):
            block = {name: batch.column(name).to_numpy() for name in columns}
            _check_pool(self._path, block, start, self._tests)
            yield start, block
            start += batch.num_rows


@dataclass(frozen=True)
class Scores:
    """The scores of one test set."""

    folder: Path
    pool: StoredPool
    test: TestScores
    card: Mapping[str, Any]

    def pool_blocks(
        self, columns: Sequence[str], rows: int = atomic.ROW_GROUP
    ) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Columns of ``pool`` in blocks; see ``StoredPool.blocks``."""
        return self.pool.blocks(columns, rows)


class Writer:
    """Scores being written: pool rows piece by piece in their order, then the test images."""

    def __init__(self, folder: Path, out: Path, card: Mapping[str, str], tests: int) -> None:
        self._folder, self._out, self._card, self._tests = folder, out, dict(card), tests
        self._file = pq.ParquetWriter(out / POOL, POOL_SCHEMA, compression="zstd")
        self._waiting: list[pa.Table] = []
        self._rows = self._held = 0

    def add(self, pool: PoolScores) -> None:
        """The next rows of the pool. Raises ``ValueError`` for values that cannot be."""
        columns = {name: getattr(pool, name) for name in POOL_SCHEMA.names}
        _check_pool(self._folder / POOL, columns, self._rows, self._tests)
        self._waiting.append(pa.table(columns, schema=POOL_SCHEMA))
        self._rows, self._held = self._rows + len(pool.margin), self._held + len(pool.margin)
        if self._held >= atomic.ROW_GROUP:
            self._flush(atomic.ROW_GROUP)

    def finish(self, test: TestScores) -> None:
        """The test images; then the scores are whole."""
        self._flush(1)
        self._file.close()
        table = pa.table({name: getattr(test, name) for name in TEST_SCHEMA.names}, TEST_SCHEMA)
        counts = {"pool_rows": self._rows, "test_rows": len(test.row)}
        if len(test.row) != self._tests:
            raise ValueError(f"{self._folder}: {len(test.row)} test images, not {self._tests}")
        _check_test(self._folder / TEST, test, self._rows)
        atomic.write_parquet(self._out / TEST, table)
        (self._out / CARD).write_bytes(atomic.encode_json({**self._card, **counts}))

    def _flush(self, least: int) -> None:
        """Write whole row groups, so that the file does not depend on how the rows came."""
        table = pa.concat_tables(self._waiting) if self._waiting else POOL_SCHEMA.empty_table()
        while table.num_rows >= least:
            group = table.slice(0, atomic.ROW_GROUP).combine_chunks()
            self._file.write_table(group, row_group_size=atomic.ROW_GROUP)
            table = table.slice(atomic.ROW_GROUP)
        self._waiting, self._held = [table], table.num_rows

    def close(self) -> None:
        """Let go of the file, finished or not."""
        self._file.close()


@contextmanager
def writing(folder: Path, card: Mapping[str, str], tests: int) -> Generator[Writer]:
    """Write scores of ``tests`` test images with ``Writer``, in bounded memory.

    ``card`` has the keys ``SOURCES``; the numbers of rows are added to it. The folder appears when
    the block ends; an exception, or a block that ends before ``finish``, leaves nothing.
    """
    _check_sources(folder, card)
    with atomic.folder(folder) as out:
        writer = Writer(folder, out, card, tests)
        try:
            yield writer
        finally:
            writer.close()
        if not (out / CARD).exists():
            raise ValueError(f"{folder}: the scores were not finished")


def write(folder: Path, pool: PoolScores, test: TestScores, card: Mapping[str, str]) -> None:
    """Write scores that are in memory; as ``writing``.

    Raises ``ValueError`` for columns that differ in length or are not finite, for rows that are
    out of range, and for a card that lacks a source.
    """
    with writing(folder, card, len(test.row)) as out:
        out.add(pool)
        out.finish(test)


def read(folder: Path) -> Scores:
    """Open the scores of one test set; files that do not fit each other are an error.

    The columns of the pool are checked when they are read.
    """
    card = atomic.read_json(folder / CARD)
    _check_sources(folder, card)
    atomic.check_schema(folder / POOL, atomic.open_parquet(folder / POOL).schema_arrow, POOL_SCHEMA)
    table = atomic.read_parquet(folder / TEST, TEST_SCHEMA)
    test = TestScores(**{name: table[name].to_numpy() for name in TEST_SCHEMA.names})
    pool = StoredPool(folder / POOL, len(test.row))
    for name, count in {"pool_rows": len(pool), "test_rows": len(test.row)}.items():
        if card.get(name) != count:
            raise ValueError(f"{folder}: {count} {name}, the card says {card.get(name)}")
    _check_test(folder / TEST, test, len(pool))
    return Scores(folder, pool, test, card)


def read_all(root: Path, tests: Iterable[str], *, pool: str | None = None) -> dict[str, Scores]:
    """Read the scores of several test sets below ``root`` (``layout.similarities``).

    Raises ``ValueError`` for a test set without scores, naming the nearest that has some, and
    where scores are of different encoders, pools or references, or of another pool than ``pool``
    (the SHA-256 of a manifest).
    """
    tests = list(tests)
    known = [path.parent.name for path in root.glob(f"*/{CARD}")]
    for test in tests:
        if test not in known:
            raise unknown("test set", test, known, str(root))
    found = {test: read(root / test) for test in tests}
    expected = {"pool": pool} if pool is not None else {}
    for scores in found.values():
        for source in ("encoder", "pool", "reference"):
            have = scores.card[source]
            want = expected.setdefault(source, have)
            if have != want:
                raise ValueError(
                    f"{scores.folder}: made with another {source} ({have[:12]}…, expected "
                    f"{want[:12]}…); run the similarity stage again"
                )
    return found


def _check_sources(folder: Path, card: Mapping[str, Any]) -> None:
    for source in SOURCES:
        if not card.get(source):
            raise ValueError(f"{folder}: the card does not state {source!r}")


def _check_pool(path: Path, columns: Mapping[str, np.ndarray], start: int, tests: int) -> None:
    for name, values in columns.items():
        _check_finite(path, name, values, start)
        if name == "nearest":
            _check_rows(path, name, values, tests, start)


def _check_test(path: Path, test: TestScores, pool_rows: int) -> None:
    for field in fields(test):
        _check_finite(path, field.name, getattr(test, field.name))
    _check_rows(path, "pool_row", test.pool_row, pool_rows)


def _check_finite(path: Path, name: str, values: np.ndarray, start: int = 0) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(
            f"{path}: {name} is not finite in {len(bad)} of {len(values)} rows, first in row "
            f"{start + bad[0]}"
        )


def _check_rows(path: Path, name: str, rows: np.ndarray, count: int, start: int = 0) -> None:
    outside = np.flatnonzero((rows < 0) | (rows >= count))
    if len(outside):
        raise ValueError(
            f"{path}: {name} is out of range in {len(outside)} rows, first {rows[outside[0]]} in "
            f"row {start + outside[0]}; there are {count}"
        )
