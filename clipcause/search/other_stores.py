"""Stores by another encoder: pool, reference and test sets as an entry of `scores` says.

``embeddings/by/<name>/`` gets a store for each, and a card that says how they were made, which is
alone there where the encoder is the main one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clipcause.config import layout
from clipcause.config.embed import Embed
from clipcause.config.engine import Engine
from clipcause.config.other_scores import MAIN, PIXELS, OtherScores
from clipcause.data import dataset
from clipcause.data.manifest import Manifest
from clipcause.embed import checkpoint, embedding, embeddings, projection
from clipcause.embed.embeddings import Embeddings
from clipcause.runtime import atomic
from clipcause.runtime.parallel import cores
from clipcause.search import stores


@dataclass(frozen=True)
class Made:
    """Stores by data set, and what their card says."""

    stores: dict[str, Embeddings]
    encoder: str  # fingerprint
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def without_direction(self) -> dict[str, int]:
        """How many images equal the mean image, by data set; those without any are left out."""
        counts = self.facts.get("without_direction", {})
        return {name.replace("/", "."): count for name, count in counts.items() if count}


def main_stores(datasets: list[str]) -> Made:
    """The stores that `embed` made."""
    name = stores.encoder_name()
    found = stores.load(name, *datasets)
    first = found[0]
    place = str(layout.embeddings(name, ""))
    return Made(
        dict(zip(datasets, found, strict=True)),
        stores.source(first, first.encoder),
        {"place": place},
    )


def by_run(folder: Path, name: str, datasets: list[str], settings: Embed, where: Engine) -> Made:
    """Every data set under the image tower of the run ``name``."""
    stored = checkpoint.read(layout.model(name))
    made = {}
    for one in datasets:
        source = dataset.read(layout.dataset(one))
        parts = embedding.parts(source, stored, settings, where)
        made[one] = embeddings.write(folder / one, parts, source, stored.fingerprint)
    return Made(made, stored.fingerprint)


def by_pixels(
    folder: Path, one: OtherScores, datasets: list[str], settings: Embed, where: Engine
) -> Made:
    """Every data set by the projection of its pixels, centred on the entry's reference."""
    where = where.without_gpu()
    decoders = 1 if where.kind == "ray" else max(1, cores() // where.workers)
    keep = settings.keep_pixels
    sources = {name: dataset.read(layout.dataset(name)) for name in datasets}
    by = projection.centred_on(
        sources[one.reference],
        one.side,
        one.dim,
        one.seed,
        keep=keep,
        where=where,
        decoders=decoders,
    )
    made, alike = {}, dict.fromkeys(datasets, 0)

    def rows(name: str, source: Manifest) -> Iterator[np.ndarray]:
        found = projection.parts(source, by, keep=keep, where=where, decoders=decoders)
        for part, count in found:
            alike[name] += count
            yield part

    for name, source in sources.items():
        made[name] = embeddings.write(folder / name, rows(name, source), source, by.fingerprint)
    return Made(made, by.fingerprint, {"without_direction": alike})


def write(folder: Path, one: OtherScores, tests: list[str], settings: Embed, where: Engine) -> Made:
    """The stores of reference, pool and test sets by the entry, and their card, in ``folder``."""
    datasets = list(dict.fromkeys([one.reference, layout.POOL, *map(layout.test, tests)]))
    if one.encoder == MAIN:
        made = main_stores(datasets)
    elif one.encoder == "run":
        made = by_run(folder, one.run, datasets, settings, where)
    else:
        made = by_pixels(folder, one, datasets, settings, where)
    unused = None if one.encoder == PIXELS else {"side", "dim", "seed"}
    stated = {"scores": one.model_dump(exclude=unused), "encoder": made.encoder, **made.facts}
    atomic.write_json(folder / embeddings.CARD, stated)
    return made
