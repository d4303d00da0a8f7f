"""What a run learns from: rows of the pool and the reference, with a text or a class of each; in
memory or streamed.

A supervised run without rows of the pool learns the reference's classes. With rows its classes are
all that the pool's labels name (and the reference's, where it is added), those that the split has
no row of among them: runs on all splits tell the same classes apart.

Shapes: N images trained on (split and reference), S pixels a side, C classes.
"""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int64, UInt8

from clipcause.captions.classes import ClassNames
from clipcause.config import nearest
from clipcause.config.captions import Captions
from clipcause.config.objective import Learning
from clipcause.config.objectives import OBJECTIVES
from clipcause.config.runs import ALL, Text, Vocabulary
from clipcause.config.train import Optimiser, Train
from clipcause.data import every_caption
from clipcause.data.dataset import Manifest
from clipcause.embed import models, pixels, tokens
from clipcause.embed.checkpoint import Checkpoint
from clipcause.embed.models import Clip
from clipcause.embed.pixels import View
from clipcause.prune import split
from clipcause.prune.split import Split
from clipcause.runtime import shard_cache as cache
from clipcause.train import texts
from clipcause.train.feed import Data, Feed, Several, Streamed, Views
from clipcause.train.locked_text import take_text
from clipcause.train.reading import Source
from clipcause.train.streams import Streams
from clipcause.train.texts import Texts, Written

BLOCK = 1 << 22  # rows of a split that are looked at at one time
CAPTIONS, LABELS, IMAGES = "captions", "labels", "images"  # what runs learn from


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
        found = _classes(self.reference)
        if None in found:
            raise ValueError(
                f"{self.reference.folder}: there are rows without a label, and a reference has "
                "one everywhere"
            )
        return sorted(str(label) for label in found)

    @cached_property
    def pool_classes(self) -> list[str]:
        """The classes that the labels of the pool name, in alphabetic order."""
        return sorted(label for label in _classes(self.pool) if label is not None)


@dataclass(frozen=True)
class Plan:
    """One run: rows of the pool, whether the reference is added to them, and how to learn."""

    rows: Split
    add_reference: bool
    objective: str
    seed: int
    train: Train
    captions: Captions = field(default_factory=Captions)
    text: Text = "random"
    text_from: Checkpoint | None = None  # whose text tower it is, where that is not random
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    prototypes: Literal["all"] | int = ALL
    own: Mapping[str, Any] = field(default_factory=dict)  # by the keys of its objective alone

    @property
    def kind(self) -> type[Learning]:
        """What the objective says of its runs."""
        kind = OBJECTIVES.models[self.objective]
        assert issubclass(kind, Learning)
        return kind

    @property
    def streamed(self) -> bool:
        """Whether shards are read while the model learns."""
        return self.train.data == "stream"

    @property
    def optimiser(self) -> Optimiser:
        """The settings of the run's objective. Raises ``ValueError`` where there are none."""
        section = self.kind.section
        settings = getattr(self.train, section)
        if settings is None:
            raise ValueError(
                f"a {self.objective} run needs the section train.{section}, and it is missing"
            )
        return settings


def rows_sha256(rows: Split, count: int) -> str:
    """SHA-256 of the rows as 64-bit little-endian integers, block by block."""
    digest = hashlib.sha256()
    for start in range(0, count, BLOCK):
        inside = rows.within(start, min(start + BLOCK, count))
        digest.update((np.flatnonzero(inside) + start).astype("<i8").tobytes())
    return digest.hexdigest()


def reference_captions(sources: Sources, plan: Plan) -> dict[str, str]:
    """The caption of every class of the reference, where it is added to captions."""
    if not plan.add_reference or plan.kind.learns != CAPTIONS:
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


def classes(sources: Sources, plan: Plan) -> list[str]:
    """The classes of a supervised run, in alphabetic order."""
    if not len(plan.rows):
        return sources.reference_classes
    added = sources.reference_classes if plan.add_reference else []
    return sorted({*sources.pool_classes, *added})


def class_counts(sources: Sources, plan: Plan) -> Int64[np.ndarray, " C"]:
    """The rows that a supervised run has of each of its classes, counted shard by shard."""
    counts: Counter[str] = Counter()
    whole = split.everything(len(sources.reference) if plan.add_reference else 0)
    for manifest, rows in ((sources.pool, plan.rows), (sources.reference, whole)):
        for position, inside_M in texts.shards(manifest, rows):
            labels = manifest.shard_table(position, ["label"])["label"].to_pylist()
            counts.update(labels[index] for index in np.flatnonzero(inside_M))
    return np.array([counts[label] for label in classes(sources, plan)], np.int64)


def captions(sources: Sources, plan: Plan) -> Texts | None:
    """What makes the captions of the pool's rows; None where they are the manifest's own."""
    if plan.kind.learns != CAPTIONS:
        return None
    return texts.make(plan.captions, plan.seed, sources.classes)


