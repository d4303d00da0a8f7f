"""evaluate: one run's model on every test set.

In: `models/<run>`, the test sets (manifests and shards), the class list. Out: `predictions/<run>`,
one file per test set, and `metrics/evaluate/<run>.json`.

Accuracy is over a test set's own classes, those that its labels name. CLIP answers zero-shot, with
prototypes from the prompts of `evaluate.templates`; a supervised model by its classifier, of which
only the test set's classes take part. ObjectNet has classes of its own: their prompts are their own
names, and of a supervised model the ImageNet classes that one covers answer for it. Intervals are
Wilson's, at 95 %. Images are decoded, encoded and compared shard by shard.

Shapes: Q test images, C classes, E rows that classes have, D dimensions.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import safetensors.numpy
import torch
from jaxtyping import Float, Int64

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
from stages.progress import progress
from stages.statistics import wilson

TOP = 5
PROMPTS = 4096  # texts that are encoded at once


class Classes(NamedTuple):
    """What images are compared with: class ids, and rows of length one.

    One row a class; or those from its ``first_C`` to the next class's.
    """

    names: list[str]
    class_ED: Float[np.ndarray, "E D"]
    first_C: Int64[np.ndarray, " C"] | None


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
    templates = zeroshot.named(settings.templates)
    at_once = max(1, PROMPTS // len(templates))  # 1000 classes have 80,000 prompts
    parts = []
    for start in range(0, len(names), at_once):
        some = [known[name].name for name in names[start : start + at_once]]
        texts = zeroshot.prompts(some, templates)
        text_PD = models.encode_texts(clip, texts, precision=settings.precision, device=device)
        parts.append(zeroshot.prototypes(text_PD, len(templates)))
    return np.concatenate(parts)


def class_weights(
    stored: Checkpoint, names: list[str], known: Mapping[str, ClassNames], where: str
) -> Classes:
    """The rows of a supervised model's classifier for the class ids ``names``, of length one.

    A class of a test set alone has the rows of the classes that it covers.
    """
    learnt = json.loads(stored.file(models.CLASSES))
    place = {name: index for index, name in enumerate(learnt)}
    rows, first = [], []
    for name in names:
        meant = [name] if name in place or name not in known else known[name].covers or [name]
        for one in meant:
            if one not in place:
                raise ValueError(
                    f"{where}: class {one!r} is not among the {len(learnt)} of the reference, "
                    f"which {stored.folder} learnt; {nearest(one, learnt)}"
                )
        first.append(len(rows))
        rows += [place[one] for one in meant]
    weight_ED = safetensors.numpy.load(stored.file(models.CLASSIFIER))["weight"].astype(np.float64)
    weight_ED = weight_ED[rows]
    weight_ED /= np.linalg.norm(weight_ED, axis=1, keepdims=True)
    return Classes(names, weight_ED, np.array(first) if len(rows) > len(names) else None)


def answers(
    clip: Clip,
    manifest: Manifest,
    found: Classes,
    settings: Evaluate,
    device: torch.device,
    label: str,
) -> pa.Table:
    """The predictions of a test set, with the columns of the artifact; memory holds one shard."""
    position = {name: index for index, name in enumerate(found.names)}
    scale = float(clip.model.logit_scale.detach().exp())
    view, parts = clip.view, []
    for number in progress(range(len(manifest.shards)), label=f"evaluate {label}", unit="shards"):
        image_QD = models.encode_images(
            clip, pixels.shard(manifest, number, view),
            batch_size=settings.batch_size, precision=settings.precision, device=device,
        )  # fmt: skip
        true_Q = np.array(
            [
                position[name]
                for name in manifest.shard_table(number, ["label"])["label"].to_pylist()
            ],
            np.int64,
        )
        said = zeroshot.classify(image_QD, found.class_ED, true_Q, scale, found.first_C)
        columns = {
            "row": np.arange(*manifest.starts[number : number + 2]),
            "label": [found.names[index] for index in true_Q],
            "predicted": [found.names[index] for index in said.predicted],
            "probability": said.probability.astype(np.float32),
            "rank": said.rank,
        }
        parts.append(pa.table(columns, schema=predictions.SCHEMA))
    return pa.concat_tables(parts).combine_chunks()


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
    numbers: dict[str, dict[str, float]] = {}
    made: dict[tuple[str, ...], Classes] = {}  # test sets of the same classes share prototypes
    with atomic.folder(layout.predictions(name)) as out:
        for test, manifest in tests.items():
            where, names = str(manifest.folder), owned[test]
            if (found := made.get(tuple(names))) is None:
                if entry.objective == "supervised":
                    found = class_weights(stored, names, known, where)
                else:
                    class_CD = prototypes(clip, names, known, settings, where, device)
                    found = Classes(names, class_CD, None)
                made[tuple(names)] = found
            table = answers(clip, manifest, found, settings, device, test)
            predictions.write(out, test, table)
            numbers[test] = accuracy(table, len(names))
    metrics.write(layout.metrics("evaluate", name), numbers)
    shown = ", ".join(f"{test} {numbers[test]['top1']:.3f}" for test in tests)
    return f"top-1 {shown}"


if __name__ == "__main__":
    run(main)
