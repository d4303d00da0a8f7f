"""Duplicates: which pool rows de-duplication removed, and why.

``deduplicate/`` holds ``duplicates.parquet`` (a removed pool row, the earlier row that it
duplicates, their similarity; ascending by row) and ``centres.npy``, the k-means centres that the
rows were compared within (float16, none for the exact method).
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float16

from clipcause.runtime import atomic

TABLE = "duplicates.parquet"
CENTRES = "centres.npy"
SCHEMA = pa.schema(
    [("row", pa.int64()), ("duplicate_of", pa.int64()), ("similarity", pa.float64())]
)


def write(folder: Path, table: pa.Table, centre_KD: Float16[np.ndarray, "K D"]) -> None:
    """Write the removed rows, whose columns and types are those of ``SCHEMA``, and the centres.

    Raises ``ValueError`` for missing or infinite values, rows that do not ascend, and rows that
    duplicate a later one.
    """
    atomic.check_schema(folder / TABLE, table.schema, SCHEMA)
    _check(folder / TABLE, table)
    with atomic.folder(folder) as out:
        np.save(out / CENTRES, centre_KD)
        atomic.write_parquet(out / TABLE, table)


def read(folder: Path) -> pa.Table:
    """The removed rows; a missing, damaged or inconsistent file is an error that names it."""
    table = atomic.read_parquet(folder / TABLE, SCHEMA)
    _check(folder / TABLE, table)
    return table


def _check(path: Path, table: pa.Table) -> None:
    for name in SCHEMA.names:
        if missing := table[name].null_count:
            raise ValueError(f"{path}: {name} is missing in {missing} of {table.num_rows} rows")
    row_R, of_R, similarity_R = (table[name].to_numpy() for name in SCHEMA.names)
    faults = {
        "rows do not ascend": np.diff(row_R, prepend=-1) <= 0,
        "duplicate_of is not an earlier row": (of_R < 0) | (of_R >= row_R),
        "similarity is not finite": ~np.isfinite(similarity_R),
    }
    for fault, bad_R in faults.items():
        if bad_R.any():
            raise ValueError(
                f"{path}: {fault} in {bad_R.sum()} of {len(bad_R)} entries, first for row "
                f"{row_R[np.flatnonzero(bad_R)[0]]}; run the deduplicate stage again"
            )
