"""Domains: how a classifier scores every pool row between two visual domains.

``domains/<name>/`` holds ``pool.parquet`` (row-aligned with the pool's manifest; ``score``:
float32, log-odds of the first domain), ``classifier.json`` (weights and offset) and ``card.json``:
the names of the two domains, the hashes of the manifests of pool and labelled rows, the encoder's
fingerprint, the SHA-256 of the classifier's file, the two thresholds, and what held-out rows say of
their precision and recall. A row is of the first domain if its score is above the threshold
``first``, of the second if below ``second``, else ambiguous.

Shapes: M consecutive pool rows, D dimensions.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, Float64, Int8

from clipcause.runtime import atomic

POOL = "pool.parquet"
CLASSIFIER = "classifier.json"
CARD = "card.json"
SCHEMA = pa.schema([("score", pa.float32())])
FIRST, SECOND, AMBIGUOUS = 0, 1, 2  # what a row is called: positions in the card's `names`
AGAIN = "run the stage domain again"


@dataclass(frozen=True)
class Domains:
    """The answers of one classifier for one pool; the scores are read when they are asked for."""

    folder: Path
    rows: int
    card: Mapping[str, Any]

    @property
    def names(self) -> tuple[str, str, str]:
        """What rows are called: the first domain, the second, ambiguous."""
        first, second, ambiguous = self.card["names"]
        return first, second, ambiguous

    def scores(
        self, rows: int = atomic.ROW_GROUP
    ) -> Iterator[tuple[int, Float32[np.ndarray, " M"]]]:
        """(first row, scores) of consecutive blocks of at most ``rows`` rows."""
        start = 0
        for batch in atomic.open_parquet(self.folder / POOL).iter_batches(rows):
            score_M = batch.column("score").to_numpy()
            _check_finite(self.folder, score_M, start)
            yield start, score_M
            start += batch.num_rows

    def called(self, rows: int = atomic.ROW_GROUP) -> Iterator[tuple[int, Int8[np.ndarray, " M"]]]:
        """(first row, what the rows are called) of consecutive blocks."""
        limits = self.card["thresholds"]
        for start, score_M in self.scores(rows):
            yield start, called(score_M, limits["first"], limits["second"])


def called(
    score_M: Float32[np.ndarray, " M"], first: float, second: float
) -> Int8[np.ndarray, " M"]:
    """What rows of these scores are: first above ``first``, second below ``second``, strictly."""
    if second > first:
        raise ValueError(f"the thresholds cross: second {second} is above first {first}")
    # float64 scalars, lest a threshold be rounded before the comparison
    above_M, below_M = score_M > np.float64(first), score_M < np.float64(second)
    return np.select([above_M, below_M], [FIRST, SECOND], AMBIGUOUS).astype(np.int8)


def write(
    folder: Path,
    blocks: Iterable[Float32[np.ndarray, " _"]],
    weight_D: Float64[np.ndarray, " D"],
    offset: float,
    card: Mapping[str, Any],
) -> Domains:
    """Write scores block by block; the card gets ``pool_rows``, ``classifier`` and ``called``.

    ``called`` are the numbers of pool rows by what they are called. Memory holds a row group and a
    block. Raises ``ValueError`` for scores that are not finite.
    """
    linear = atomic.encode_json({"weights": weight_D.tolist(), "offset": offset})
    limits, names = card["thresholds"], card["names"]
    count_A, rows = np.zeros(len(names), np.int64), 0
    with atomic.folder(folder) as out:
        with pq.ParquetWriter(out / POOL, SCHEMA, compression="zstd") as writer:
            for group_M in _groups(blocks):
                _check_finite(folder, group_M, rows)
                answer_M = called(group_M, limits["first"], limits["second"])
                count_A += np.bincount(answer_M, minlength=len(names))
                table = pa.table({"score": group_M}, schema=SCHEMA)
                writer.write_table(table, row_group_size=atomic.ROW_GROUP)
                rows += len(group_M)
        (out / CLASSIFIER).write_bytes(linear)
        facts = {
            "pool_rows": rows,
            "classifier": hashlib.sha256(linear).hexdigest(),
            "called": dict(zip(names, count_A.tolist(), strict=True)),
        }
        (out / CARD).write_bytes(atomic.encode_json({**card, **facts}))
    return read(folder)


def read(folder: Path, *, pool: str | None = None) -> Domains:
    """Open the answers of a classifier; ``pool``: the manifest's hash that they must be of.

    Raises ``FileNotFoundError`` for a missing file; ``ValueError`` for answers of another pool, for
    a classifier that is not the card's, and for as many rows as the card does not say.
    """
    card = atomic.read_json(folder / CARD)
    if pool is not None and card.get("pool") != pool:
        raise ValueError(f"{folder}: made from another pool; {AGAIN}")
    if not (folder / CLASSIFIER).exists():
        raise FileNotFoundError(f"{folder / CLASSIFIER}: not found; {AGAIN}")
    found = hashlib.sha256((folder / CLASSIFIER).read_bytes()).hexdigest()
    if card.get("classifier") != found:
        raise ValueError(
            f"{folder}: {CLASSIFIER} has hash {found[:12]}…, the card says "
            f"{str(card.get('classifier'))[:12]}…; {AGAIN}"
        )
    opened = atomic.open_parquet(folder / POOL)
    atomic.check_schema(folder / POOL, opened.schema_arrow, SCHEMA)
    if opened.metadata.num_rows != card.get("pool_rows"):
        raise ValueError(
            f"{folder}: {opened.metadata.num_rows} rows, the card says {card.get('pool_rows')}; "
            f"{AGAIN}"
        )
    return Domains(folder, opened.metadata.num_rows, card)


def classifier(folder: Path) -> tuple[Float64[np.ndarray, " D"], float]:
    """Weights and offset: a row's score is ``weight_D @ embedding_D + offset``."""
    content = atomic.read_json(folder / CLASSIFIER)
    return np.array(content["weights"], np.float64), float(content["offset"])


def _groups(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Whole row groups, so that the file does not depend on how the rows came."""
    held: list[np.ndarray] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += len(block)
        while count >= atomic.ROW_GROUP:
            whole = np.concatenate(held)
            yield whole[: atomic.ROW_GROUP]
            held, count = [whole[atomic.ROW_GROUP :]], count - atomic.ROW_GROUP
    if count:
        yield np.concatenate(held)


def _check_finite(folder: Path, score_M: np.ndarray, start: int) -> None:
    bad = np.flatnonzero(~np.isfinite(score_M))
    if len(bad):
        raise ValueError(
            f"{folder / POOL}: {len(bad)} scores are not finite, first of row {start + bad[0]}"
        )
