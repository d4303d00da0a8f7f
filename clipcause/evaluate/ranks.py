"""Retrieval: how far down a run's model finds what belongs together in a test set of captions.

``predictions/<run>/<test>.retrieval.parquet``, a line for each caption of each row of the test
set's manifest, in its order: row; caption_index, the caption's place among those of the row (0
where it has one); caption, the first line that has the same caption; image_to_text, the rank (1 =
nearest) of the image's nearest caption among all captions, the same in all lines of a row;
text_to_image, the rank of the nearest image that has this caption among all images, the same in all
lines of one caption. Every R@k is computed from these: image to text over the lines of
``caption_index`` 0, text to image over those whose ``caption`` is their own number.

Shapes: P lines.
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
        ("caption_index", pa.int32()),
        ("caption", pa.int64()),
        ("image_to_text", pa.int32()),
        ("text_to_image", pa.int32()),
    ]
)


def write(folder: Path, test: str, table: pa.Table) -> None:
    """Write the ranks for one test set; columns and types are those of ``SCHEMA``.

    Raises ``ValueError`` for missing values, captions or rows out of order, a caption's first line
    that is not its first, ranks below 1, and ranks of one row or of one caption that differ.
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
    row_P, index_P, caption_P, of_row_P, of_caption_P = (
        table[name].to_numpy().astype(np.int64) for name in SCHEMA.names
    )
    line_P = np.arange(len(row_P))
    first_P = line_P - index_P  # of the row, where captions are counted from 0 one by one
    start_P = np.where(np.diff(row_P, prepend=-1) != 0, line_P, 0)
    if (np.diff(row_P) < 0).any() or (np.maximum.accumulate(start_P) != first_P).any():
        raise ValueError(f"{path}: rows do not ascend, or captions of a row are not counted from 0")
    known_P = (caption_P >= 0) & (caption_P <= line_P)
    same_P = np.where(known_P, caption_P, 0)
    faults = {
        "caption is not the first line that has it": ~known_P | (caption_P[same_P] != caption_P),
        "image_to_text is below 1": of_row_P < 1,
        "text_to_image is below 1": of_caption_P < 1,
        "image_to_text differs within a row": of_row_P != of_row_P[first_P],
        "text_to_image differs within a caption": of_caption_P != of_caption_P[same_P],
    }
    for fault, bad_P in faults.items():
        if bad_P.any():
            bad_R = np.unique(row_P[bad_P])
            raise ValueError(f"{path}: {fault} in {len(bad_R)} rows, first in row {bad_R[0]}")
