"""embed_text@DATASET: the embeddings of a data set's captions under the encoder.

In: the data set's manifest, the checkpoint of the run `encoder.run`, or the features that others
published. Out: `texts/<encoder>/<dataset>`, float16 vectors of length one, beside those of its
images (``clipcause.embed.texts``).
"""

from clipcause.config import engine, layout, section, study, texts, versions
from clipcause.config.embed import Embed
from clipcause.data import manifest
from clipcause.embed import checkpoint, published_store, text_embedding
from clipcause.embed import texts as artifact
from clipcause.runtime.entry import run


def main(name: str) -> str:
    """Embed the captions of the data set ``name``."""
    versions.check(*versions.LEARNING)
    settings, wanted = section("embed", Embed), texts.load(name)
    encoder, trained = study.encoder()
    data = manifest.read(layout.dataset(name), shards=False)
    stored = checkpoint.read(layout.model(trained))
    if wanted.embeddings == texts.NONE:
        made = text_embedding.parts(data, stored, settings, wanted, engine.current())
    else:
        made = published_store.captions(wanted, data, stored, settings)
    folder = layout.texts(encoder, name)
    found = artifact.write(folder, made, data, stored.fingerprint, wanted)
    return f"{folder}, {len(found.row_T):,} captions of {len(data):,} rows"


if __name__ == "__main__":
    run(main)
