"""The embeddings of a data set under a checkpoint's image tower, shard by shard.

Batches never cross a shard, so that a shard's part depends on that shard alone; finished parts are
kept in the shard cache under the checkpoint's fingerprint, so that whoever asks for the same ones
again, under whatever name, finds them.

Shapes: N rows, D dimensions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float16

from clipcause.config import versions
from clipcause.config.embed import Embed
from clipcause.config.engine import Engine
from clipcause.data.manifest import Manifest
from clipcause.embed import ahead, checkpoint, models, pixels
from clipcause.embed.checkpoint import Checkpoint
from clipcause.embed.models import Clip
from clipcause.runtime import shard_cache as cache
from clipcause.runtime.engine import shardwise
from clipcause.runtime.parallel import cores

# decides rows
LENGTH_TOLERANCE = 1e-3
ROWS = "rows"  # of a part in the shard cache


@dataclass(frozen=True)
class Embedding:
    """The embeddings of one shard: a task of the engine."""

    manifest: Manifest
    encoder: Path
    fingerprint: str
    settings: Embed
    decoders: int  # threads

    def start(self) -> None:
        """Load the encoder onto its device."""
        self._clip.model.to(self._device)

    def __call__(self, position: int, /) -> dict[str, np.ndarray]:
        """The part of one shard. Raises ``ValueError`` naming shard and key of a bad image."""
        return {ROWS: part(self._clip, self.manifest, position, self.settings, self.decoders)}

    def name(self, position: int, /) -> str:
        """The shard's file."""
        return self.manifest.place(position)

    @cached_property
    def _clip(self) -> Clip:
        return models.restore(checkpoint.read(self.encoder, self.fingerprint))

    @cached_property
    def _device(self) -> torch.device:
        return models.settle(self.settings.threads, self.settings.device)


def part(
    clip: Clip, manifest: Manifest, position: int, settings: Embed, decoders: int = 1
) -> Float16[np.ndarray, "N D"]:
    """The embeddings of one shard. Raises ``ValueError`` naming shard and key of a bad one.

    Memory holds the shard's pixels where they are kept for other stages, else a few batches.
    """
    device = models.settle(settings.threads, settings.device)
    size = settings.batch_size

    def encode(images: pixels.Pixels) -> Float[np.ndarray, "_ D"]:
        return models.encode_images(
            clip, images, batch_size=size, precision=settings.precision, device=device
        )

    if settings.keep_pixels:
        image_ND = encode(pixels.shard(manifest, position, clip.view))
    else:
        batches = ahead.batches(manifest, position, clip.view, size=size, decoders=decoders)
        image_ND = np.concatenate([encode(batch) for batch in batches])
    check(image_ND, manifest, position)
    return image_ND.astype(np.float16)


def check(image_ND: Float[np.ndarray, "N D"], manifest: Manifest, position: int) -> None:
    """Raise where a row is not a finite vector of length one: NaN, or zero before normalising."""
    length_N = np.linalg.norm(image_ND, axis=1)
    # NaN compares as false, so the comparison is for what is good
    bad = np.flatnonzero(~(np.abs(length_N - 1.0) <= LENGTH_TOLERANCE))
    if bad.size:
        key = manifest.shard_table(position, ["key"])["key"][int(bad[0])].as_py()
        raise ValueError(
            f"{manifest.place(position)}: {key}: its embedding has length {length_N[bad[0]]}, "
            f"expected 1 ({bad.size} of {len(image_ND)} images of the shard); is the encoder "
            "trained?"
        )


def parts(
    manifest: Manifest, stored: Checkpoint, settings: Embed, where: Engine
) -> Iterator[Float16[np.ndarray, "_ D"]]:
    """The parts of all shards in order, from the shard cache where they are in it."""
    stated = settings.model_dump(exclude={"keep_pixels"})
    decided = (versions.used(*versions.LEARNING), stored.fingerprint, stated)
    decoders = max(1, int(where.cpus) if where.kind == "ray" else cores() // where.workers)
    task = Embedding(manifest, stored.folder, stored.fingerprint, settings, decoders)

    def key(position: int) -> str:
        shard = manifest.shards[position]
        # of a shard in place, the rows are those that were not dropped
        return cache.key(*decided, shard.sha256, shard.samples, shard.rows)

    label = f"embed {manifest.folder.name}"
    positions = range(len(manifest.shards))
    made = shardwise(task, positions, key=key, store=cache.ARRAYS, where=where, label=label)
    return (found[ROWS] for found in made)
