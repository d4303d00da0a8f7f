"""Vectors that others made, taken as the embedding store of a data set under the encoder."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float16

from clipcause.config.embed import Embed
from clipcause.config.texts import Captions
from clipcause.data.dataset import Manifest
from clipcause.data.sources import datacomp_features
from clipcause.data.sources import published_embeddings as published
from clipcause.embed import embeddings
from clipcause.embed.checkpoint import Checkpoint
from clipcause.embed.embeddings import Embeddings
from clipcause.runtime.progress import progress


def adopt(
    folder: Path, place: Path, manifest: Manifest, stored: Checkpoint, settings: Embed
) -> Embeddings:
    """A published store, checked against manifest and encoder, to be read where it lies.

    That it was made by this encoder is the word of whoever wrote the parameters; its dimensions
    are compared. Rows that are not float16 of length one are an error, or a copy is made of them
    all with ``normalise``. Of DataComp's features (``FOLDER#l14_img``), which are found by uid, a
    copy is made anyway. Raises ``ValueError`` or ``FileNotFoundError`` with file and counts.
    """
    dim = stored.model_config.get("embed_dim")
    if datacomp_features.MARK in str(place) and not place.is_dir():
        shards = _features(str(place), manifest, dim, normalise=settings.normalise)
        return embeddings.write(folder, shards, manifest, stored.fingerprint)
    facts = published.adopt(place, manifest, dim=dim, normalise=settings.normalise)
    if all(one.unit for one in facts):
        digests = [one.sha256 for one in facts]
        return embeddings.adopt(folder, place, digests, manifest, stored.fingerprint)
    blocks = (block_ND for one in facts for block_ND in published.rescaled(place, one.name))
    sizes = [shard.samples for shard in manifest.shards]
    made = embeddings.cut(progress(blocks, label=f"rescale {place.name}", unit="blocks"), sizes)
    return embeddings.write(folder, made, manifest, stored.fingerprint)


def captions(
    wanted: Captions, manifest: Manifest, stored: Checkpoint, settings: Embed
) -> Iterator[Float16[np.ndarray, "_ D"]]:
    """The vectors of captions that DataComp publishes, shard by shard, found by uid."""
    if wanted.captions != "first":
        raise ValueError(
            f"{wanted.embeddings}: published features have one caption a row; write captions: first"
        )
    if datacomp_features.MARK not in wanted.embeddings:
        raise ValueError(
            f"{wanted.embeddings}: the array is missing: FOLDER{datacomp_features.MARK}l14_txt"
        )
    dim = stored.model_config.get("embed_dim")
    return _features(wanted.embeddings, manifest, dim, normalise=settings.normalise)


def _features(
    place: str, manifest: Manifest, dim: int | None, *, normalise: bool
) -> Iterator[Float16[np.ndarray, "_ D"]]:
    where, _, array = place.rpartition(datacomp_features.MARK)
    found = datacomp_features.aligned(where, array, manifest, dim=dim, normalise=normalise)
    total = len(manifest.shards)
    return iter(progress(found, label=f"find {array}", unit="shards", total=total))
