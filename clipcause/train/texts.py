"""The text of every row of the pool that a run learns: from its pieces, or from its class's name.

What is drawn (a template, one of the class's names) is drawn once per row, from seed and row
alone, so that data in memory and data that are streamed have the same captions. Of a picture that
has several captions one is drawn every time that it is seen, from seed, pass and row of the pool:
the same in memory, in streams, and in splits that share the row. Pieces beside the manifest's
captions are read from the samples' JSON, once, and kept shard by shard in the shard cache.

Shapes: M rows of a shard, N rows, T texts of them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int64

from clipcause.captions.classes import ClassNames
from clipcause.config import nearest
from clipcause.config.captions import CAPTION, Captions
from clipcause.data import every_caption
from clipcause.data.manifest import Manifest
from clipcause.data.samples import originals
from clipcause.evaluate import zeroshot
from clipcause.prune.split import Split
from clipcause.runtime import code
from clipcause.runtime import shard_cache as cache
from clipcause.train import order

TURN = 1 << 62  # no pass of a run: these numbers are not those by which images are moved


class Written(NamedTuple):
    """Texts of rows, row after row: of most rows one."""

    texts: list[str]
    count_N: Int64[np.ndarray, " N"]

    @property
    def starts(self) -> Int64[np.ndarray, " N"]:
        """The position of every row's first text."""
        return np.cumsum(self.count_N) - self.count_N

    @property
    def several(self) -> bool:
        """Whether a row has more than one."""
        return len(self.texts) > len(self.count_N)

    def drawn(self, seed: int, turn: int, row_N: Int64[np.ndarray, " N"]) -> list[str]:
        """The text of every row in a pass; ``row_N`` are the rows' numbers in their manifest."""
        if not self.several:
            return self.texts
        index_N = order.drawn(seed, np.full_like(row_N, turn), row_N, self.count_N)
        return [self.texts[place] for place in (self.starts + index_N).tolist()]


@dataclass(frozen=True)
class Texts:
    """Makes the captions of a run; it can be sent to a loader process.

    ``names`` are those of every class from which one is drawn: one where there are no synonyms.
    """

    captions: Captions
    seed: int
    templates: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]]

    def shard(self, manifest: Manifest, position: int) -> Written:
        """The texts of every row of a shard; empty where it has none, or needs a class and has none
        of the list's."""
        start, stop = manifest.starts[position : position + 2]
        natural = self.captions.kind == "natural"
        one_M = np.ones(stop - start, np.int64)
        written = (
            self._natural(manifest, position) if natural else Written([""] * len(one_M), one_M)
        )
        if not self.captions.of_class:
            return written
        random_M2 = order.uniform(self.seed, np.full(stop - start, TURN), np.arange(start, stop), 2)
        labels = manifest.shard_table(position, ["label"])["label"].to_pylist()
        of_row_T = np.repeat(np.arange(stop - start), written.count_N).tolist()
        made = []
        for row, text in zip(of_row_T, written.texts, strict=True):
            first, second = random_M2[row].tolist()
            names = self.names.get(labels[row])
            if names is None:
                made.append("")
                continue
            name = names[first % len(names)]
            if natural:
                made.append(f"{name} {text}".strip())
            else:
                template = self.templates[second % len(self.templates)]
                made.append(template.replace("{name}", name))
        return Written(made, written.count_N)

    def _natural(self, manifest: Manifest, position: int) -> Written:
        captions = self.captions
        pieces = pieces_of(manifest, position, captions)
        rows = len(next(iter(pieces.values())))
        row_T = np.arange(rows)
        if CAPTION in pieces and captions.several == "draw":
            pieces[CAPTION], row_T = _own(manifest, position)
        columns = [
            pieces[piece] if piece == CAPTION else [pieces[piece][row] for row in row_T.tolist()]
            for piece in captions.pieces
        ]
        joined = [" ".join(part for part in parts if part) for parts in zip(*columns, strict=True)]
        return Written(joined, np.bincount(row_T, minlength=rows))


def of_shard(made: Texts | None, manifest: Manifest, position: int) -> Written:
    """The texts of every row of a shard; those of the manifest where nothing makes others."""
    if made is not None:
        return made.shard(manifest, position)
    texts, row_T = _own(manifest, position)
    start, stop = manifest.starts[position : position + 2]
    return Written(texts, np.bincount(row_T, minlength=stop - start))


def _own(manifest: Manifest, position: int) -> tuple[list[str], Int64[np.ndarray, " T"]]:
    """All captions of a shard, and the row of each, counted from the shard's first."""
    found = every_caption.of_shard(manifest, position)
    texts = [text or "" for text in found.texts.to_pylist()]
    return texts, found.row_T - manifest.starts[position]


def make(captions: Captions, seed: int, classes: Mapping[str, ClassNames]) -> Texts | None:
    """What makes a run's captions; None where they are the manifest's own."""
    if not captions.stated():
        return None
    return Texts(
        captions, seed, tuple(zeroshot.named(captions.templates)), named(captions, classes)
    )


def named(captions: Captions, classes: Mapping[str, ClassNames]) -> dict[str, tuple[str, ...]]:
    """The names of every class of a list from which captions draw."""
    return {
        key: (captions.synonyms and tuple(entry.names)) or (entry.name,)
        for key, entry in classes.items()
    }


