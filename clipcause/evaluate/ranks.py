"""Retrieval: how far down a run's model finds what belongs together in a test set of captions.

``predictions/<run>/<test>.retrieval.parquet``, a line for each row of the test set's manifest: row;
caption, the first row that has the same caption; image_to_text, the rank (1 = nearest) of the
image's caption among all captions; text_to_image, the rank of the nearest image that has this
caption among all images, the same in all rows of one caption. Every R@k is computed from these:
image to text over all rows, text to image over those whose ``caption`` is their own row.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from clipcause.config import unknown
from clipcause.runtime import atomic

ENDING = ".retrieval.parquet"
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("caption", pa.int64()),
        ("image_to_text", pa.int32()),
        ("text_to_image", pa.int32()),
    ]
)


def write(folder: Path, test: str, table: pa.Table) -> None:
    """Write the ranks for one test set; columns and types are those of ``SCHEMA``.

    Raises ``ValueError`` for missing values, rows out of order, a caption's first row that is not
    its first, ranks below 1, and ranks of one caption that differ.
    """
    path = folder / f"{test}{ENDING}"
    atomic.check_schema(path, table.schema, SCHEMA)
    _check(path, table)
    atomic.write_table(path, table)


def read(folder: Path, test: str) -> pa.Table:
    """Read the ranks for one test set; an unknown one is an error naming the nearest."""
    path = folder / f"{test}{ENDING}"
    if not path.exists():
        known = [file.name.removesuffix(ENDING) for file in folder.glob(f"*{ENDING}")]
        raise unknown("retrieval test set", test, known, f"{folder}")
    table = atomic.read_parquet(path, SCHEMA)
    _check(path, table)
    return table


def _check(path: Path, table: pa.Table) -> None:
    for name in SCHEMA.names:
        if missing := table[name].null_count:
            raise ValueError(f"{path}: {name} is missing in {missing} of {table.num_rows} rows")
    row_Q, caption_Q = table["row"].to_numpy(), table["caption"].to_numpy()
    if not (np.diff(row_Q) > 0).all():
        raise ValueError(f"{path}: rows do not ascend")
    place_Q = np.searchsorted(row_Q, caption_Q)
    known_Q = (place_Q < len(row_Q)) & (caption_Q <= row_Q)
    place_Q = np.where(known_Q, place_Q, 0)
    rank_Q = table["text_to_image"].to_numpy()
    faults = {
        "caption is not the first row that has it": ~known_Q
        | (row_Q[place_Q] != caption_Q)
        | (caption_Q[place_Q] != caption_Q),
        "image_to_text is below 1": table["image_to_text"].to_numpy() < 1,
        "text_to_image is below 1": rank_Q < 1,
        "text_to_image differs within a caption": rank_Q != rank_Q[place_Q],
    }
    for fault, bad_Q in faults.items():
        if bad_Q.any():
            first = row_Q[np.flatnonzero(bad_Q)[0]]
            raise ValueError(f"{path}: {fault} in {bad_Q.sum()} rows, first in row {first}")
