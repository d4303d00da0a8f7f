"""scores@NAME: the scores of all test sets by another encoder, another reference, or both.

In: pool, the entry's reference and the test sets, and what its encoder needs: the main
embeddings, or the checkpoint of a run. Out: ``scores/<name>/<test>/``, scores as `similarity`
writes them; ``embeddings/by/<name>/``, the stores that they were made from and a card that says
how, which is alone there where the encoder is the main one; ``metrics/scores/<name>.json``.

Hull, near, far and core rules read these scores where they name the entry. What `gap`,
`density` and the report's plots over similarity show stays measured by the main encoder.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clipcause.config import engine, layout, other_scores, section, study
from clipcause.config.embed import Embed
from clipcause.config.engine import Engine
from clipcause.config.other_scores import MAIN, PIXELS, OtherScores
from clipcause.config.similarity import Similarity
from clipcause.data import dataset
from clipcause.data.manifest import Manifest
from clipcause.embed import checkpoint, embedding, embeddings, projection
from clipcause.embed.embeddings import Embeddings
from clipcause.runtime import atomic, metrics, versions
from clipcause.runtime.entry import run
from clipcause.runtime.parallel import cores
from clipcause.search import scoring, stores


@dataclass(frozen=True)
class Made:
    """Stores by data set, and what their card says."""

    stores: dict[str, Embeddings]
    encoder: str  # fingerprint
    facts: dict[str, Any] = field(default_factory=dict)


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


def stores_of(name: str, one: OtherScores, tests: list[str], where: Engine) -> Made:
    """The stores of reference, pool and test sets by the entry, and their card."""
    folder, settings = layout.embeddings_by(name), section("embed", Embed)
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


def main(name: str) -> str:
    """Score the pool against every test set as the entry ``name`` says."""
    one, settings = other_scores.load(name), section("similarity", Similarity)
    versions.check(*versions.LEARNING)
    where, tests = engine.current(), study.suite()
    made = stores_of(name, one, tests, where)
    pool, reference = made.stores[layout.POOL], made.stores[one.reference]
    inside = {
        test: scoring.write(
            layout.scores(name) / test,
            pool,
            reference,
            made.stores[layout.test(test)],
            settings.block_rows,
            where,
        )
        for test in tests
    }
    metrics.write(layout.metrics("scores", name), {"in_hull": inside, **alike_of(made)})
    told = ", ".join(f"{test} {count:,}" for test, count in inside.items())
    without = sum(alike_of(made).get("without_direction", {}).values())
    more = f"; {without:,} images equal the mean image and have no direction" if without else ""
    return f"{layout.scores(name)}, of {len(pool):,} pool rows in the hulls: {told}{more}"


def alike_of(made: Made) -> dict[str, dict[str, int]]:
    """The images without a direction by data set, as metrics; nothing where there are none."""
    counts = made.facts.get("without_direction", {})
    found = {name.replace("/", "."): count for name, count in counts.items() if count}
    return {"without_direction": found} if found else {}


if __name__ == "__main__":
    run(main)
