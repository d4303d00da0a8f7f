"""The order of streamed data: a function of seed and number of streams, of nothing else.

All shards that a run learns from are distributed over S logical streams once, the largest first,
each to the stream with the fewest rows. A pass of a stream permutes its shards, concatenates the
rows that the split keeps, cuts them into windows of a fixed number of rows and permutes every
window; so a stream passes each of its rows exactly once before it starts again, and where it is
after n samples is known without reading. A global batch of B samples takes the next B / S of every
stream, stream after stream. Processes and loaders take whole streams: how many there are changes
nothing.

Shapes: W rows of a window.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

# first words of the generators' seeds, so that no two of them coincide
DEAL, SHARDS, WINDOW = 1, 2, 3


@dataclass(frozen=True)
class Part:
    """A shard as a run sees it."""

    source: int  # the position of its data set among those learnt from
    shard: int  # its position in that data set's manifest
    rows: int  # those that are kept


@dataclass(frozen=True)
class Window:
    """Consecutive rows of a pass that are held, and drawn from, at one time."""

    turn: int  # the pass
    number: int  # in the pass
    rows: int

    def following(self, rows: int, most: int) -> "Window":
        """The next one of a stream of ``rows`` rows in windows of at most ``most``."""
        done = (self.number + 1) * most
        if done < rows:
            return Window(self.turn, self.number + 1, min(most, rows - done))
        return Window(self.turn + 1, 0, min(most, rows))


class Streams:
    """The order of ``parts`` in ``count`` streams, with windows of at most ``shuffle`` rows."""

    def __init__(self, parts: Sequence[Part], count: int, seed: int, shuffle: int) -> None:
        filled = [part for part in parts if part.rows]
        if not filled:
            raise ValueError("there is nothing to train on: 0 rows")
        if count > len(filled):
            raise ValueError(
                f"train.streams is {count}, and only {len(filled)} shards have rows to train on; "
                "take fewer streams, or smaller shards"
            )
        self.seed = seed
        self.shuffle = shuffle
        self.parts = _dealt(filled, count, seed)

    def __len__(self) -> int:
        return len(self.parts)

    def rows(self, stream: int) -> int:
        """Rows of one pass of a stream."""
        return sum(part.rows for part in self.parts[stream])

    def place(self, stream: int, samples: int) -> tuple[Window, int]:
        """Where a stream stands after ``samples`` samples: the window and those taken from it."""
        rows = self.rows(stream)
        turn, inside = divmod(samples, rows)
        number, taken = divmod(inside, self.shuffle)
        return Window(turn, number, min(self.shuffle, rows - number * self.shuffle)), taken

    def drawn(self, stream: int, window: Window) -> Int64[np.ndarray, " W"]:
        """The order in which the rows of a window are drawn: positions in it."""
        words = [WINDOW, self.seed, stream, window.turn, window.number]
        return np.random.default_rng(words).permutation(window.rows)

    def reading(self, stream: int, window: Window) -> Iterator[tuple[int, Part, int]]:
        """Pass, shard and kept rows to leave out at its start, endlessly, from a window on."""
        skip = window.number * self.shuffle
        turn = window.turn
        while True:
            for part in self._permuted(stream, turn):
                if skip < part.rows:
                    yield turn, part, skip
                skip = max(skip - part.rows, 0)
            turn += 1

    def _permuted(self, stream: int, turn: int) -> list[Part]:
        order = np.random.default_rng([SHARDS, self.seed, stream, turn])
        return [self.parts[stream][index] for index in order.permutation(len(self.parts[stream]))]


def _dealt(parts: Sequence[Part], count: int, seed: int) -> list[list[Part]]:
    """Largest first to the least filled stream; the seed decides between shards of one size."""
    shuffled = np.random.default_rng([DEAL, seed]).permutation(len(parts))
    ordered = sorted((parts[index] for index in shuffled), key=lambda part: -part.rows)
    dealt: list[list[Part]] = [[] for _ in range(count)]
    queue = [(0, stream) for stream in range(count)]
    for part in ordered:
        rows, stream = heapq.heappop(queue)
        dealt[stream].append(part)
        heapq.heappush(queue, (rows + part.rows, stream))
    return dealt
