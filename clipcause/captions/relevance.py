"""Relevance: how similar each caption is to the definition of each class that it mentions.

``relevance/<list>/`` holds ``scores.parquet`` (pool row, class id, similarity; a line for every
match of the frequency whose class has a definition, sorted) and ``card.json``: the hash of the
pool's manifest, where the definitions are from (``definitions``: `wordnet`, or `none` for an empty
artifact), the classes that have one, the encoder's fingerprint and the WordNet. LAIONet keeps the
images whose caption is similar enough to a definition (arXiv 2306.15769, section 2).

Shapes: M matches, R rows of the pool that have a match.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, Int64

from clipcause.runtime import atomic

SCORES = "scores.parquet"
CARD = "card.json"
NONE = "none"
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("class", pa.dictionary(pa.int32(), pa.string())),
        ("similarity", pa.float32()),
    ]
)
TOLERANCE = 1e-3  # of a cosine, by which float32 products of unit vectors may pass one


class Part(NamedTuple):
    """Scores of consecutive rows, sorted by row and class."""

    row_M: Int64[np.ndarray, " M"]
    class_M: Int64[np.ndarray, " M"]  # positions in the list of classes
    similarity_M: Float32[np.ndarray, " M"]


@dataclass(frozen=True)
class Relevance:
    """The scores of all matches, sorted by row, then class. ``class_M`` counts in ``classes``."""

    classes: tuple[str, ...]
    row_M: Int64[np.ndarray, " M"]
    class_M: Int64[np.ndarray, " M"]
    similarity_M: Float32[np.ndarray, " M"]
    card: Mapping[str, Any]

    def best(self) -> tuple[Int64[np.ndarray, " R"], Float32[np.ndarray, " R"]]:
        """The rows that mention a class, ascending, and the largest similarity of each."""
        row_R, first_R = np.unique(self.row_M, return_index=True)
        if not len(row_R):
            return row_R, self.similarity_M
        return row_R, np.maximum.reduceat(self.similarity_M, first_R)


def write(
    folder: Path, classes: Sequence[str], parts: Iterable[Part], card: Mapping[str, Any]
) -> None:
    """Write scores part by part; the card gets ``classes``. Memory holds one part.

    Without parts, and ``definitions`` of the card `none`, the artifact is the empty one. Raises
    ``ValueError`` where scores do not ascend by row and class or are no cosines.
    """
    named = pa.array(classes, pa.string())
    last = -1
    with atomic.folder(folder) as out:
        with pq.ParquetWriter(out / SCORES, SCHEMA, compression="zstd") as writer:
            for part in parts:
                order_M = part.row_M * len(classes) + part.class_M
                if len(order_M) and np.diff(order_M, prepend=last).min() < 1:
                    raise ValueError(f"{folder}: scores do not ascend by row and class")
                last = int(order_M[-1]) if len(order_M) else last
                bad_M = ~(np.abs(part.similarity_M) <= 1 + TOLERANCE)  # NaN compares as false
                if bad_M.any():
                    row = part.row_M[bad_M][0]
                    raise ValueError(
                        f"{folder}: {bad_M.sum()} similarities are no cosines, first of row {row}"
                    )
                column = pa.DictionaryArray.from_arrays(pa.array(part.class_M, pa.int32()), named)
                table = pa.table([part.row_M, column, part.similarity_M], schema=SCHEMA)
                writer.write_table(table)
        (out / CARD).write_bytes(atomic.encode_json({**card, "classes": list(classes)}))


def read_card(folder: Path, *, pool: str | None = None) -> dict[str, Any]:
    """The card of an artifact that has scores; ``pool``: the manifest's hash that they must be of.

    Raises ``FileNotFoundError`` where there is none, ``ValueError`` for the empty artifact or one
    of another pool.
    """
    card = atomic.read_json(folder / CARD)
    if card.get("definitions") == NONE:
        raise ValueError(
            f"{folder}: it is empty, for relevance.definitions is none; set it to wordnet, give "
            "the classes of the list a synset or a definition, and run the stage relevance"
        )
    if pool is not None and card.get("pool") != pool:
        raise ValueError(f"{folder}: made from another pool; run the stage relevance again")
    return card


def similarities(
    folder: Path,
) -> Iterator[tuple[Int64[np.ndarray, " M"], Float32[np.ndarray, " M"]]]:
    """Rows and similarities of all matches in order, part by part; memory holds one part."""
    opened = atomic.open_parquet(folder / SCORES)
    atomic.check_schema(folder / SCORES, opened.schema_arrow, SCHEMA)
    for number in range(opened.num_row_groups):
        part = opened.read_row_group(number, columns=["row", "similarity"])
        yield part["row"].to_numpy(), part["similarity"].to_numpy()


def read(folder: Path, *, pool: str | None = None) -> Relevance:
    """The scores of all matches, with what ``read_card`` raises."""
    card = read_card(folder, pool=pool)
    table = atomic.read_parquet(folder / SCORES, SCHEMA).unify_dictionaries().combine_chunks()
    classes = tuple(card["classes"])
    if not table.num_rows:
        empty = np.empty(0, np.int64)
        return Relevance(classes, empty, empty, np.empty(0, np.float32), card)
    column = table["class"].combine_chunks()
    place = {key: at for at, key in enumerate(classes)}
    at_D = np.array([place[key] for key in column.dictionary.to_pylist()], np.int64)
    return Relevance(
        classes,
        table["row"].to_numpy(),
        at_D[column.indices.to_numpy()],
        table["similarity"].to_numpy(),
        card,
    )
