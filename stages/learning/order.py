"""Which samples a run sees, in which order, and how each is moved: functions of seed and position.

A run sees samples 0 … S-1. Sample s belongs to epoch s // N and is entry s % N of that epoch's
permutation of the N rows, so that every row comes once per epoch and a batch may span two epochs.
Batches are consecutive samples: batch b holds samples bB … bB+B-1 and the last one of the run
what is left. Nothing depends on the number of workers: worker w of W takes samples w, w+W, … of
each batch, and a run that resumes asks for the batch that it stopped at.

Shapes: N rows of the training set, B samples of a batch.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Int64, Integer, UInt64

MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
STEP = np.uint64(0x9E3779B97F4A7C15)


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

    SplitMix64 (Steele et al. 2014, "Fast splittable pseudorandom number generators") in counter
    mode: the same sample is moved in the same way in every batch size and on every worker.
    """
    state_B = np.full(len(row_B), seed, np.uint64)
    with np.errstate(over="ignore"):
        for part_B in (epoch_B.astype(np.uint64), row_B.astype(np.uint64)):
            state_B = _mixed(state_B + STEP) ^ part_B
        counter_C = STEP * np.arange(1, count + 1, dtype=np.uint64)
        return _mixed(_mixed(state_B + STEP)[:, None] + counter_C[None, :])


def _mixed(value: np.ndarray) -> np.ndarray:
    value = (value ^ (value >> np.uint64(30))) * MIX[0]
    value = (value ^ (value >> np.uint64(27))) * MIX[1]
    return value ^ (value >> np.uint64(31))
