"""intraclass NAME: how alike the images of a class are in a split of the pool.

In: the pool's manifest, the split, the embeddings of the pool, with `by: mention` the matches of
`frequency`. Out: `intraclass/<name>/classes.csv`, a line a class, and
`metrics/intraclass/<name>.json`.
"""

from clipcause.captions import classes
from clipcause.config import item, layout, study
from clipcause.config.intraclass import NONE, Intraclass
from clipcause.data import manifest
from clipcause.embed import embeddings
from clipcause.prune import split
from clipcause.runtime import metrics
from clipcause.runtime.entry import run
from clipcause.runtime.notices import notice
from clipcause.search.intraclass import by_label, by_mention, numbers, of_split, write


def main(name: str) -> str:
    """Measure how alike the images of each class are, as the item ``name`` says."""
    wanted, listing = item("intraclass", name, Intraclass), study.name("classes")
    pool = manifest.read(layout.dataset(layout.POOL), shards=False)
    if wanted.split == NONE:
        chosen = split.everything(len(pool))
    else:
        chosen = split.read_for(layout.split(wanted.split), pool.sha256)
    encoder, _ = study.encoder()
    store = embeddings.read(layout.embeddings(encoder, layout.POOL), dataset=pool.sha256)
    known = classes.read(layout.classes(listing))
    if wanted.by == "mention":
        known = classes.own(known)
        owners = by_mention(layout.frequency(listing), pool, list(known))
    else:
        owners = by_label(pool, list(known))
    found = of_split(store, chosen, owners, len(known))
    stated = numbers(found)
    if not stated["classes"]:
        raise ValueError(
            f"{layout.split(wanted.split)}: no class has two rows by {wanted.by}, so there is no "
            "pair to compare"
        )
    if alone := [key for key, rows in zip(known, found.rows_C.tolist(), strict=True) if rows == 1]:
        notice(f"intraclass {name}", f"{len(alone):,} classes of one row are left out", alone)
    names = [entry.name for entry in known.values()]
    write(layout.intraclass(name), list(known), names, found)
    metrics.write(layout.metrics("intraclass", name), stated)
    return (
        f"{stated['similarity']:.4f} in {stated['classes']:,} classes of {stated['members']:,} "
        f"members ({stated['classes_without_rows']:,} classes have none)"
    )


if __name__ == "__main__":
    run(main)
