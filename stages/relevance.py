"""relevance: how similar every caption is to the definition of each class that it mentions.

In: the pool's manifest, `frequency/<list>`, the class list, WordNet, the encoder's checkpoint. Out:
`relevance/<list>`, a cosine for every match, and `metrics/relevance.json`; without definitions, an
artifact that is empty.

What is compared, and by what: `clipcause.captions.definition_similarity`.
"""

from pathlib import Path
from typing import Any

from clipcause.captions import classes, glosses, relevance, wordnet
from clipcause.captions.definition_similarity import Spread, class_texts, scored
from clipcause.config import engine, layout, section, study, versions
from clipcause.config.frequency import Frequency
from clipcause.config.relevance import Relevance
from clipcause.data import manifest
from clipcause.embed import checkpoint
from clipcause.runtime import metrics
from clipcause.runtime.entry import run

METRICS = Path("metrics/relevance.json")


def main() -> str:
    """Score the matches of the study's list of classes."""
    settings, name = section("relevance", Relevance), study.name("classes")
    pool = manifest.read(layout.dataset(layout.POOL), shards=False)
    folder, spread = layout.relevance(name), Spread()
    card: dict[str, Any] = {"pool": pool.sha256, "definitions": settings.definitions}
    if settings.definitions == relevance.NONE:
        relevance.write(folder, [], [], card)
        metrics.write(METRICS, {"classes": 0} | spread.numbers())
        return f"{folder} is empty: relevance.definitions is none"
    versions.check(*versions.LEARNING)
    source, listed = Path(section("frequency", Frequency).wordnet), layout.classes(name)
    known = glosses.read(source)
    texts = class_texts(classes.read(listed), listed, known, settings)
    stored = checkpoint.read(layout.model(study.encoder()[1]))
    card |= {
        "encoder": stored.fingerprint,
        "wordnet": wordnet.fingerprint(source, glosses.FILES),
        "wordnet_version": known.version,
        "text": settings.text,
        "captions": settings.captions,
    }
    parts = scored(layout.frequency(name), pool, texts, stored, settings, engine.current())
    relevance.write(folder, list(texts), spread.seen(parts), card)
    metrics.write(METRICS, {"classes": len(texts)} | spread.numbers())
    return (
        f"{spread.matches:,} matches of {spread.rows:,} captions with the definitions of "
        f"{len(texts):,} classes, {spread.cut:,} of which fill the model's context"
    )


if __name__ == "__main__":
    run(main)
