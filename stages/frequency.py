"""frequency: how many captions of the pool mention each class.

In: the pool's manifest, the class list, WordNet (for lemmas). Out: `frequency/<list>`, counts by
class id and the matches row by row, and `metrics/frequency.json`.

What a mention is: `clipcause.captions.mentions`.
"""

from pathlib import Path

from clipcause import lazy
from clipcause.captions import classes, frequency, mentions
from clipcause.config import engine, layout, section, study
from clipcause.config.frequency import Frequency
from clipcause.data import manifest
from clipcause.runtime import metrics
from clipcause.runtime.entry import run

METRICS = Path("metrics/frequency.json")
# what notebooks imported from here
__getattr__ = lazy.again(__name__, "clipcause.captions", "count_classes")


def main() -> str:
    """Count the captions of the pool for the study's list of classes."""
    settings, name = section("frequency", Frequency), study.name("classes")
    known = classes.own(classes.read(layout.classes(name)))
    pool = manifest.read(layout.dataset(layout.POOL), shards=False)
    mentioned = mentions.PoolMentions(pool, known, settings, engine.current())
    counts = mentioned.counted()
    found = frequency.Frequency(
        tuple(known), tuple(entry.name for entry in known.values()), counts.count_C
    )
    source = {"pool": pool.sha256, "classes": name, "matcher": settings.matcher}
    # a second walk over the cache: counts come first, and memory holds one shard's matches
    frequency.write(layout.frequency(name), found, mentioned.parts(), source | mentioned.source)
    mentions.tell(found, counts.faults)
    stated = mentions.numbers(counts, len(pool))
    metrics.write(METRICS, stated)
    empty = stated["classes_without_captions"]
    return (
        f"{counts.matched:,} of {len(pool):,} captions mention one of {len(known)} classes "
        f"({stated['least']:,} to {stated['most']:,} captions a class, {empty} without any)"
    )


if __name__ == "__main__":
    run(main)
