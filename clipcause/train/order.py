"""Which samples a run sees, in which order, and how each is moved: functions of seed and position.

A run sees samples 0 … S-1. Sample s belongs to epoch s // N and is entry s % N of that epoch's
permutation of the N rows, so that every row comes once per epoch and a batch may span two epochs.
Batches are consecutive samples: batch b holds samples bB … bB+B-1 and the last one of the run
what is left. A run that resumes asks for the batch that it stopped at.

Shapes: N rows of the training set, B samples of a batch.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Int64, Integer, UInt64

from clipcause.runtime.splitmix64 import GAMMA, finalised

DRAWS = 1 << 60  # before an epoch: these numbers are not those by which images are moved


class Order:
    """The order of ``rows`` (positions in the training set's arrays) under a seed."""

    def __init__(self, rows: int, seed: int) -> None:
        if rows < 1:
            raise ValueError("there is nothing to train on: 0 rows")
        self.rows = rows
        self.seed = seed
        self._epoch = lru_cache(maxsize=2)(self._permutation)

    def _permutation(self, epoch: int) -> Int64[np.ndarray, " N"]:
        return np.random.default_rng([self.seed, epoch]).permutation(self.rows)

    def samples(
        self, start: int, stop: int
    ) -> tuple[Int64[np.ndarray, " B"], Int64[np.ndarray, " B"]]:
        """Rows and epochs of the samples ``start`` … ``stop`` - 1."""
        sample_B = np.arange(start, stop)
        epoch_B = sample_B // self.rows
        row_B = np.empty_like(sample_B)
        for epoch in np.unique(epoch_B):
            here_B = epoch_B == epoch
            row_B[here_B] = self._epoch(int(epoch))[sample_B[here_B] % self.rows]
        return row_B, epoch_B


def steps(samples: int, batch: int) -> int:
    """The number of batches of a run; a last batch of one sample has nothing to be told from."""
    if samples % batch == 1:
        raise ValueError(
            f"samples_seen {samples} leaves one sample for the last batch of {batch}; "
            f"take {samples - 1}"
        )
    return -(-samples // batch)


def uniform(
    seed: int, epoch_B: Integer[np.ndarray, " B"], row_B: Integer[np.ndarray, " B"], count: int
) -> UInt64[np.ndarray, "B {count}"]:
    """``count`` random 64-bit numbers per sample, decided by seed, epoch and row alone.

    SplitMix64 in counter mode: a sample is moved in the same way in batches of every size.
    """
    state_B = np.full(len(row_B), seed, np.uint64)
    with np.errstate(over="ignore"):
        for part_B in (epoch_B.astype(np.uint64), row_B.astype(np.uint64)):
            state_B = finalised(state_B + GAMMA) ^ part_B
        counter_C = GAMMA * np.arange(1, count + 1, dtype=np.uint64)
        return finalised(finalised(state_B + GAMMA)[:, None] + counter_C[None, :])


def drawn(
    seed: int,
    epoch_B: Int64[np.ndarray, " B"],
    row_B: Int64[np.ndarray, " B"],
    count_B: Int64[np.ndarray, " B"],
) -> Int64[np.ndarray, " B"]:
    """Which of its ``count_B`` captions each sample has, decided by seed, epoch and row alone."""
    random_B = uniform(seed, epoch_B + DRAWS, row_B, 1)[:, 0]
    return (random_B % count_B.astype(np.uint64)).astype(np.int64)
