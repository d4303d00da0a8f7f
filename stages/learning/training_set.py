"""What a run learns from: rows of the pool and the reference, with a text of each; in memory or
streamed.

Shapes: K rows of the split, N images trained on (split and reference), S pixels a side.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from stages.artifacts import cache
from stages.artifacts.classes import ClassNames
from stages.artifacts.dataset import Manifest
from stages.artifacts.split import Split
from stages.learning import models, pixels, tokens
from stages.learning.feed import Data, Feed, Streamed
from stages.learning.models import Clip
from stages.learning.reading import Source
from stages.learning.streams import Streams
from stages.parameters import nearest
from stages.parameters.train import Train

BLOCK = 1 << 22  # rows of a split that are looked at at one time
SUPERVISED = "supervised"


@dataclass(frozen=True)
class Sources:
    """The data that runs draw on."""

    pool: Manifest
    reference: Manifest
    classes: Mapping[str, ClassNames]

    @cached_property
    def reference_classes(self) -> list[str]:
        """The classes of the reference in alphabetic order.

        Raises ``ValueError`` where a row has no label.
        """
        found: set[str | None] = set()
        for position in range(len(self.reference.shards)):
            labels = self.reference.shard_table(position, ["label"])["label"]
            found.update(labels.unique().to_pylist())
        if None in found:
            raise ValueError(
                f"{self.reference.folder}: there are rows without a label, and a reference has "
                "one everywhere"
            )
        return sorted(str(label) for label in found)


@dataclass(frozen=True)
class Plan:
    """One run: rows of the pool, whether the reference is added to them, and how to learn."""

    rows: Split
    add_reference: bool
    objective: str
    seed: int
    train: Train

    @property
    def streamed(self) -> bool:
        """Whether shards are read while the model learns."""
        return self.train.data == "stream"


def rows_sha256(rows: Split, count: int) -> str:
    """SHA-256 of the rows as 64-bit little-endian integers, block by block."""
    digest = hashlib.sha256()
    for start in range(0, count, BLOCK):
        inside = rows.within(start, min(start + BLOCK, count))
        digest.update((np.flatnonzero(inside) + start).astype("<i8").tobytes())
    return digest.hexdigest()


def reference_captions(sources: Sources, plan: Plan) -> dict[str, str]:
    """The caption of every class of the reference, where it is added to captions."""
    if not plan.add_reference or plan.objective == SUPERVISED:
        return {}
    for label in sources.reference_classes:
        if label not in sources.classes:
            raise ValueError(
                f"{sources.reference.folder}: label {label!r} is not in the list of classes; "
                f"{nearest(label, sources.classes)}"
            )
    template = plan.train.reference_caption
    return {
        label: template.replace("{name}", sources.classes[label].name)
        for label in sources.reference_classes
    }


def captions_key(sources: Sources, plan: Plan) -> str:
    """A hash of the reference's captions: a class that is renamed changes them, nothing else tells.

    In memory it is that of every row's caption, as it has always been; of streams, which hold no
    column of a data set, that of every class's.
    """
    named = reference_captions(sources, plan)
    if plan.streamed or not named:
        return cache.key(named or [])
    return cache.key([named[label] for label in _labels(sources)])


def model(sources: Sources, plan: Plan) -> Clip:
    """A new model. Its vocabulary comes from the whole pool: runs on any split share it."""
    train = plan.train
    with tempfile.TemporaryDirectory() as folder:
        merges = None if train.merges == "clip" else Path(folder, tokens.MERGES)
        if merges is not None and train.merges != "clip":
            source = sources.reference if plan.objective == SUPERVISED else sources.pool
            tokens.write(merges, tokens.learn_shardwise(_captions(source), train.merges))
        return models.create(
            train.model.config(),
            merges,
            image_size=train.image_size,
            seed=plan.seed,
            published=train.model.named,
        )


def feed(sources: Sources, plan: Plan, clip: Clip, loaders: int = 0) -> Feed:
    """The training set of a run for a model; streams are read by ``loaders`` processes."""
    if plan.streamed:
        return _streamed(sources, plan, clip, loaders)
    if plan.objective == SUPERVISED:
        classes = {label: index for index, label in enumerate(sources.reference_classes)}
        target = np.array([classes[label] for label in _labels(sources)], np.int64)
        return Data(pixels.load(sources.reference, clip.view, label="reference"), target)
    rows = plan.rows.rows
    added = np.arange(len(sources.reference) if plan.add_reference else 0)
    kept, view = rows.size, clip.view
    images = np.empty((kept + added.size, view.size, view.size, 3), np.uint8)
    pixels.gather(sources.pool, view, rows, images[:kept], label="pool")
    pixels.gather(sources.reference, view, added, images[kept:], label="reference")
    everything = sources.pool.captions
    captions = [everything[row] for row in rows]
    if named := reference_captions(sources, plan):
        captions += [named[label] for label in _labels(sources)]
    return Data(images, tokens.encode(clip.tokenizer, captions))


def _streamed(sources: Sources, plan: Plan, clip: Clip, loaders: int) -> Streamed:
    train = plan.train
    count = len(sources.pool)
    chosen: list[Source] = []
    classes: dict[str, int] = {}
    if plan.objective == SUPERVISED:
        names = sources.reference_classes
        classes = {label: index for index, label in enumerate(names)}
        chosen.append(Source(sources.reference, None, 0, dict(zip(names, names, strict=True))))
    else:
        chosen.append(Source(sources.pool, plan.rows, 0, None))
        if named := reference_captions(sources, plan):
            chosen.append(Source(sources.reference, None, count, named))
    parts = [part for number, source in enumerate(chosen) for part in source.parts(number)]
    streams = Streams(parts, train.streams, plan.seed, train.shuffle)
    tokenizer = None if plan.objective == SUPERVISED else clip.tokenizer
    return Streamed(tuple(chosen), streams, clip.view, tokenizer, classes, loaders)


def _labels(sources: Sources) -> Iterator[str]:
    """The label of every row of the reference, none of which is missing."""
    _ = sources.reference_classes
    return (str(label) for label in sources.reference.labels)


def _captions(manifest: Manifest) -> Iterator[Iterable[str]]:
    for position in range(len(manifest.shards)):
        yield manifest.shard_table(position, ["caption"])["caption"].to_pylist()
