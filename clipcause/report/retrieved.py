"""Test sets of captions as the report reads them: every run's ranks, in both directions.

Shapes: S runs of a condition, Q images, T distinct captions.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Int32, Int64

from clipcause.config import layout
from clipcause.evaluate import ranks
from clipcause.report.conditions import Condition
from clipcause.search.scores import Scores

DIRECTIONS = {"image_to_text": "image to text", "text_to_image": "text to image"}


@dataclass(frozen=True)
class Ranks:
    """Ranks of the nearest right item by every run of a condition."""

    image_to_text: Int32[np.ndarray, "S Q"]
    text_to_image: Int32[np.ndarray, "S T"]
    row_T: Int64[np.ndarray, " T"]  # the first image of every caption


def load(test: str, conditions: Iterable[Condition], against: Scores) -> dict[str, Ranks]:
    """The ranks of all conditions of CLIP.

    Raises ``FileNotFoundError`` with the file and the stage that makes it, and ``ValueError`` where
    it is of another test set.
    """
    found = {}
    for one in conditions:
        if one.objective != "clip":
            continue
        tables = [_read(run, test, against) for run in one.runs]
        row_Q, caption_Q = tables[0]["row"].to_numpy(), tables[0]["caption"].to_numpy()
        is_first_Q = row_Q == caption_Q
        found[one.name] = Ranks(
            np.stack([table["image_to_text"].to_numpy() for table in tables]),
            np.stack([table["text_to_image"].to_numpy()[is_first_Q] for table in tables]),
            row_Q[is_first_Q],
        )
    return found


def _read(run: str, test: str, against: Scores) -> pa.Table:
    folder = layout.predictions(run)
    path = folder / f"{test}{ranks.ENDING}"
    if not path.exists():
        raise FileNotFoundError(f"{path}: not found; `dvc repro evaluate@{run}` makes it")
    table = ranks.read(folder, test)
    if not np.array_equal(table["row"].to_numpy(), against.test.row):
        raise ValueError(
            f"{path}: its {table.num_rows} rows are not the {len(against.test.row)} images of "
            f"{against.folder}; one of them is of an older test set"
        )
    return table
