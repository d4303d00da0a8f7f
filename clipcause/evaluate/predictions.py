"""Predictions: what a run's model said about every image of a test set.

``predictions/<run>/<test>.parquet``: row, class id of the label and of the prediction, probability
(float32) and rank (1 = top) of the true class. Every accuracy is computed from these.

``predictions/<run>/<test>.classes.csv``: the same class by class, a line for each class of the test
set in the order of their ids: class id, name, frequency among the run's training rows, number of
images, accuracy, number of predictions, and the class's values of neural collapse. What is not
known or not defined is left blank. A model without classes has this file alone.
"""

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa

from clipcause.config import unknown
from clipcause.runtime import atomic

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("label", pa.string()),
        ("predicted", pa.string()),
        ("probability", pa.float32()),
        ("rank", pa.int32()),
    ]
)
CLASSES_SCHEMA = pa.schema(
    [
        ("class", pa.string()),
        ("name", pa.string()),
        ("frequency", pa.int64()),
        ("n", pa.int64()),
        ("accuracy", pa.float64()),
        ("predicted", pa.int64()),
        *((name, pa.float64()) for name in ("nc1", "nc2_m", "nc2nn_m", "nc2_w", "nc2nn_w")),
    ]
)
DIGITS = 6


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


def write_classes(folder: Path, test: str, table: pa.Table) -> None:
    """Write the table of classes; columns and types are those of ``CLASSES_SCHEMA``, null is blank.

    Raises ``ValueError`` for class ids that are missing or do not ascend, and for NaN.
    """
    path = folder / f"{test}.classes.csv"
    atomic.check_schema(path, table.schema, CLASSES_SCHEMA)
    _check_classes(path, table)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CLASSES_SCHEMA.names)
    columns = [column.to_pylist() for column in table.columns]
    for line in zip(*columns, strict=True):
        writer.writerow([_cell(value) for value in line])
    with atomic.file(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def read_classes(folder: Path, test: str) -> pa.Table:
    """The table of classes, null where blank; an unknown test set is an error with the nearest."""
    path = folder / f"{test}.classes.csv"
    if not path.exists():
        known = [file.name.removesuffix(".classes.csv") for file in folder.glob("*.classes.csv")]
        raise unknown("test set", test, known, f"{folder}")
    with path.open(newline="", encoding="utf-8") as stream:
        head, *lines = csv.reader(stream)
    if head != CLASSES_SCHEMA.names:
        raise ValueError(f"{path}: columns are {head}, expected {CLASSES_SCHEMA.names}")
    if any(len(line) != len(head) for line in lines):
        raise ValueError(f"{path}: a line has not {len(head)} cells; evaluate again")
    cells = {name: [line[place] for line in lines] for place, name in enumerate(head)}
    try:
        columns = [_column(cells[field.name], field.type) for field in CLASSES_SCHEMA]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    table = pa.table(columns, schema=CLASSES_SCHEMA)
    _check_classes(path, table)
    return table


def _column(cells: list[str], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return pa.array(cells, kind)
    number = int if pa.types.is_integer(kind) else float
    return pa.array([number(cell) if cell else None for cell in cells], kind)


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return ""
    return str(round(value, DIGITS) + 0) if isinstance(value, float) else str(value)


def _check_classes(path: Path, table: pa.Table) -> None:
    names = table["class"].to_pylist()
    if None in names or names != sorted(set(names)):
        raise ValueError(f"{path}: class ids are missing or do not ascend")
    for field in CLASSES_SCHEMA:
        column = table[field.name].drop_null()
        if pa.types.is_floating(field.type) and not np.isfinite(column.to_numpy()).all():
            raise ValueError(f"{path}: {field.name} is not finite; what is not defined is blank")


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
