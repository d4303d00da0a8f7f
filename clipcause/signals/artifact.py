"""``signals/<name>/``: a value for every pool row, and what it is.

``pool.parquet`` is row-aligned with the pool's manifest (``value``: float32, null for a row that
has none); ``card.json`` has the hash of the pool's manifest, the kind and its parameters, the base,
the encoder's fingerprint and the kind's numbers and facts; arrays of the kind lie beside
(``centres.npy``, ``cluster.npy``).

Shapes: N pool rows, M consecutive ones of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from clipcause.embed import embeddings
from clipcause.runtime import atomic

POOL = "pool.parquet"
CARD = "card.json"
SCHEMA = pa.schema([("value", pa.float32())])
AGAIN = "run the stage signal again"


@dataclass(frozen=True)
class Values:
    """The values of one signal for one pool; they are read when they are asked for."""

    folder: Path
    rows: int
    card: Mapping[str, Any]

    def blocks(
        self, rows: int = atomic.ROW_GROUP
    ) -> Iterator[tuple[int, Float32[np.ndarray, " M"]]]:
        """(first row, values) of consecutive blocks of at most ``rows`` rows; NaN for none."""
        start = 0
        for batch in atomic.open_parquet(self.folder / POOL).iter_batches(rows):
            yield start, batch.column("value").to_numpy(zero_copy_only=False).astype(np.float32)
            start += batch.num_rows

    def all(self) -> Float32[np.ndarray, " N"]:
        """The values of all rows; NaN for none."""
        return np.concatenate([value_M for _, value_M in self.blocks()])

    def array(self, name: str) -> np.ndarray:
        """An array of the kind; ``FileNotFoundError`` where it has none of that name."""
        path = self.folder / f"{name}.npy"
        if not path.exists():
            raise FileNotFoundError(f"{path}: not found; {self.card['kind']} has no {name}")
        return np.load(path, allow_pickle=False)


def write(
    folder: Path,
    value_N: Float32[np.ndarray, " N"],
    arrays: Mapping[str, np.ndarray],
    card: Mapping[str, Any],
) -> Values:
    """Write the values, NaN as null. Raises ``ValueError`` for values that are infinite."""
    if np.isinf(value_N).any():
        row = int(np.flatnonzero(np.isinf(value_N))[0])
        raise ValueError(f"{folder}: the value of row {row} is infinite")
    with atomic.folder(folder) as out:
        column = pa.array(value_N, pa.float32(), from_pandas=True)  # which says that NaN is none
        atomic.write_parquet(out / POOL, pa.table([column], schema=SCHEMA))
        for name in sorted(arrays):
            embeddings.save(out / f"{name}.npy", np.ascontiguousarray(arrays[name]))
        (out / CARD).write_bytes(atomic.encode_json({**card, "pool_rows": len(value_N)}))
    return read(folder)


def read(folder: Path, *, pool: str | None = None) -> Values:
    """Open a signal; ``pool``: the manifest's hash that it must be of.

    Raises ``FileNotFoundError`` for a missing file, ``ValueError`` for a signal of another pool or
    of as many rows as its card does not say.
    """
    card = atomic.read_json(folder / CARD)
    if pool is not None and card.get("pool") != pool:
        raise ValueError(f"{folder}: made from another pool; {AGAIN}")
    opened = atomic.open_parquet(folder / POOL)
    atomic.check_schema(folder / POOL, opened.schema_arrow, SCHEMA)
    if opened.metadata.num_rows != card.get("pool_rows"):
        raise ValueError(
            f"{folder}: {opened.metadata.num_rows} rows, the card says {card.get('pool_rows')}; "
            f"{AGAIN}"
        )
    return Values(folder, opened.metadata.num_rows, card)
