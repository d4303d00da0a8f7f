"""embed: the image embeddings of one data set under the encoder.

In: a data set (manifest and shards), `models/encoder`. Out: `embeddings/<encoder>/<dataset>`, one
part per shard, float16 rows of length one.

Batches never cross a shard, so that a shard's part depends on that shard alone; finished parts are
kept in the shard cache, and a killed run goes on with the first that is missing.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float16

from stages import versions
from stages.artifacts import atomic, cache, checkpoint, dataset, embeddings, layout
from stages.artifacts.dataset import Manifest
from stages.entry import run
from stages.learning import models, pixels
from stages.learning.models import Clip
from stages.parameters import section
from stages.parameters.embed import Embed
from stages.parameters.encoder import Encoder
from stages.progress import progress

CODE = ("stages.embed", "stages.learning.models", "stages.learning.pixels")  # decides rows
LENGTH_TOLERANCE = 1e-3


def part(
    clip: Clip, manifest: Manifest, position: int, settings: Embed
) -> Float16[np.ndarray, "N D"]:
    """The embeddings of one shard. Raises ``ValueError`` naming shard and key of a bad one."""
    images = pixels.shard(manifest, position, clip.view, keep=settings.keep_pixels)
    device = models.settle(settings.threads, settings.device)
    image_ND = models.encode_images(
        clip, images, batch_size=settings.batch_size, precision=settings.precision, device=device
    )
    check(image_ND, manifest, position)
    return image_ND.astype(np.float16)


def check(image_ND: Float[np.ndarray, "N D"], manifest: Manifest, position: int) -> None:
    """Raise where a row is not a finite vector of length one: NaN, or zero before normalising."""
    length_N = np.linalg.norm(image_ND, axis=1)
    # NaN compares as false, so the comparison is for what is good
    bad = np.flatnonzero(~(np.abs(length_N - 1.0) <= LENGTH_TOLERANCE))
    if bad.size:
        start = manifest.starts[position]
        key = manifest.table["key"][start + int(bad[0])].as_py()
        path = manifest.folder / manifest.shards[position].name
        raise ValueError(
            f"{path}: {key}: its embedding has length {length_N[bad[0]]}, expected 1 "
            f"({bad.size} of {len(image_ND)} images of the shard); is the encoder trained?"
        )


def parts(
    clip: Clip, manifest: Manifest, fingerprint: str, settings: Embed
) -> Iterator[Float16[np.ndarray, "_ D"]]:
    """The parts of all shards in order, from the shard cache where they are in it."""
    stated = settings.model_dump(exclude={"keep_pixels"})
    made_by = (cache.code(*CODE), versions.used(*versions.LEARNING))
    positions = range(len(manifest.shards))
    for position in progress(positions, label=f"embed {manifest.folder.name}", unit="shards"):
        entry = manifest.shards[position]
        decided = (*made_by, fingerprint, stated, entry.sha256)
        path = cache.folder() / f"{cache.key(*decided)}.npy"
        found = _cached(path, entry.samples)
        if found is None:
            found = part(clip, manifest, position, settings)
            with atomic.file(path) as temporary, temporary.open("wb") as stream:
                np.save(stream, found)
        yield found


def main(name: str) -> str:
    """Embed the data set ``name`` of the section `datasets`."""
    versions.check(*versions.LEARNING)
    settings, encoder = section("embed", Embed), section("encoder", Encoder)
    manifest = dataset.read(layout.dataset(name))
    stored = checkpoint.read(layout.model("encoder"))
    clip = models.restore(stored)
    device = models.settle(settings.threads, settings.device)
    clip.model.to(device)
    folder = layout.embeddings(encoder.name, name)
    made = parts(clip, manifest, stored.fingerprint, settings)
    store = embeddings.write(folder, made, manifest, stored.fingerprint)
    return f"{folder}, {len(store):,} rows of {store.dim} dimensions"


def _cached(path: Path, samples: int) -> np.ndarray | None:
    try:
        found = np.load(path)
    except (FileNotFoundError, ValueError, EOFError):
        return None  # absent or damaged: made again
    return found if found.ndim == 2 and len(found) == samples else None


if __name__ == "__main__":
    run(main)
