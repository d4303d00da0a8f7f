"""train: one run, a model on one split.

In: pool and reference (manifests and shards), the run's split, and the checkpoint of the run whose
text tower it takes, where it takes one. Out: `models/<run>`, a checkpoint, and `curves/<run>`, its
training curve. With `train.processes` above one this process becomes their torchrun
(`clipcause.train.distributed` says how several machines take part, by `engine.launcher`).

Every run sees the same number of samples, whatever the size of its split, unless it states its own
`epochs` or `samples_seen`. A published model is written as it is, and its curve is empty.
"""

from clipcause.captions import classes
from clipcause.config import engine, layout, objectives, section, study, versions
from clipcause.config.objective import Published
from clipcause.config.runs import NONE
from clipcause.config.train import Train, divided
from clipcause.data import dataset
from clipcause.embed import checkpoint
from clipcause.prune import split
from clipcause.runtime.entry import run
from clipcause.train import curves, distributed, plans, published, runs
from clipcause.train.runs import Sources


def main(name: str) -> str:
    """Train the run ``name`` of the section `runs`."""
    entry, train, where = objectives.load(name), section("train", Train), engine.current()
    versions.check(*runs.packages(entry.objective))
    folder, curve = layout.model(name), layout.curves(name)
    if isinstance(entry, Published):
        with curves.opened(curve):
            fingerprint = published.write(folder, entry)
        return f"{folder}, {entry.objective}, fingerprint {fingerprint[:12]}"
    divided(train, where.loaders)
    sources = Sources(
        dataset.read(layout.dataset(layout.POOL)),
        dataset.read(layout.dataset(study.name("reference"))),
        classes.read(layout.classes(study.name("classes"))),
    )
    chosen = split.from_rows([])
    if entry.split != NONE:
        chosen = split.read_for(layout.split(entry.split), sources.pool.sha256)
    given = None
    if entry.text_from != NONE:
        given = checkpoint.read(layout.model(study.other_run(entry.text_from, name)))
    planned = plans.plan(entry, chosen, train, len(sources.reference), given)
    runs.check(sources, planned)
    distributed.launch(train, where.launcher, "stages.train", name)
    with distributed.joined(train) as world, curves.opened(curve, write=world.first) as log:
        card = dict(chosen.card)
        fingerprint = runs.fit(folder, sources, planned, card, log.add, world, where.loaders)
    how = f"{entry.objective} on {len(chosen):,} rows of the pool"
    if entry.split == NONE:
        added = f"{len(sources.reference):,} of the reference"
        how = f"{entry.objective} on no row of the pool, {added}"
    return f"{folder}, {how}, fingerprint {fingerprint[:12]}"


if __name__ == "__main__":
    run(main)
