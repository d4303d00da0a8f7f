"""Density: how many pool rows lie above every test image's threshold, and just under it.

``density/<encoder>/<reference>/<test>/`` holds ``test.parquet``, row-aligned with the test set's
manifest: ``row``, then of the whole pool ``above`` and ``within_<band>`` for every band, then the
same of the rows of a base split, with its name before them (``dedup_above``); and ``card.json``:
the fingerprint of the encoder, the SHA-256 of the manifests of pool, reference and test, the bands,
the base split's name and the numbers of rows.

A row is above where its similarity to the test image is greater than the threshold, the image's
similarity to its nearest reference image; it is within a band b where threshold - b < similarity
<= threshold. Bands hold one another.

Shapes: Q test images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from clipcause.runtime import atomic

TEST = "test.parquet"
CARD = "card.json"
SOURCES = ("encoder", "pool", "reference", "test")
ABOVE = "above"


@dataclass(frozen=True)
class Density:
    """The counts of one test set. Columns are those of ``columns``, without the base's name."""

    folder: Path
    pool: Mapping[str, Int64[np.ndarray, " Q"]]  # of all rows
    base: Mapping[str, Int64[np.ndarray, " Q"]]  # of the rows of the base split
    card: Mapping[str, Any]

    @property
    def bands(self) -> list[float]:
        """Their widths, ascending."""
        return self.card["bands"]

    @property
    def images(self) -> int:
        """How many test images there are."""
        return len(self.pool[ABOVE])


def within(band: float) -> str:
    """The column of a band."""
    return f"within_{band!r}"


def columns(bands: Sequence[float]) -> list[str]:
    """The columns of counts: above, then the bands."""
    return [ABOVE, *map(within, bands)]


def write(
    folder: Path,
    pool: Mapping[str, Int64[np.ndarray, " Q"]],
    base: Mapping[str, Int64[np.ndarray, " Q"]],
    card: Mapping[str, Any],
) -> None:
    """Write the counts of one test set, whole or not at all.

    ``card`` has the keys ``SOURCES``, ``bands``, ``base`` (its name), ``pool_rows`` and
    ``base_rows``. Raises ``ValueError`` for what it lacks, and for counts that cannot be.
    """
    table = _table(pool, base, card)
    card = {**card, "test_rows": len(pool[ABOVE])}
    _check(folder, Density(folder, pool, base, card))
    with atomic.folder(folder) as out:
        atomic.write_parquet(out / TEST, table)
        (out / CARD).write_bytes(atomic.encode_json(card))


def read(folder: Path) -> Density:
    """The counts of one test set.

    Raises ``FileNotFoundError`` where they are missing, ``ValueError`` as ``write`` does.
    """
    card = atomic.read_json(folder / CARD)
    names = columns(_bands(folder, card))
    of_base = [f"{card.get('base')}_{name}" for name in names]
    table = atomic.read_parquet(folder / TEST, _schema([*names, *of_base]))
    found = Density(
        folder,
        {name: table[name].to_numpy() for name in names},
        {name: table[stored].to_numpy() for name, stored in zip(names, of_base, strict=True)},
        card,
    )
    if not np.array_equal(table["row"].to_numpy(), np.arange(table.num_rows)):
        raise ValueError(f"{folder / TEST}: row does not count from 0; {_AGAIN}")
    _check(folder, found)
    return found


_AGAIN = "run the density stage again"


def _schema(names: Sequence[str]) -> pa.Schema:
    return pa.schema([(name, pa.int64()) for name in ("row", *names)])


def _table(
    pool: Mapping[str, np.ndarray], base: Mapping[str, np.ndarray], card: Mapping[str, Any]
) -> pa.Table:
    named = {f"{card['base']}_{name}": counts for name, counts in base.items()}
    every = {"row": np.arange(len(pool[ABOVE])), **pool, **named}
    return pa.table(every, schema=_schema([*pool, *named]))


def _bands(folder: Path, card: Mapping[str, Any]) -> list[float]:
    bands = card.get("bands")
    if not isinstance(bands, list) or bands != sorted(bands) or not bands:
        raise ValueError(f"{folder / CARD}: its bands are {bands}; {_AGAIN}")
    return bands


def _check(folder: Path, found: Density) -> None:
    for source in (*SOURCES, "base"):
        if not found.card.get(source):
            raise ValueError(f"{folder}: the card does not state {source!r}")
    if (stated := found.card.get("test_rows")) != found.images:
        raise ValueError(f"{folder}: {found.images} test_rows, the card says {stated}; {_AGAIN}")
    names = columns(_bands(folder, found.card))
    for counts, rows in ((found.pool, "pool_rows"), (found.base, "base_rows")):
        if list(counts) != names:
            raise ValueError(f"{folder}: columns {', '.join(counts)}, not {', '.join(names)}")
        above_Q, *bands = counts.values()
        previous_Q = np.zeros_like(above_Q)
        for name, band_Q in zip(names[1:], bands, strict=True):
            _refuse(folder, f"{name} is less than a narrower band", band_Q < previous_Q)
            previous_Q = band_Q
        _refuse(folder, "above is negative", above_Q < 0)
        _refuse(folder, f"more rows than {rows}", above_Q + previous_Q > found.card[rows])
    for name in names:
        more_Q = found.base[name] > found.pool[name]
        _refuse(folder, f"{name} of the base is more than of the pool", more_Q)


def _refuse(folder: Path, fault: str, bad_Q: np.ndarray) -> None:
    if bad_Q.any():
        raise ValueError(
            f"{folder / TEST}: {fault} in {bad_Q.sum()} of {len(bad_Q)} rows, first in row "
            f"{np.flatnonzero(bad_Q)[0]}; {_AGAIN}"
        )