def pieces_of(manifest: Manifest, position: int, captions: Captions) -> dict[str, list[str]]:
    """The pieces of a shard's rows by name, empty where a row has none; lists are joined. Of
    several captions it is the first."""
    found: dict[str, list[str]] = {}
    if CAPTION in captions.pieces:
        column = manifest.shard_table(position, [CAPTION])[CAPTION]
        found[CAPTION] = [text or "" for text in column.to_pylist()]
    if keys := captions.facts:
        table = _facts(manifest, position, keys)
        found |= {key: table[key].to_pylist() for key in keys}
    return found


def check(texts: Texts, manifest: Manifest, rows: Split) -> list[str]:
    """What is to be said of the captions of a split's rows: pieces that some do without, counted.

    Raises ``ValueError`` with counts for a piece that no row has, for rows that need a class and
    have none, or one that is not in the list, and for rows without any text.
    """
    captions = texts.captions
    if captions.of_class:
        check_labels(manifest, rows, texts.names)
    if captions.kind == "template":
        return []
    missing: Counter[str] = Counter()
    empty = 0
    for position, inside_M in shards(manifest, rows):
        for piece, values in pieces_of(manifest, position, captions).items():
            missing[piece] += _without(values, inside_M)
        written = texts.shard(manifest, position)
        empty += _without([written.texts[place] for place in written.starts.tolist()], inside_M)
    for piece in captions.facts:
        if len(rows) and missing[piece] == len(rows):
            raise ValueError(
                f"captions.pieces: none of the {len(rows):,} rows has {piece!r} in its JSON; "
                f"{nearest(piece, [CAPTION, *_keys(manifest)])}"
            )
    if empty:
        raise ValueError(
            f"captions.pieces: {empty:,} of {len(rows):,} rows have none of "
            f"{', '.join(captions.pieces)}; add a piece that every row has, such as {CAPTION}"
        )
    return [
        f"captions: {missing[piece]:,} of {len(rows):,} rows have no {piece}, and do without"
        for piece in captions.pieces
        if missing[piece]
    ]


def check_labels(manifest: Manifest, rows: Split, classes: Mapping[str, Any] | None = None) -> None:
    """Raise ``ValueError`` where rows have no class, or one that is not among ``classes``."""
    null = 0
    for position, inside_M in shards(manifest, rows):
        labels = manifest.shard_table(position, ["label"])["label"].filter(pa.array(inside_M))
        null += labels.null_count
        for label in labels.unique().drop_null().to_pylist() if classes is not None else ():
            if classes is not None and label not in classes:
                raise ValueError(
                    f"{manifest.folder}: label {label!r} is not in the list of classes; "
                    f"{nearest(label, classes)}"
                )
    if null:
        raise ValueError(
            f"{null:,} of the split's {len(rows):,} rows have no class, and the run needs one of "
            "each; take a split by rule classes, by label"
        )


def of_rows(made: Texts | None, manifest: Manifest, rows: Split) -> Written:
    """The texts of a split's rows in their order."""
    texts: list[str] = []
    counts = [np.empty(0, np.int64)]
    for position, inside_M in shards(manifest, rows):
        whole = of_shard(made, manifest, position)
        inside_T = np.repeat(inside_M, whole.count_N)
        texts += [whole.texts[place] for place in np.flatnonzero(inside_T).tolist()]
        counts.append(whole.count_N[inside_M])
    return Written(texts, np.concatenate(counts))


def shards(manifest: Manifest, rows: Split) -> Iterator[tuple[int, Bool[np.ndarray, " M"]]]:
    """The shards that have rows of a split, and which."""
    for position in range(len(manifest.shards)):
        start, stop = manifest.starts[position : position + 2]
        if rows.bitmap.range_cardinality(start, stop):
            yield position, rows.within(start, stop)


def _without(values: Sequence[str], inside_M: Bool[np.ndarray, " M"]) -> int:
    return int((inside_M & ~np.array([bool(text) for text in values])).sum())


def _facts(manifest: Manifest, position: int, keys: Sequence[str]) -> pa.Table:
    """Texts from the JSON of a shard's rows, a column a key; from the cache where it has them."""
    entry = manifest.shards[position]
    made_by = code.of(__name__)
    shard = entry.sha256, entry.samples, entry.rows
    path = cache.entry(cache.key(made_by, list(keys), *shard), cache.TABLE.suffix)
    if (kept := cache.TABLE.load(path)) is not None:
        return kept
    facts = [one.facts or {} for one in originals(manifest, position, np.ones(shard[1], bool))]
    table = pa.table({key: [_words(one.get(key)) for one in facts] for key in keys})
    cache.TABLE.save(path, table)
    return table


def _words(value: Any) -> str:
    """A piece as text; what is neither text nor number, nor a list of such, is none."""
    if isinstance(value, list):
        return " ".join(word for word in map(_words, value) if word)
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _keys(manifest: Manifest) -> list[str]:
    """The keys of the JSON of the first shard's samples."""
    first = originals(manifest, 0, np.ones(manifest.shards[0].samples, bool))
    return sorted({key for one in first for key in one.facts or {}})
