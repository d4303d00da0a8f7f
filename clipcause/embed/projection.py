"""Images by their pixels: a fixed random projection, an encoder that nothing has trained.

An image is made as small as a stamp, the mean image of the reference is taken off, and what is left
is multiplied by a matrix of random signs, which keeps angles up to about (1 - cos^2) / sqrt(D)
(Johnson and Lindenstrauss, 1984; signs in place of a Gaussian: Achlioptas, "Database-friendly
random projections", 2003). Signs come from SplitMix64, so from the seed alone.

All of it is integers until the vector is brought to length one: n (x - mean) S = n (x S) - (sum S)
for n reference images. So the same pixels give the same bits on every machine.

Shapes: N images of P pixel values (S x S x 3), D dimensions.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float16, Float32, Int64, UInt8

from clipcause.config import versions
from clipcause.config.engine import Engine
from clipcause.data.manifest import Manifest
from clipcause.embed import ahead, pixels
from clipcause.embed.pixels import View
from clipcause.runtime import atomic, splitmix64
from clipcause.runtime import shard_cache as cache
from clipcause.runtime.engine import shardwise

BATCH = 1024  # images that are multiplied at once
ROWS, ALIKE, SUM = "rows", "alike", "sum"


@dataclass(frozen=True)
class Projection:
    """What decides a vector: the signs' seed and shape, and the reference's pixels, summed."""

    side: int  # pixels
    dim: int
    seed: int
    sum_P: Int64[np.ndarray, " P"]
    count: int

    @property
    def view(self) -> View:
        """How an image becomes a stamp: as training decodes it, only smaller."""
        return View(size=self.side)

    @cached_property
    def signs(self) -> Float32[np.ndarray, "P D"]:
        """The matrix of the projection."""
        return signs(self.seed, len(self.sum_P), self.dim)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all of it: what cards call the encoder."""
        centre = hashlib.sha256(self.sum_P.astype("<i8").tobytes()).hexdigest()
        facts = {
            "encoder": "pixels",
            "side": self.side,
            "dim": self.dim,
            "seed": self.seed,
            "centre": centre,
            "of": self.count,
            "view": self.view.stated(),
        }
        return hashlib.sha256(atomic.encode_json(facts)).hexdigest()


def signs(seed: int, pixels: int, dim: int) -> Float32[np.ndarray, "P D"]:
    """1 or -1 by the first bit of SplitMix64's words, row by row."""
    words = splitmix64.outputs(seed, np.arange(pixels * dim))
    return np.where(words >> np.uint64(63), np.float32(1), np.float32(-1)).reshape(pixels, dim)


def project(
    image_NP: UInt8[np.ndarray, "N P"], by: Projection
) -> tuple[Float16[np.ndarray, "N D"], int]:
    """Unit vectors, and how many images have none of their own.

    Those are the images that are the mean image itself: nothing is left of them, so that they have
    no direction. All of them get the first axis, which makes them copies of each other, as they
    are, and puts them at a place that says nothing beside the others.
    """
    # integers below 2^24 in float32 and 2^53 in float64: exact in any order of summation
    product_ND = (image_NP.astype(np.float32) @ by.signs).astype(np.float64)
    centre_D = by.sum_P.astype(np.float64) @ by.signs.astype(np.float64)
    vector_ND = product_ND * by.count - centre_D
    square_N = np.zeros(len(vector_ND))
    for column_N in vector_ND.T:  # one after the other: a sum whose order no library chooses
        square_N += column_N * column_N
    alike_N = square_N == 0
    vector_ND[alike_N, 0] = square_N[alike_N] = 1
    return (vector_ND / np.sqrt(square_N)[:, None]).astype(np.float16), int(alike_N.sum())


@dataclass(frozen=True)
class Summing:
    """Task: the sum of a shard's small images."""

    manifest: Manifest
    view: View
    keep: bool
    decoders: int

    def start(self) -> None:
        """Nothing is loaded."""

    def __call__(self, position: int, /) -> dict[str, np.ndarray]:
        """The sum over the shard's images, value by value."""
        found = np.zeros(3 * self.view.size**2, np.int64)
        for image_NP in _stamps(self.manifest, position, self.view, self.keep, self.decoders):
            found += image_NP.sum(0, dtype=np.int64)
        return {SUM: found}

    def name(self, position: int, /) -> str:
        """The shard's file."""
        return self.manifest.place(position)


@dataclass(frozen=True)
class Projecting:
    """Task: the vectors of a shard's images, and how many have no direction."""

    manifest: Manifest
    by: Projection
    keep: bool
    decoders: int

    def start(self) -> None:
        """Draw the signs."""
        _ = self.by.signs

    def __call__(self, position: int, /) -> dict[str, np.ndarray]:
        """The part of one shard."""
        stamps = _stamps(self.manifest, position, self.by.view, self.keep, self.decoders)
        made = [project(image_NP, self.by) for image_NP in stamps]
        alike = np.array([sum(count for _, count in made)])
        return {ROWS: np.concatenate([rows for rows, _ in made]), ALIKE: alike}

    def name(self, position: int, /) -> str:
        """The shard's file."""
        return self.manifest.place(position)


def centred_on(
    reference: Manifest, side: int, dim: int, seed: int, *, keep: bool, where: Engine, decoders: int
) -> Projection:
    """The projection whose centre is the mean image of ``reference``."""
    task = Summing(reference, View(size=side), keep, decoders)
    found = np.zeros(3 * side**2, np.int64)
    for one in _over(task, reference, where, f"mean {reference.folder.name}", "mean", side):
        found += one[SUM]
    return Projection(side, dim, seed, found, len(reference))


def parts(
    manifest: Manifest, by: Projection, *, keep: bool, where: Engine, decoders: int
) -> Iterator[tuple[Float16[np.ndarray, "_ D"], int]]:
    """The vectors of all shards in order, each with its number of images without a direction.

    Finished shards are kept in the shard cache. Raises ``ValueError`` naming shard and key of an
    image that cannot be decoded.
    """
    task = Projecting(manifest, by, keep, decoders)
    label = f"project {manifest.folder.name}"
    for one in _over(task, manifest, where, label, "project", by.fingerprint):
        yield one[ROWS], int(one[ALIKE][0])


def _over(
    task: Summing | Projecting, manifest: Manifest, where: Engine, label: str, *decided: object
) -> Iterator[dict[str, np.ndarray]]:
    made_by = (versions.used("numpy", "pillow"), *decided)

    def key(position: int) -> str:
        shard = manifest.shards[position]
        return cache.key(*made_by, shard.sha256, shard.samples, shard.rows)

    positions = range(len(manifest.shards))
    return shardwise(task, positions, key=key, store=cache.ARRAYS, where=where, label=label)


def _stamps(
    manifest: Manifest, position: int, view: View, keep: bool, decoders: int
) -> Iterator[UInt8[np.ndarray, "_ P"]]:
    """The small images of a shard in batches, a row an image."""
    if keep:
        whole = pixels.shard(manifest, position, view)
        batches = (whole[start : start + BATCH] for start in range(0, len(whole), BATCH))
    else:
        batches = ahead.batches(manifest, position, view, size=BATCH, decoders=decoders)
    for batch in batches:
        yield batch.reshape(len(batch), -1)
