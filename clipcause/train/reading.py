"""Reading streams: from shards and captions to samples, with a window of rows in memory.

While a window is drawn from, the next one is read at the same pace, so that a stream holds as many
compressed images as a window has rows, and no batch waits for a whole window to be read. Beside
that there is one shard's part of the manifest; no column of a whole pool is ever held.

Everything here can be sent to a loader process.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from clipcause.data.manifest import Manifest
from clipcause.prune.split import Split
from clipcause.train import texts
from clipcause.train.streams import Part, Streams, Window
from clipcause.train.texts import Texts


class Pair(NamedTuple):
    """One image-text pair of a stream."""

    turn: int  # the pass of its stream
    row: int  # its number among all rows of all sources
    image: bytes
    text: str  # its caption or, of a supervised run, its class
    origin: tuple[int, int, int]  # source, shard and row in the manifest, for errors


@dataclass(frozen=True)
class Source:
    """A data set that a run learns from."""

    manifest: Manifest
    kept: Split | None  # None: every row
    first: int  # the number of its first row among all rows of all sources
    named: Mapping[str, str] | None  # None: captions; else the text of every class
    captions: Texts | None = None  # None: the manifest's own

    def parts(self, number: int) -> list[Part]:
        """Its shards, as source ``number``."""
        shards = range(len(self.manifest.shards))
        return [Part(number, position, self._count(position)) for position in shards]

    def _count(self, position: int) -> int:
        start, stop = self.manifest.starts[position : position + 2]
        if self.kept is None or start == stop:
            return stop - start
        return int(self.kept.bitmap.range_cardinality(start, stop))

    def inside(self, position: int) -> Bool[np.ndarray, " M"]:
        """Which rows of a shard are kept."""
        start, stop = self.manifest.starts[position : position + 2]
        if self.kept is None:
            return np.ones(stop - start, bool)
        return self.kept.within(start, stop)

    def texts(self, position: int, seed: int = 0, turn: int = 0) -> list[str]:
        """The texts of a shard's rows in a pass, of which those that are kept have one.

        Raises ``ValueError`` for a kept row without a known class.
        """
        if self.named is None:
            row_M = np.arange(*self.manifest.starts[position : position + 2])
            written = texts.of_shard(self.captions, self.manifest, position)
            return written.drawn(seed, turn, row_M)
        values = self.manifest.shard_table(position, ["label"])["label"].to_pylist()
        inside = self.inside(position)
        for index, label in enumerate(values):
            if inside[index] and label not in self.named:
                row = self.manifest.starts[position] + index
                raise ValueError(f"{self.manifest.folder}: row {row} has label {label!r}")
        return [self.named.get(label, "") for label in values]


class Reader:
    """One stream of ``streams`` over ``sources``."""

    def __init__(self, sources: tuple[Source, ...], streams: Streams, stream: int) -> None:
        self.sources = sources
        self.streams = streams
        self.stream = stream

    def samples(self, first: int) -> Iterator[Pair]:
        """The samples of the stream from number ``first`` on, endlessly."""
        window, taken = self.streams.place(self.stream, first)
        source = self._rows(window)
        held: list[Pair | None] = [next(source) for _ in range(window.rows)]
        rows, most = self.streams.rows(self.stream), self.streams.shuffle
        while True:
            after = window.following(rows, most)
            coming: list[Pair | None] = []
            for done, index in enumerate(self.streams.drawn(self.stream, window), 1):
                if done > taken:
                    sample = held[index]
                    assert sample is not None  # drawn once
                    yield sample
                held[index] = None
                while len(coming) * window.rows < done * after.rows:
                    coming.append(next(source))
            window, held, taken = after, coming, 0

    def _rows(self, window: Window) -> Iterator[Pair]:
        """Samples in the order in which they are read, from the first of a window on."""
        for turn, part, skip in self.streams.reading(self.stream, window):
            source = self.sources[part.source]
            start = source.manifest.starts[part.shard]
            inside = source.inside(part.shard)
            said = source.texts(part.shard, self.streams.seed, turn)
            for row, image in source.manifest.images([part.shard]):
                if not inside[row - start]:
                    continue
                if skip:
                    skip -= 1
                    continue
                origin = (part.source, part.shard, row)
                yield Pair(turn, source.first + row, image, said[row - start], origin)
