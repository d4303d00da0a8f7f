"""Scores: how similar every pool row is to a test set, and every test image to reference and pool.

``similarity/<encoder>/<reference>/<test>/`` holds ``pool.parquet`` (row-aligned with the pool's
manifest), ``test.parquet`` (row-aligned with the test's) and ``card.json``: the fingerprint of the
encoder, the SHA-256 of the manifests of pool, reference and test, and the numbers of rows.

Shapes: N pool rows, Q test images.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Float64, Int32, Int64

from stages.artifacts import atomic
from stages.parameters import unknown

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


@dataclass(frozen=True)
class Scores:
    """The scores of one test set."""

    folder: Path
    pool: PoolScores
    test: TestScores
    card: Mapping[str, Any]


def write(folder: Path, pool: PoolScores, test: TestScores, card: Mapping[str, str]) -> None:
    """Write scores; ``card`` has the keys ``SOURCES``, the numbers of rows are added to it.

    Raises ``ValueError`` for columns that differ in length or are not finite, for rows that are
    out of range, and for a card that lacks a source.
    """
    tables = _table(pool, POOL_SCHEMA), _table(test, TEST_SCHEMA)
    counts = {"pool_rows": tables[0].num_rows, "test_rows": tables[1].num_rows}
    scores = Scores(folder, pool, test, {**card, **counts})
    _check(scores)
    with atomic.folder(folder) as out:
        atomic.write_parquet(out / POOL, tables[0])
        atomic.write_parquet(out / TEST, tables[1])
        (out / CARD).write_bytes(atomic.encode_json(dict(scores.card)))


def read(folder: Path) -> Scores:
    """Read the scores of one test set; files that do not fit each other are an error."""
    card = atomic.read_json(folder / CARD)
    pool = PoolScores(**_columns(folder / POOL, POOL_SCHEMA))
    test = TestScores(**_columns(folder / TEST, TEST_SCHEMA))
    scores = Scores(folder, pool, test, card)
    _check(scores)
    return scores


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


def _table(columns: PoolScores | TestScores, schema: pa.Schema) -> pa.Table:
    values = {field.name: getattr(columns, field.name) for field in fields(columns)}
    return pa.table({name: pa.array(values[name]) for name in schema.names}, schema=schema)


def _columns(path: Path, schema: pa.Schema) -> dict[str, np.ndarray]:
    table = atomic.read_parquet(path, schema)
    return {name: table[name].to_numpy() for name in schema.names}


def _check(scores: Scores) -> None:
    folder, card = scores.folder, scores.card
    for source in SOURCES:
        if not card.get(source):
            raise ValueError(f"{folder}: the card does not state {source!r}")
    found = {"pool_rows": len(scores.pool.margin), "test_rows": len(scores.test.row)}
    for name, count in found.items():
        if card.get(name) != count:
            raise ValueError(f"{folder}: {count} {name}, the card says {card.get(name)}")
    for file, columns in ((POOL, scores.pool), (TEST, scores.test)):
        for field in fields(columns):
            values = getattr(columns, field.name)
            bad = np.flatnonzero(~np.isfinite(values))
            if len(bad):
                raise ValueError(
                    f"{folder / file}: {field.name} is not finite in {len(bad)} of {len(values)} "
                    f"rows, first in row {bad[0]}"
                )
    _check_rows(folder / POOL, "nearest", scores.pool.nearest, found["test_rows"])
    _check_rows(folder / TEST, "pool_row", scores.test.pool_row, found["pool_rows"])


def _check_rows(path: Path, name: str, rows: np.ndarray, count: int) -> None:
    outside = np.flatnonzero((rows < 0) | (rows >= count))
    if len(outside):
        raise ValueError(
            f"{path}: {name} is out of range in {len(outside)} rows, first {rows[outside[0]]} in "
            f"row {outside[0]}; there are {count}"
        )
