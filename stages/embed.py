"""embed: the image embeddings of one data set under the encoder.

In: a data set (manifest and shards), `models/encoder`. Out: `embeddings/<encoder>/<dataset>`, one
part per shard, float16 rows of length one. A data set with the key `embeddings`, a folder that
clip-retrieval made, is not computed: its parts are checked, and read where they lie.

Finished parts are kept in the shard cache, and a killed run goes on with those that are missing
(``clipcause.embed.embedding``).
"""

from pathlib import Path

from clipcause.config import engine, layout, section
from clipcause.config.datasets import NONE, entry
from clipcause.config.embed import Embed
from clipcause.config.encoder import Encoder
from clipcause.data import dataset
from clipcause.data.dataset import Manifest
from clipcause.data.sources import published_embeddings as published
from clipcause.embed import checkpoint, embedding, embeddings
from clipcause.embed.checkpoint import Checkpoint
from clipcause.embed.embeddings import Embeddings
from clipcause.runtime import versions
from clipcause.runtime.entry import run
from clipcause.runtime.progress import progress


def adopted(
    folder: Path, place: Path, manifest: Manifest, stored: Checkpoint, settings: Embed
) -> Embeddings:
    """A published store, checked against manifest and encoder, to be read where it lies.

    That it was made by this encoder is the word of whoever wrote the parameters; its dimensions
    are compared. Rows that are not float16 of length one are an error, or a copy is made of them
    all with ``normalise``. Raises ``ValueError`` or ``FileNotFoundError`` with file and counts.
    """
    dim = stored.model_config.get("embed_dim")
    facts = published.adopt(place, manifest, dim=dim, normalise=settings.normalise)
    if all(one.unit for one in facts):
        digests = [one.sha256 for one in facts]
        return embeddings.adopt(folder, place, digests, manifest, stored.fingerprint)
    blocks = (block_ND for one in facts for block_ND in published.rescaled(place, one.name))
    sizes = [shard.samples for shard in manifest.shards]
    made = embeddings.cut(progress(blocks, label=f"rescale {place.name}", unit="blocks"), sizes)
    return embeddings.write(folder, made, manifest, stored.fingerprint)


def main(name: str) -> str:
    """Embed the data set ``name`` of the section `datasets`, or ``tests/…`` of the test sets."""
    versions.check(*versions.LEARNING)
    settings, encoder = section("embed", Embed), section("encoder", Encoder)
    source = entry(name)
    manifest = dataset.read(layout.dataset(name), shards=source.embeddings == NONE)
    stored = checkpoint.read(layout.model("encoder"))
    folder = layout.embeddings(encoder.name, name)
    if source.embeddings == NONE:
        made = embedding.parts(manifest, stored, settings, engine.current())
        store = embeddings.write(folder, made, manifest, stored.fingerprint)
    else:
        store = adopted(folder, Path(source.embeddings), manifest, stored, settings)
    return f"{folder}, {len(store):,} rows of {store.dim} dimensions"


if __name__ == "__main__":
    run(main)