def model(sources: Sources, plan: Plan) -> Clip:
    """A new model. Its vocabulary comes from the whole pool: runs on any split share it.

    Where it has another's text tower it has that one's vocabulary too.
    """
    train = plan.train
    given = plan.text_from if plan.kind.learns == CAPTIONS else None
    with tempfile.TemporaryDirectory() as folder:
        merges = Path(folder, tokens.MERGES)
        if given is not None:
            if tokens.MERGES in given.card["files"]:
                merges.write_bytes(given.file(tokens.MERGES))
        elif train.merges != "clip":
            alone = plan.kind.learns == LABELS and not len(plan.rows)
            source = sources.reference if alone else sources.pool
            tokens.write(merges, tokens.learn_shardwise(_captions(source), train.merges))
        made = models.create(
            {**plan.kind.logits, **train.model.config()},
            merges if merges.exists() else None,
            image_size=train.image_size,
            seed=plan.seed,
            published=train.model.named,
        )
    if given is not None:
        take_text(made, given, frozen=plan.text == "frozen")
    return made


def feed(sources: Sources, plan: Plan, clip: Clip, loaders: int = 0) -> Feed:
    """The training set of a run for a model; streams are read by ``loaders`` processes."""
    if plan.streamed:
        return _streamed(sources, plan, clip, loaders)
    images = _images(sources, plan, clip.view)
    if plan.kind.learns == IMAGES and plan.train.dino is not None:
        return Views(images, plan.train.dino)
    if plan.kind.learns == LABELS:
        place = {label: index for index, label in enumerate(classes(sources, plan))}
        labels = sources.pool.labels if len(plan.rows) else []
        known = [place[str(labels[row])] for row in plan.rows.rows]
        known += [place[label] for label in _labels(sources)] if plan.add_reference else []
        return Data(images, np.array(known, np.int64))
    written = texts.of_rows(captions(sources, plan), sources.pool, plan.rows)
    named = reference_captions(sources, plan)
    added = [named[label] for label in _labels(sources)] if named else []
    whole = Written(
        written.texts + added, np.concatenate([written.count_N, np.ones(len(added), np.int64)])
    )
    several = None
    if whole.several:
        number_N = np.concatenate([plan.rows.rows, len(sources.pool) + np.arange(len(added))])
        several = Several(whole.starts, whole.count_N, number_N)
    return Data(images, tokens.encode(clip.tokenizer, whole.texts), several)


def _images(sources: Sources, plan: Plan, view: View) -> UInt8[np.ndarray, "N S S 3"]:
    """The rows of the split, then those of the reference where it is added."""
    rows = plan.rows.rows
    added = np.arange(len(sources.reference) if plan.add_reference else 0)
    images = np.empty((rows.size + added.size, view.size, view.size, 3), np.uint8)
    pixels.gather(sources.pool, view, rows, images[: rows.size], label="pool")
    pixels.gather(sources.reference, view, added, images[rows.size :], label="reference")
    return images


def _streamed(sources: Sources, plan: Plan, clip: Clip, loaders: int) -> Streamed:
    train = plan.train
    chosen: list[Source] = []
    place: dict[str, int] = {}
    named: Mapping[str, str] | None = None
    added: Mapping[str, str] = reference_captions(sources, plan)
    if plan.kind.learns == LABELS:
        names = classes(sources, plan)
        place = {label: index for index, label in enumerate(names)}
        named = dict(zip(names, names, strict=True))
        added = named if plan.add_reference else {}
    if len(plan.rows) or plan.kind.learns != LABELS:
        made = captions(sources, plan)
        chosen.append(Source(sources.pool, plan.rows, 0, named, made))
    if added:
        first = len(sources.pool) if chosen else 0
        chosen.append(Source(sources.reference, None, first, added))
    parts = [part for number, source in enumerate(chosen) for part in source.parts(number)]
    streams = Streams(parts, train.streams, plan.seed, train.shuffle)
    tokenizer = None if plan.kind.learns == LABELS else clip.tokenizer
    return Streamed(tuple(chosen), streams, clip.view, tokenizer, place, loaders)


def _labels(sources: Sources) -> Iterator[str]:
    """The label of every row of the reference, none of which is missing."""
    _ = sources.reference_classes
    return (str(label) for label in sources.reference.labels)


def _classes(manifest: Manifest) -> set[str | None]:
    found: set[str | None] = set()
    for position in range(len(manifest.shards)):
        labels = manifest.shard_table(position, ["label"])["label"]
        found.update(labels.unique().to_pylist())
    return found


def _captions(manifest: Manifest) -> Iterator[Iterable[str]]:
    for position in range(len(manifest.shards)):
        yield every_caption.of_shard(manifest, position).texts.to_pylist()
