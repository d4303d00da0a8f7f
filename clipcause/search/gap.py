"""Gaps: how similar every image of a test set is to its nearest neighbour in a split.

``gap/<split>/<test>.parquet``, row-aligned with the test set's manifest: ``similarity`` to the
split with the reference added, ``split_similarity`` to the split alone and ``split_row``, the pool
row that gives it.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from clipcause.config import unknown
from clipcause.runtime import atomic

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("similarity", pa.float64()),
        ("split_similarity", pa.float64()),
        ("split_row", pa.int64()),
    ]
)


def write(folder: Path, tables: Mapping[str, pa.Table]) -> None:
    """The folder of a split's gaps, one file per test set, whole or not at all.

    Columns and types are those of ``SCHEMA``. Raises ``ValueError`` for missing or infinite values,
    rows that do not count from 0, negative pool rows, and a similarity below that to the split.
    """
    for test, table in tables.items():
        path = folder / f"{test}.parquet"
        atomic.check_schema(path, table.schema, SCHEMA)
        _check(path, table)
    with atomic.folder(folder) as out:
        for test, table in tables.items():
            atomic.write_parquet(out / f"{test}.parquet", table)


def read(folder: Path, test: str) -> pa.Table:
    """The gap to one test set; an unknown one is an error naming the nearest.

    Raises ``FileNotFoundError`` where the folder is missing, ``ValueError`` as ``write`` does.
    """
    path = folder / f"{test}.parquet"
    if folder.exists() and not path.exists():
        raise unknown(
            "test set", test, [file.stem for file in folder.glob("*.parquet")], f"{folder}"
        )
    table = atomic.read_parquet(path, SCHEMA)
    _check(path, table)
    return table


def _check(path: Path, table: pa.Table) -> None:
    for name in SCHEMA.names:
        if missing := table[name].null_count:
            raise ValueError(f"{path}: {name} is missing in {missing} of {table.num_rows} rows")
    row_Q, both_Q, split_Q, split_row_Q = (table[name].to_numpy() for name in SCHEMA.names)
    faults = {
        "row does not count from 0": row_Q != np.arange(len(row_Q)),
        "a similarity is not finite": ~(np.isfinite(both_Q) & np.isfinite(split_Q)),
        "similarity is below split_similarity": both_Q < split_Q,
        "split_row is negative": split_row_Q < 0,
    }
    for fault, bad_Q in faults.items():
        if bad_Q.any():
            raise ValueError(
                f"{path}: {fault} in {bad_Q.sum()} of {len(bad_Q)} rows, first in row "
                f"{np.flatnonzero(bad_Q)[0]}; run the gap stage again"
            )
