"""train: one run, a model on one split.

In: pool and reference (manifests and shards), the run's split, and the encoder's checkpoint where
the run may take it over. Out: `models/<run>`, a checkpoint, and `curves/<run>`, its training curve.
With `train.processes` above one this process becomes their torchrun (`clipcause.train.distributed`
says how several machines take part, by `engine.launcher`).

Every run sees the same number of samples, whatever the size of its split, unless it states its own
`epochs` or `samples_seen`. A run with a donor also takes `models/<donor>`. `reuse: encoder` takes
the encoder's checkpoint if its recipe (data, rows, objective, seed, parameters) is the run's own,
and trains otherwise, saying what differs.
"""

import sys
from collections.abc import Mapping
from typing import Any

from clipcause.captions import classes
from clipcause.config import FILE, engine, item, layout, parse, read, section, study, unknown
from clipcause.config.runs import NONE, Run
from clipcause.config.train import Optimiser, Train, divided
from clipcause.data import dataset
from clipcause.embed import checkpoint
from clipcause.embed.checkpoint import Checkpoint
from clipcause.prune import split
from clipcause.prune.split import Split
from clipcause.runtime import versions
from clipcause.runtime.entry import run
from clipcause.train import curves, distributed, runs
from clipcause.train.runs import Plan, Sources

ENCODER = "encoder"


def plan(
    entry: Run, chosen: Split, train: Train, reference: int = 0, donor: Checkpoint | None = None
) -> Plan:
    """What a run of the parameters amounts to; what the run states goes before what `train` does.

    ``reference`` is the number of rows of the reference, which epochs count where it is added.
    """
    add = train.add_reference if entry.add_reference is None else entry.add_reference
    add = add or (entry.objective == "supervised" and entry.split == NONE)
    if entry.epochs is not None:
        train = passes(train, entry.objective, entry.epochs, len(chosen) + reference * add)
    if entry.samples_seen is not None:
        train = seeing(train, entry.objective, entry.samples_seen)
    return Plan(
        rows=chosen,
        add_reference=add,
        objective=entry.objective,
        seed=entry.seed,
        train=train,
        captions=entry.captions,
        text=entry.text,
        donor=donor,
        vocabulary=entry.vocabulary,
        prototypes=entry.prototypes,
    )


def passes(train: Train, objective: str, epochs: float, rows: int) -> Train:
    """The parameters with as many samples as make ``epochs`` passes over ``rows``, in whole
    batches."""
    settings: Optimiser | None = getattr(train, objective)
    if settings is None:
        return train  # which is said where the run is checked
    batches = max(1, round(epochs * rows / settings.batch_size))
    own = settings.model_copy(update={"samples_seen": batches * settings.batch_size})
    return train.model_copy(update={objective: own})


def seeing(train: Train, objective: str, samples: int) -> Train:
    """The parameters with a run's own number of samples, checked as those of `train` are."""
    values = train.model_dump(exclude_unset=True)
    if values.get(objective) is None:
        return train
    values[objective]["samples_seen"] = samples
    return parse(values, Train, f"samples_seen {samples} of the run in train")


def donated(name: str, entry: Run) -> Checkpoint | None:
    """The checkpoint whose text tower the run ``name`` takes, where it takes one."""
    if entry.donor == NONE:
        return None
    known = [ENCODER, *(run for run in read()["runs"] if run != name)]
    if entry.donor not in known:
        raise unknown("donor", entry.donor, known, f"{FILE}: runs.{name}")
    return checkpoint.read(layout.model(entry.donor))


def reusable(sources: Sources, planned: Plan) -> Checkpoint | None:
    """The encoder's checkpoint, if it is the model that this run would become."""
    stored = checkpoint.read(layout.model(ENCODER))
    if "source" in stored.card["training"]:
        print("the encoder was not trained here: training", file=sys.stderr)
        return None
    recipe = runs.recipe(sources, planned)
    if different := runs.differences(recipe, stored.card["training"]):
        print(f"the encoder differs in {', '.join(different)}: training", file=sys.stderr)
        return None
    return stored


def main(name: str) -> str:
    """Train the run ``name`` of the section `runs`."""
    entry, train = item("runs", name, Run), section("train", Train)
    versions.check(*runs.packages(entry.objective))
    where = engine.current()
    divided(train, where.loaders)
    sources = Sources(
        dataset.read(layout.dataset(layout.POOL)),
        dataset.read(layout.dataset(study.name("reference"))),
        classes.read(layout.classes(study.name("classes"))),
    )
    chosen = split.from_rows([])
    if entry.split != NONE:
        chosen = split.read_for(layout.split(entry.split), sources.pool.sha256)
    planned = plan(entry, chosen, train, len(sources.reference), donated(name, entry))
    runs.check(sources, planned)
    folder, card = layout.model(name), dict(chosen.card)
    stored = reusable(sources, planned) if entry.reuse == ENCODER else None
    if stored:
        return f"{folder}, the encoder's, fingerprint {_adopted(name, stored, card)[:12]}"
    distributed.launch(train, where.launcher, "stages.train", name)
    with (
        distributed.joined(train) as world,
        curves.opened(layout.curves(name), write=world.first) as curve,
    ):
        fingerprint = runs.fit(folder, sources, planned, card, curve.add, world, where.loaders)
    how = f"{entry.objective} on {len(chosen):,} rows of the pool"
    return f"{folder}, {how}, fingerprint {fingerprint[:12]}"


def _adopted(name: str, stored: Checkpoint, card: Mapping[str, Any]) -> str:
    """Take the encoder's checkpoint over; of several processes the first one does."""
    if not distributed.first():
        return stored.fingerprint
    with curves.opened(layout.curves(name)) as curve:
        return runs.adopt(layout.model(name), stored, card, curve.add)


if __name__ == "__main__":
    run(main)
