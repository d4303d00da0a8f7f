"""deduplicate: the pool without near-duplicates, the base of the study's splits.

In: the embeddings of the pool. Out: the split `dedup`, and `deduplicate/`: the k-means centres and,
for every removed row, the row that it duplicates. The rule is in ``clipcause.data.deduplicate``.
"""

from pathlib import Path

from clipcause import lazy
from clipcause.config import engine, layout, section, versions
from clipcause.config.deduplicate import Deduplicate
from clipcause.config.similarity import Similarity
from clipcause.data import deduplicate
from clipcause.data import duplicates as artifact
from clipcause.prune import bases, split
from clipcause.runtime import metrics
from clipcause.runtime.entry import run
from clipcause.runtime.notices import notice
from clipcause.search import device, stores

# what notebooks imported from here
__getattr__ = lazy.again(__name__, "clipcause.data.deduplicate", "keep_first")


def main() -> str:
    """De-duplicate the pool."""
    settings, stream = section("deduplicate", Deduplicate), section("similarity", Similarity)
    versions.check("torch", "numpy", *(["faiss"] if settings.method == "kmeans" else []))
    (store,) = stores.load(stores.encoder_name(), layout.POOL)
    on = device.here(engine.current())
    found, centre_KD = deduplicate.find(store, settings, stream.block_rows, on)
    pool, rows, kept = stores.source(store, store.dataset), len(store), found.kept
    sources = {"encoder": stores.source(store, store.encoder)}
    card = bases.card(pool, rows, len(kept), "deduplicate", settings.used, sources)
    split.write(layout.split("dedup"), kept, card=card)
    artifact.write(layout.deduplicate(), deduplicate.table(found), centre_KD)
    numbers = {"pool": rows, "kept": len(kept), "removed": rows - len(kept)}
    numbers["share_removed"] = (rows - len(kept)) / rows
    metrics.write(Path("metrics/deduplicate.json"), numbers)
    gone = rows - len(kept)
    if 2 * len(kept) < rows:
        notice(
            "deduplicate",
            f"{len(kept):,} of {rows:,} rows stay, fewer than half: so many are more similar than "
            f"{settings.threshold:g} to an earlier one. If they are no copies, raise "
            "deduplicate.threshold, or take an encoder that tells these pictures apart",
        )
    return f"{len(kept):,} of {rows:,} rows kept, {gone:,} near-duplicates dropped"


if __name__ == "__main__":
    run(main)
