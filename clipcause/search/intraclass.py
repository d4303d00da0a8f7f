"""Intra-class similarity: how alike the images of each class are.

The measure is the mean cosine over all pairs of different images of a class (arXiv 2306.15769,
section 3.2, by which LAIONet differs most from ImageNet). For vectors x of length one it needs no
pairs: the sum over pairs is (|sum x|^2 - n) / 2, so one pass over the embeddings gives it.

Shapes: M rows with a class in a block, C classes, D dimensions.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float16, Float64, Int64

from clipcause.captions import frequency
from clipcause.data.manifest import Manifest
from clipcause.embed.embeddings import Embeddings
from clipcause.prune.split import Split
from clipcause.runtime import atomic, metrics

BLOCK = 16_384  # rows: their float64 vectors are held
CLASSES = "classes.csv"
COLUMNS = ("class", "name", "rows", "similarity")

# pool rows from one up to another, and for each a class's position: sorted by row
Owners = Callable[[int, int], tuple[Int64[np.ndarray, " M"], Int64[np.ndarray, " M"]]]


@dataclass(frozen=True)
class Alike:
    """How many images each class has, and the mean cosine of their pairs.

    ``similarity_C`` is NaN for a class of fewer than two images, which has no pair.
    """

    rows_C: Int64[np.ndarray, " C"]
    similarity_C: Float64[np.ndarray, " C"]


def similarity(
    image_ND: Float16[np.ndarray, "N D"], class_N: Int64[np.ndarray, " N"], classes: int
) -> Alike:
    """Mean cosine of the pairs of each class, for vectors in memory of about length one."""
    sums = Sums.empty(classes, image_ND.shape[1])
    for start in range(0, len(image_ND), BLOCK):
        sums.add(image_ND[start : start + BLOCK], class_N[start : start + BLOCK])
    return sums.alike()


@dataclass
class Sums:
    """Per class the sum of its vectors and how many there are: memory of C x D float64."""

    sum_CD: Float64[np.ndarray, "C D"]
    rows_C: Int64[np.ndarray, " C"]

    @classmethod
    def empty(cls, classes: int, dim: int) -> "Sums":
        """Of no vectors yet."""
        return cls(np.zeros((classes, dim)), np.zeros(classes, np.int64))

    def add(self, image_MD: Float16[np.ndarray, "M D"], class_M: Int64[np.ndarray, " M"]) -> None:
        """Take in vectors; stored ones are of length one to some 2**-11, so they are scaled."""
        if not len(class_M):
            return
        order_M = np.argsort(class_M, kind="stable")
        vector_MD = image_MD[order_M].astype(np.float64)
        vector_MD /= np.linalg.norm(vector_MD, axis=1, keepdims=True)
        owner_P, first_P, count_P = np.unique(
            class_M[order_M], return_index=True, return_counts=True
        )
        self.sum_CD[owner_P] += np.add.reduceat(vector_MD, first_P, axis=0)
        self.rows_C[owner_P] += count_P

    def alike(self) -> Alike:
        """The mean over pairs."""
        paired_C = self.rows_C >= 2
        n_C = self.rows_C[paired_C].astype(np.float64)
        square_C = np.einsum("cd,cd->c", self.sum_CD[paired_C], self.sum_CD[paired_C])
        similarity_C = np.full(len(self.rows_C), np.nan)
        similarity_C[paired_C] = (square_C - n_C) / (n_C * (n_C - 1))
        return Alike(self.rows_C, similarity_C)


def of_split(store: Embeddings, chosen: Split, owners: Owners, classes: int) -> Alike:
    """The same over the rows of a split, in one pass over the pool's embeddings."""
    sums = Sums.empty(classes, store.dim)
    for start, block_ND in store.blocks(BLOCK):
        stop = start + len(block_ND)
        row_M, class_M = owners(start, stop)
        kept_M = chosen.within(start, stop)[row_M - start]
        sums.add(block_ND[row_M[kept_M] - start], class_M[kept_M])
    return sums.alike()


def by_label(pool: Manifest, listed: Sequence[str]) -> Owners:
    """The rows that have a label. Raises ``ValueError`` for a label that is no class."""
    place = {key: at for at, key in enumerate(listed)}
    parts: list[np.ndarray] = [np.empty(0, np.int32)]
    strange: set[str] = set()
    for position in range(len(pool.shards)):  # a number a row, never all the labels as text
        column = pool.shard_table(position, ["label"])["label"].combine_chunks()
        encoded = column.dictionary_encode()
        labels = encoded.dictionary.to_pylist()
        strange |= set(labels) - place.keys()
        at_D = np.array([*(place.get(label, -1) for label in labels), -1], np.int32)
        parts.append(at_D[encoded.indices.fill_null(len(labels)).to_numpy()])
    if strange:
        raise ValueError(
            f"{pool.folder}: {len(strange)} labels are no classes of the study's list, first "
            f"{min(strange)!r}; prepare the data set again"
        )
    label_N = np.concatenate(parts)

    def owners(start: int, stop: int) -> tuple[Int64[np.ndarray, " M"], Int64[np.ndarray, " M"]]:
        at_M = np.flatnonzero(label_N[start:stop] >= 0)
        return at_M + start, label_N[start:stop][at_M].astype(np.int64)

    return owners


def by_mention(folder: Path, pool: Manifest, listed: Sequence[str]) -> Owners:
    """The rows whose caption mentions a class, once for each class: the matches in ``folder``."""
    if frequency.read_card(folder).get("pool") != pool.sha256:
        raise ValueError(f"{folder}: made from another pool; run the stage frequency again")
    matches = frequency.matches(folder)
    if list(matches.classes) != list(listed):
        raise ValueError(
            f"{folder}: of other classes than {folder.name}; run the stage frequency again"
        )
    return matches.between


def numbers(found: Alike) -> dict[str, Any]:
    """The metrics: the mean over the classes that have a pair; how many have none, and no rows."""
    paired_C = found.rows_C >= 2
    stated: dict[str, Any] = {
        "classes": int(paired_C.sum()),
        "classes_of_one_row": int((found.rows_C == 1).sum()),
        "classes_without_rows": int((found.rows_C == 0).sum()),
        # with `by: mention` a row counts in each of its classes
        "members": int(found.rows_C.sum()),
    }
    if paired_C.any():
        stated["similarity"] = float(found.similarity_C[paired_C].mean())
    return stated


def write(folder: Path, listed: Sequence[str], names: Sequence[str], found: Alike) -> None:
    """The table of ``intraclass/<name>``, in whose place it comes whole or not at all."""
    with atomic.folder(folder) as out:
        (out / CLASSES).write_bytes(table(listed, names, found))


def table(listed: Sequence[str], names: Sequence[str], found: Alike) -> bytes:
    """A line for every class with rows; the similarity of one that has no pair is left empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    values = (listed, names, found.rows_C.tolist(), found.similarity_C.tolist())
    for key, name, rows, value in zip(*values, strict=True):
        if rows:
            writer.writerow((key, name, rows, round(value, metrics.DIGITS) if rows > 1 else ""))
    return text.getvalue().encode()
