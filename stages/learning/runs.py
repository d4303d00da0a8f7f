"""One run from data sets to a checkpoint: what `train` and `encoder` have in common.

Both make a run by these functions, so that the encoder of the default study, trained on the whole
pool, is bit for bit the model that a run on the same rows with the same seed would be.

Shapes: K rows of the split, N images trained on (split and reference), S pixels a side.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from jaxtyping import Int64

from stages import versions
from stages.artifacts import cache, checkpoint
from stages.artifacts.checkpoint import Checkpoint
from stages.artifacts.classes import ClassNames
from stages.artifacts.dataset import Manifest
from stages.learning import loop, models, pixels, tokens
from stages.learning.loop import Data, Line
from stages.learning.models import Clip
from stages.learning.objectives import Contrastive, Objective, Supervised
from stages.parameters import nearest
from stages.parameters.train import Train

CODE = (  # decides weights; tracked by the shard cache and by `reuse`, beside what DVC tracks
    "stages.learning.augment",
    "stages.learning.loop",
    "stages.learning.models",
    "stages.learning.objectives",
    "stages.learning.order",
    "stages.learning.pixels",
    "stages.learning.runs",
    "stages.learning.tokens",
    "stages.mixing",
)


@dataclass(frozen=True)
class Sources:
    """The data that runs draw on."""

    pool: Manifest
    reference: Manifest
    classes: Mapping[str, ClassNames]


@dataclass(frozen=True)
class Plan:
    """One run: rows of the pool, whether the reference is added to them, and how to learn."""

    rows: Int64[np.ndarray, " K"]
    add_reference: bool
    objective: str
    seed: int
    train: Train


def recipe(sources: Sources, plan: Plan) -> dict[str, Any]:
    """All that decides a run's weights on one machine, as JSON; the card of its checkpoint has it.

    Two runs with equal recipes are the same model, whatever their names.
    """
    settings = plan.train.model_dump(exclude={"clip", "supervised", "add_reference"})
    content = {
        "pool": sources.pool.sha256,
        "rows": int(plan.rows.size),
        "rows_sha256": hashlib.sha256(plan.rows.astype("<i8").tobytes()).hexdigest(),
        "reference": sources.reference.sha256 if plan.add_reference else "none",
        # a class that is renamed changes captions, and nothing else would tell
        "reference_captions": cache.key(_reference_captions(sources, plan)),
        "objective": plan.objective,
        "seed": plan.seed,
        "parameters": settings,
        "optimiser": getattr(plan.train, plan.objective).model_dump(),
        "code": cache.code(*CODE),
        "versions": versions.used(*versions.LEARNING),
    }
    return json.loads(json.dumps(content))


def check(sources: Sources, plan: Plan) -> None:
    """Raise ``ValueError`` for a run that cannot be: nothing to learn from, or no labels."""
    if not plan.rows.size and not plan.add_reference:
        raise ValueError("the split is empty and the reference is not added: nothing to train on")
    if plan.rows.size and int(plan.rows.max()) >= len(sources.pool):
        raise ValueError(
            f"the split has row {plan.rows.max()}, {sources.pool.folder} has "
            f"{len(sources.pool)} rows; the split is of another pool"
        )
    if plan.objective == "supervised" and plan.rows.size:
        raise ValueError(
            f"a supervised run learns from the reference's labels, and its split has "
            f"{plan.rows.size} rows of the pool; set its split to none"
        )


def fit(
    folder: Path,
    sources: Sources,
    plan: Plan,
    split_card: Mapping[str, Any],
    watch: Callable[[Line], None] = lambda _: None,
) -> str:
    """Train a run, write its checkpoint to ``folder`` and return the fingerprint."""
    check(sources, plan)
    device = models.settle(plan.train.threads, plan.train.device)
    decided = recipe(sources, plan)
    clip = _model(sources, plan)
    data, objective, classes = _task(sources, plan, clip)
    # the code is in the state and not in its name: a state of other code is found and replaced
    code = decided["code"]
    named = {name: value for name, value in decided.items() if name != "code"}
    state = cache.folder() / f"{cache.key('training', named)}.state"
    run = loop.Run(getattr(plan.train, plan.objective), plan.seed, plan.train.precision, device)
    curve = loop.train(
        objective, clip, data, run, state=state, code=code, label=folder.name, watch=watch
    )
    fingerprint = checkpoint.write(
        folder,
        models.weights(clip.model),
        model_config=clip.config,
        preprocess=clip.preprocess,
        training=decided,
        split=split_card,
        log=curve,
        files={**clip.files, **_classifier(objective, classes)},
    )
    state.unlink(missing_ok=True)
    return fingerprint


def adopt(
    folder: Path,
    stored: Checkpoint,
    split_card: Mapping[str, Any],
    watch: Callable[[Line], None] = lambda _: None,
) -> str:
    """Write a checkpoint that another stage trained as that of this run, under its own split."""
    curve: list[Line] = [
        {**line, "step": int(line["step"]), "samples": int(line["samples"])}
        for line in stored.log()
    ]
    for line in curve:
        watch(line)
    return checkpoint.write(
        folder,
        stored.weights_path.read_bytes(),
        model_config=stored.model_config,
        preprocess=stored.preprocess,
        training=stored.card["training"],
        split=split_card,
        log=curve,
        files={name: stored.file(name) for name in stored.card["files"]},
    )


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """The entries in which two recipes differ."""
    return sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))


def _model(sources: Sources, plan: Plan) -> Clip:
    """A new model. Its vocabulary comes from the whole pool: runs on any split share it."""
    captions = sources.pool.captions if plan.objective == "clip" else sources.reference.captions
    with tempfile.TemporaryDirectory() as folder:
        merges = Path(folder, tokens.MERGES)
        tokens.write(merges, tokens.learn(captions, plan.train.merges))
        return models.create(
            plan.train.model.config(), merges, image_size=plan.train.image_size, seed=plan.seed
        )


def _task(sources: Sources, plan: Plan, clip: Clip) -> tuple[Data, Objective, list[str]]:
    """The training set in memory and the objective; classes where it has any."""
    if plan.objective == "supervised":
        labels, classes = _labels(sources.reference)
        target = np.array([classes.index(label) for label in labels], np.int64)
        images = pixels.load(sources.reference, clip.view, label="reference")
        objective = Supervised(clip.model, len(classes), plan.train.model.embed_dim)
        return Data(images, target), objective, classes
    added = np.arange(len(sources.reference) if plan.add_reference else 0)
    kept, view = plan.rows.size, clip.view
    images = np.empty((kept + added.size, view.size, view.size, 3), np.uint8)
    pixels.gather(sources.pool, view, plan.rows, images[:kept], label="pool")
    pixels.gather(sources.reference, view, added, images[kept:], label="reference")
    everything = sources.pool.captions
    captions = [everything[row] for row in plan.rows] + _reference_captions(sources, plan)
    target = tokens.encode(clip.tokenizer, captions)
    return Data(images, target), Contrastive(clip.model), []


def _labels(reference: Manifest) -> tuple[list[str], list[str]]:
    """Labels of all rows, and the classes among them in alphabetic order."""
    labels = [label for label in reference.labels if label is not None]
    if len(labels) != len(reference):
        raise ValueError(
            f"{reference.folder}: {len(reference) - len(labels)} of {len(reference)} rows have no "
            "label, and a reference has one everywhere"
        )
    return labels, sorted(set(labels))


def _reference_captions(sources: Sources, plan: Plan) -> list[str]:
    if not plan.add_reference or plan.objective == "supervised":
        return []
    labels, classes = _labels(sources.reference)
    for label in classes:
        if label not in sources.classes:
            raise ValueError(
                f"{sources.reference.folder}: label {label!r} is not in the list of classes; "
                f"{nearest(label, sources.classes)}"
            )
    template = plan.train.reference_caption
    return [template.replace("{name}", sources.classes[label].name) for label in labels]


def _classifier(objective: Objective, classes: list[str]) -> dict[str, bytes]:
    """The further files of a supervised run: class weights, and the classes in their order."""
    if not isinstance(objective, Supervised):
        return {}
    weight = objective.classifier.detach().cpu().numpy()
    return {
        models.CLASSIFIER: safetensors.numpy.save({"weight": np.ascontiguousarray(weight)}),
        models.CLASSES: json.dumps(classes).encode(),
    }
