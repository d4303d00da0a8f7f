"""encoder: the model by which similarity is measured.

In: pool and reference (manifests and shards), or the name of a published model. Out:
`models/encoder`, a checkpoint; with `source: train` also `curves/encoder`.

By default it is CLIP trained on the whole pool with the reference added, as the study's encoder
was trained on the data that was pruned; a run on all rows with the same seed takes it over.
"""

from pathlib import Path

from clipcause.captions import classes
from clipcause.config import engine, layout, section, study
from clipcause.config.encoder import NONE, Encoder
from clipcause.config.train import Train, divided
from clipcause.data import dataset
from clipcause.embed import checkpoint, models
from clipcause.embed.models import Clip
from clipcause.prune import split
from clipcause.runtime import versions
from clipcause.runtime.entry import run
from clipcause.train import curves, distributed, runs
from clipcause.train.runs import Plan, Sources

NAME = "encoder"


def trained(encoder: Encoder) -> str:
    """Train the encoder on every row of the pool; its fingerprint."""
    sources = Sources(
        dataset.read(layout.dataset(layout.POOL)),
        dataset.read(layout.dataset(study.name("reference"))),
        classes.read(layout.classes(study.name("classes"))),
    )
    train, where = section("train", Train), engine.current()
    divided(train, where.loaders)
    everything = split.everything(len(sources.pool))
    plan = Plan(everything, train.add_reference, "clip", encoder.seed, train)
    card = {"rule": "none", "base": "all", "kept": len(sources.pool), "pool": sources.pool.sha256}
    runs.check(sources, plan)
    distributed.launch(train, where.launcher, "stages.encoder")
    with (
        distributed.joined(train) as world,
        curves.opened(layout.curves(NAME), write=world.first) as curve,
    ):
        folder = layout.model(NAME)
        return runs.fit(folder, sources, plan, card, curve.add, world, where.loaders)


def published(encoder: Encoder) -> Clip:
    """A model that others trained. Raises ``ValueError`` where the parameters do not name one."""
    if encoder.source == "checkpoint":
        if encoder.path == NONE:
            raise ValueError("encoder.path is none; with source checkpoint it names a folder")
        return models.load(Path(encoder.path))
    if NONE in (encoder.model, encoder.pretrained):
        raise ValueError(
            "encoder.model and encoder.pretrained name the model with source pretrained "
            f"(they are {encoder.model!r} and {encoder.pretrained!r})"
        )
    return models.pretrained(encoder.model, encoder.pretrained)


def main() -> str:
    """Make `models/encoder` as the section `encoder` says."""
    versions.check(*versions.LEARNING)
    encoder = section("encoder", Encoder)
    folder = layout.model(NAME)
    if encoder.source == "train":
        fingerprint = trained(encoder)
    else:
        clip = published(encoder)
        with curves.opened(layout.curves(NAME)):
            fingerprint = checkpoint.write(
                folder,
                models.weights(clip.model),
                model_config=clip.config,
                preprocess=clip.preprocess,
                training={"source": encoder.model_dump()},
                split={},
                files=clip.files,
            )
    return f"{folder}, {encoder.source}, fingerprint {fingerprint[:12]}"


if __name__ == "__main__":
    run(main)
