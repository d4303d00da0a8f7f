"""The embeddings of a data set's captions under a checkpoint's text tower, shard by shard.

Shapes: T captions, D dimensions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float16

from clipcause.config import versions
from clipcause.config.embed import Embed
from clipcause.config.engine import Engine
from clipcause.config.texts import Captions
from clipcause.data import manifest as manifests
from clipcause.data.manifest import Manifest
from clipcause.embed import checkpoint, models, store, texts
from clipcause.embed.checkpoint import Checkpoint
from clipcause.embed.models import Clip
from clipcause.runtime import shard_cache as cache
from clipcause.runtime.engine import shardwise

ROWS = "rows"  # of a part in the shard cache


@dataclass(frozen=True)
class Encoding:
    """The captions of one shard: a task of the engine."""

    data: Path
    encoder: Path
    fingerprint: str
    settings: Embed
    wanted: Captions

    def start(self) -> None:
        """Load the encoder onto its device."""
        self._clip.model.to(models.settle(self.settings.threads, self.settings.device))

    def __call__(self, position: int, /) -> dict[str, np.ndarray]:
        """Vectors of length one, float16. Raises ``ValueError`` naming shard and row of a bad one.

        A text is encoded once in a shard, however often it comes; texts that are the same have the
        same vector, whatever batch they would have been in.
        """
        found = texts.captions(self._manifest, position, self.wanted)
        distinct, code_T = np.unique(
            np.array([text or "" for text in found.texts.to_pylist()], object), return_inverse=True
        )
        text_UD = models.encode_texts(
            self._clip,
            distinct.tolist(),
            batch_size=self.settings.batch_size,
            precision=self.settings.precision,
            device=models.settle(self.settings.threads, self.settings.device),
        )
        text_TD = text_UD.astype(np.float16)[code_T]
        if len(bad := store.unfit(text_TD)):
            row = found.row_T[bad[0]]
            raise ValueError(
                f"{self.name(position)}: row {row}: its caption's embedding is no vector of length "
                f"one ({len(bad)} of {len(text_TD)} captions of the shard); is the encoder trained?"
            )
        return {ROWS: text_TD}

    def name(self, position: int, /) -> str:
        """The shard's file."""
        return self._manifest.place(position)

    @cached_property
    def _clip(self) -> Clip:
        return models.restore(checkpoint.read(self.encoder, self.fingerprint))

    @cached_property
    def _manifest(self) -> Manifest:
        return manifests.read(self.data, shards=False)


def parts(
    manifest: Manifest, stored: Checkpoint, settings: Embed, wanted: Captions, where: Engine
) -> Iterator[Float16[np.ndarray, "_ D"]]:
    """The vectors of every shard in order, from the shard cache where they are in it."""
    task = Encoding(manifest.folder, stored.folder, stored.fingerprint, settings, wanted)
    stated = settings.model_dump(exclude={"keep_pixels", "normalise"})
    decided = (
        "texts", versions.used(*versions.LEARNING), stored.fingerprint, stated, wanted.captions,
        manifest.sha256,
    )  # fmt: skip
    made = shardwise(
        task,
        range(len(manifest.shards)),
        key=lambda position: cache.key(*decided, position),
        store=cache.ARRAYS,
        where=where,
        label=f"embed texts of {manifest.folder.name}",
    )
    return (found[ROWS] for found in made)
