"""evaluate: one run's model on every test set.

In: `models/<run>`, the test sets (manifests and shards), the class list. Out: `predictions/<run>`,
one file per test set, and `metrics/evaluate/<run>.json`.

Accuracy is over a test set's own classes, those that its labels name. CLIP answers zero-shot, with
prototypes from the prompts of `evaluate.templates`; a supervised model by its classifier, of which
only the test set's classes take part. Intervals are Wilson's, at 95 %.

Shapes: Q test images, C classes, D dimensions.
"""

import json
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import safetensors.numpy
import torch
from jaxtyping import Float

from stages import versions
from stages.artifacts import atomic, checkpoint, classes, dataset, layout, metrics, predictions
from stages.artifacts.checkpoint import Checkpoint
from stages.artifacts.classes import ClassNames
from stages.artifacts.dataset import Manifest
from stages.entry import run
from stages.learning import models, pixels, zeroshot
from stages.learning.models import Clip
from stages.parameters import item, nearest, section, study
from stages.parameters.evaluate import Evaluate
from stages.parameters.runs import Run
from stages.statistics import wilson

TOP = 5


def own_classes(manifest: Manifest) -> list[str]:
    """The classes that a test set's labels name, in alphabetic order.

    Raises ``ValueError`` for a test set without labels, or with some missing.
    """
    labelled = [label for label in manifest.labels if label is not None]
    if len(labelled) != len(manifest):
        raise ValueError(
            f"{manifest.folder}: {len(manifest) - len(labelled)} of {len(manifest)} images have no "
            "class, and a test set has one for each; label them (the shards' .cls members)"
        )
    return sorted(set(labelled))


def prototypes(
    clip: Clip,
    names: list[str],
    known: Mapping[str, ClassNames],
    settings: Evaluate,
    where: str,
    device: torch.device,
) -> Float[np.ndarray, "C D"]:
    """Class prototypes of the class ids ``names`` from the prompt ensemble."""
    for name in names:
        if name not in known:
            raise ValueError(
                f"{where}: class {name!r} is not in the list of classes; {nearest(name, known)}"
            )
    texts = zeroshot.prompts([known[name].name for name in names], settings.templates)
    text_PD = models.encode_texts(clip, texts, precision=settings.precision, device=device)
    return zeroshot.prototypes(text_PD, len(settings.templates))


def class_weights(stored: Checkpoint, names: list[str], where: str) -> Float[np.ndarray, "C D"]:
    """The rows of a supervised model's classifier for the class ids ``names``, of length one."""
    learnt = json.loads(stored.file(models.CLASSES))
    for name in names:
        if name not in learnt:
            raise ValueError(
                f"{where}: class {name!r} is not among the {len(learnt)} of the reference, which "
                f"{stored.folder} learnt; {nearest(name, learnt)}"
            )
    weight_CD = safetensors.numpy.load(stored.file(models.CLASSIFIER))["weight"].astype(np.float64)
    weight_CD = weight_CD[[learnt.index(name) for name in names]]
    return weight_CD / np.linalg.norm(weight_CD, axis=1, keepdims=True)


def answers(
    image_QD: Float[np.ndarray, "Q D"],
    class_CD: Float[np.ndarray, "C D"],
    names: list[str],
    manifest: Manifest,
    scale: float,
) -> pa.Table:
    """The predictions of a test set, with the columns of the artifact."""
    position = {name: index for index, name in enumerate(names)}
    true_Q = np.array([position[label] for label in manifest.labels if label is not None], np.int64)
    said = zeroshot.classify(image_QD, class_CD, true_Q, scale)
    columns = {
        "row": np.arange(len(manifest)),
        "label": [names[index] for index in true_Q],
        "predicted": [names[index] for index in said.predicted],
        "probability": said.probability.astype(np.float32),
        "rank": said.rank,
    }
    return pa.table(columns, schema=predictions.SCHEMA)


def accuracy(table: pa.Table, count: int) -> dict[str, float]:
    """The numbers of one test set over ``count`` classes, with the interval of top-1."""
    rank_Q = table["rank"].to_numpy()
    right = int((rank_Q == 1).sum())
    low, high = wilson(right, len(rank_Q))
    return {
        "top1": right / len(rank_Q),
        "top5": float((rank_Q <= TOP).mean()),
        "low": low,
        "high": high,
        "n": len(rank_Q),
        "classes": count,
    }


def main(name: str) -> str:
    """Evaluate the run ``name`` on the test sets of the section `tests`."""
    versions.check(*versions.LEARNING)
    entry, settings = item("runs", name, Run), section("evaluate", Evaluate)
    known = classes.read(layout.classes(study.name("classes")))
    tests = {test: dataset.read(layout.dataset(layout.test(test))) for test in study.suite()}
    owned = {test: own_classes(manifest) for test, manifest in tests.items()}
    stored = checkpoint.read(layout.model(name))
    clip = models.restore(stored)
    device = models.settle(settings.threads, settings.device)
    clip.model.to(device)
    scale = float(clip.model.logit_scale.detach().exp())
    numbers: dict[str, dict[str, float]] = {}
    with atomic.folder(layout.predictions(name)) as out:
        for test, manifest in tests.items():
            where, names = str(manifest.folder), owned[test]
            if entry.objective == "supervised":
                class_CD = class_weights(stored, names, where)
            else:
                class_CD = prototypes(clip, names, known, settings, where, device)
            images = pixels.load(manifest, clip.view, label=test)
            image_QD = models.encode_images(
                clip, images,
                batch_size=settings.batch_size, precision=settings.precision, device=device,
            )  # fmt: skip
            table = answers(image_QD, class_CD, names, manifest, scale)
            predictions.write(out, test, table)
            numbers[test] = accuracy(table, len(names))
    metrics.write(layout.metrics("evaluate", name), numbers)
    shown = ", ".join(f"{test} {numbers[test]['top1']:.3f}" for test in tests)
    return f"top-1 {shown}"


if __name__ == "__main__":
    run(main)
