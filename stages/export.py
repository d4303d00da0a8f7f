"""``export NAME``: write a split as ordinary WebDataset shards.

In: the pool's manifest and shards, beside it or in place, and a split. Out: ``export/<name>/``,
whose format ``clipcause.data.exports`` describes, and ``metrics/export/<name>.json``.
"""

from clipcause.config import engine, exports, layout
from clipcause.data import manifest
from clipcause.data.export_split import export
from clipcause.runtime import metrics
from clipcause.runtime.entry import run

COUNTS = ("samples", "shards", "labelled", "described", "located", "bytes")


def main(name: str) -> str:
    """Write the export ``name`` and its metrics."""
    settings, where = exports.load(name), engine.current().without_gpu()
    pool = manifest.read(layout.dataset(layout.POOL), shards=False)
    chosen, size = settings.split, settings.shard_size
    found = layout.split(chosen)
    card = export(layout.export(name), pool, chosen, found, size, where, settings.captions)
    metrics.write(layout.metrics("export", name), {count: card[count] for count in COUNTS})
    return f"{card['samples']:,} samples of {chosen} in {card['shards']:,} shards"


if __name__ == "__main__":
    run(main)
