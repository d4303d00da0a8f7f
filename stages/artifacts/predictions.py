"""Predictions: what a run's model said about every image of a test set.

``predictions/<run>/<test>.parquet``: row, class id of the label and of the prediction, probability
(float32) and rank (1 = top) of the true class. Every accuracy is computed from these.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from stages.artifacts import atomic
from stages.parameters import unknown

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("label", pa.string()),
        ("predicted", pa.string()),
        ("probability", pa.float32()),
        ("rank", pa.int32()),
    ]
)


def write(folder: Path, test: str, table: pa.Table) -> None:
    """Write the predictions for one test set; columns and types are those of ``SCHEMA``.

    Raises ``ValueError`` for missing values, rows out of order, probabilities outside [0, 1],
    ranks below 1, and a rank of 1 that does not go with a correct prediction.
    """
    path = folder / f"{test}.parquet"
    atomic.check_schema(path, table.schema, SCHEMA)
    _check(path, table)
    atomic.write_table(path, table)


def read(folder: Path, test: str) -> pa.Table:
    """Read the predictions for one test set; an unknown one is an error naming the nearest."""
    path = folder / f"{test}.parquet"
    if not path.exists():
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
    row_Q = table["row"].to_numpy()
    if not (np.diff(row_Q) > 0).all():
        raise ValueError(f"{path}: rows do not ascend")
    probability_Q, rank_Q = table["probability"].to_numpy(), table["rank"].to_numpy()
    hit_Q = np.array(table["label"].to_pylist()) == np.array(table["predicted"].to_pylist())
    faults = {
        "probability is not in [0, 1]": ~((probability_Q >= 0) & (probability_Q <= 1)),
        "rank is below 1": rank_Q < 1,
        "rank 1 and prediction do not fit": (rank_Q == 1) != hit_Q,
    }
    for fault, bad_Q in faults.items():
        if bad_Q.any():
            first = row_Q[np.flatnonzero(bad_Q)[0]]
            raise ValueError(f"{path}: {fault} in {bad_Q.sum()} rows, first in row {first}")
