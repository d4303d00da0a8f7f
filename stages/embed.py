"""embed@DATASET: the image embeddings of one data set under the encoder.

In: a data set (manifest and shards), the checkpoint of the run `encoder.run`. Out:
`embeddings/<encoder>/<dataset>`, one part per shard, float16 rows of length one. A data set with
the key `embeddings`, a folder that clip-retrieval made, is not computed: its parts are checked, and
read where they lie.

Finished parts are kept in the shard cache, and a killed run goes on with those that are missing
(``clipcause.embed.embedding``).
"""

from pathlib import Path

from clipcause.config import engine, layout, section, study, versions
from clipcause.config.datasets import NONE, entry
from clipcause.config.embed import Embed
from clipcause.data import dataset
from clipcause.embed import checkpoint, embedding, embeddings, published_store
from clipcause.runtime.entry import run


def main(name: str) -> str:
    """Embed the data set ``name`` of the section `datasets`."""
    versions.check(*versions.LEARNING)
    settings, source = section("embed", Embed), entry(name)
    encoder, trained = study.encoder()
    manifest = dataset.read(layout.dataset(name), shards=source.embeddings == NONE)
    stored = checkpoint.read(layout.model(trained))
    folder = layout.embeddings(encoder, name)
    if source.embeddings == NONE:
        made = embedding.parts(manifest, stored, settings, engine.current())
        store = embeddings.write(folder, made, manifest, stored.fingerprint)
    else:
        place = Path(source.embeddings)
        store = published_store.adopt(folder, place, manifest, stored, settings)
    return f"{folder}, {len(store):,} rows of {store.dim} dimensions"


if __name__ == "__main__":
    run(main)
