"""probe NAME: linear classifiers on the features of a run's model, few-shot or on all rows.

In: `models/<run>`, the labelled rows of the pool (in a split, if one is stated) or of the
reference, the test sets, the class list. Out: `probes/<name>`, predictions of every draw, and
`metrics/probe/<name>.json`: per test set and number of shots the accuracy of every draw, their mean
and standard deviation.

Features are those that the model's image tower gives, before normalisation. A test set's own
classes take part, as in `evaluate`; for one of a test set alone (ObjectNet) the nearest of the
classes that it covers counts. Images of classes that the labelled rows do not have, or of which
they lack one that is covered, are counted and left out; so is a test set that has no others.
`clipcause.evaluate.probing` says how a probe is fitted.

Shapes: N labelled rows, Q test images, C classes, E rows that classes have, D dimensions.
"""

import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float32, Int64
from threadpoolctl import threadpool_limits

from clipcause.captions import classes
from clipcause.captions.classes import ClassNames
from clipcause.config import item, layout, section, study
from clipcause.config.evaluate import Evaluate
from clipcause.config.probes import NONE, POOL, Probe
from clipcause.data import dataset
from clipcause.data.dataset import Manifest
from clipcause.embed import checkpoint, models, pixels
from clipcause.embed.models import Clip
from clipcause.evaluate import class_vectors, predictions, probes, probing, zeroshot
from clipcause.evaluate.probing import Linear
from clipcause.prune import split
from clipcause.runtime import atomic, metrics, versions
from clipcause.runtime.entry import run
from clipcause.runtime.progress import progress

REFERENCE = "reference"


class Labelled(NamedTuple):
    """Images with a class."""

    row: Int64[np.ndarray, " N"]
    label: list[str]
    feature: Float32[np.ndarray, "N D"]


class Asked(NamedTuple):
    """What a test set asks that the labelled rows can answer, as its labels alone say."""

    row: Int64[np.ndarray, " Q"]
    label: list[str]
    meant: dict[str, list[str]]  # the classes of the probe that answer for each of its own
    left_out: int  # images of other classes


class Test(NamedTuple):
    """The images of a test set that are answered, and what answers for each of its classes."""

    images: Labelled
    meant: dict[str, list[str]]


def features(
    clip: Clip,
    manifest: Manifest,
    row_N: Int64[np.ndarray, " N"],
    settings: Evaluate,
    device: torch.device,
    label: str,
) -> Float32[np.ndarray, "N D"]:
    """Image features before normalisation of some rows, which ascend; memory holds one shard."""
    out = np.empty((len(row_N), clip.config["embed_dim"]), np.float32)
    bounds = np.searchsorted(row_N, manifest.starts)
    held = [position for position in range(len(manifest.shards)) if np.diff(bounds)[position]]
    for position in progress(held, label=f"probe {label}", unit="shards"):
        first, last = bounds[position : position + 2]
        images = pixels.shard(manifest, position, clip.view)
        chosen = images[row_N[first:last] - manifest.starts[position]]
        for start in range(0, len(chosen), settings.batch_size):
            part = clip.normalise(chosen[start : start + settings.batch_size], device)
            with torch.no_grad(), models.autocast(settings.precision, device):
                found = clip.model.encode_image(part)
            at = first + start
            out[at : at + len(part)] = found.float().cpu().numpy()
    return out


def labelled(manifest: Manifest, row_N: Int64[np.ndarray, " N"] | None) -> tuple[Any, list[str]]:
    """Those of the rows that have a label, or of all, and the labels; others are counted."""
    known = manifest.labels
    rows = range(len(manifest)) if row_N is None else row_N.tolist()
    kept = [row for row in rows if known[row] is not None]
    if not kept:
        raise ValueError(f"{manifest.folder}: none of {len(rows)} rows has a label")
    if left := len(rows) - len(kept):
        print(f"{manifest.folder}: {left} of {len(rows)} rows have no label", file=sys.stderr)
    return np.array(kept, np.int64), [str(known[row]) for row in kept]


def answers(linear: Linear, names: list[str], test: Test) -> pa.Table:
    """Predictions with the columns of the artifact; the test set's own classes take part.

    ``names`` are the probe's classes, of which some answer for those of the test set.
    """
    place = {name: index for index, name in enumerate(names)}
    own = list(test.meant)
    chosen = [place[name] for meant in test.meant.values() for name in meant]
    first_C = class_vectors.first_rows([len(meant) for meant in test.meant.values()])
    position = {name: index for index, name in enumerate(own)}
    true_Q = np.array([position[name] for name in test.images.label], np.int64)
    # the offset as one more dimension, which is 1 in every image
    class_EF = np.column_stack([linear.weight_CD, linear.offset_C])[chosen]
    image_QF = np.column_stack([test.images.feature, np.ones(len(true_Q), np.float32)])
    said = zeroshot.classify(image_QF, class_EF, true_Q, 1.0, first_C)
    columns = {
        "row": test.images.row,
        "label": test.images.label,
        "predicted": [own[index] for index in said.predicted],
        "probability": said.probability.astype(np.float32),
        "rank": said.rank,
    }
    return pa.table(columns, schema=predictions.SCHEMA)


def summary(accuracy: Mapping[int, float], strength: Mapping[int, float]) -> dict[str, Any]:
    """The numbers of one test set and number of shots, by draw."""
    values = list(accuracy.values())
    numbers: dict[str, Any] = {
        "top1": statistics.fmean(values),
        "draws": {f"draw-{draw}": value for draw, value in accuracy.items()},
        "regularisation": {f"draw-{draw}": value for draw, value in strength.items()},
    }
    if len(values) > 1:  # one draw has no deviation
        numbers["deviation"] = statistics.stdev(values)
    return numbers


def main(name: str) -> str:
    """Fit and try the probe ``name`` of the section `probes`."""
    versions.check(*versions.LEARNING, *versions.PROBES)
    entry, settings = item("probes", name, Probe), section("evaluate", Evaluate)
    where = layout.POOL if entry.data == POOL else study.name("reference")
    manifest = dataset.read(layout.dataset(where))
    tests = {test: dataset.read(layout.dataset(layout.test(test))) for test in study.to_classify()}
    chosen = None
    if entry.split != NONE:
        chosen = split.read_for(layout.split(entry.split), manifest.sha256).rows

    row_N, labels = labelled(manifest, chosen)
    learnt = sorted(set(labels))
    known = classes.read(layout.classes(study.name("classes")))
    asked = {test: among(images, learnt, known) for test, images in tests.items()}
    if not any(one.label for one in asked.values()):
        raise ValueError(
            f"none of {len(tests)} test sets has a class that is among the {len(learnt)} of the "
            f"probe's rows ({learnt[0]} and others); are they of the same list of classes?"
        )

    clip = models.restore(checkpoint.read(layout.model(entry.run)))
    device = models.settle(settings.threads, settings.device)
    clip.model.to(device)

    def seen(
        manifest: Manifest, row_N: Int64[np.ndarray, " N"], labels: list[str], label: str
    ) -> Labelled:
        return Labelled(row_N, labels, features(clip, manifest, row_N, settings, device, label))

    train = seen(manifest, row_N, labels, where)
    answered = {
        test: Test(seen(tests[test], one.row, one.label, test), one.meant)
        for test, one in asked.items()
        if one.label
    }
    # sums of BLAS depend on the number of its threads, which is a parameter here
    with threadpool_limits(settings.threads), atomic.folder(layout.probes(name)) as out:
        numbers = _conditions(entry, train, learnt, answered, out)
    numbers["tests"] = {
        test: numbers["tests"].get(test, {}) | {"n": len(one.label), "left_out": one.left_out}
        for test, one in asked.items()
    }
    metrics.write(layout.metrics("probe", name), numbers)
    shown = [
        f"{test} {condition} {of['top1']:.3f}"
        for test in tests
        for condition, of in numbers["tests"][test].items()
        if isinstance(of, dict)
    ]
    return f"top-1 {', '.join(shown)}"


def among(manifest: Manifest, learnt: list[str], known: Mapping[str, ClassNames]) -> Asked:
    """The images of a test set whose class was learnt, or covers classes that all were.

    Others are counted. ``known`` is the list of classes.
    """
    row_Q, labels = labelled(manifest, None)
    have = set(learnt)
    every = {name: class_vectors.answering(name, have, known) for name in sorted(set(labels))}
    meant = {name: answering for name, answering in every.items() if have.issuperset(answering)}
    kept = [index for index, label in enumerate(labels) if label in meant]
    left = len(labels) - len(kept)
    if not kept:
        print(
            f"{manifest.folder}: none of its {len(every)} classes is among the {len(learnt)} of "
            f"the probe's rows ({learnt[0]} and others): all {left} images are left out",
            file=sys.stderr,
        )
    elif left:
        print(
            f"{manifest.folder}: {left} of {len(labels)} images have a class that the probe's rows "
            "do not have, and are left out",
            file=sys.stderr,
        )
    return Asked(row_Q[kept], [labels[index] for index in kept], meant, left)


def _conditions(
    entry: Probe, train: Labelled, learnt: list[str], tests: Mapping[str, Test], out: Path
) -> dict[str, dict[str, Any]]:
    """Fit every draw of every number of shots; predictions go to ``out``, the numbers are given."""
    place = {label: index for index, label in enumerate(learnt)}
    class_N = np.array([place[label] for label in train.label], np.int64)
    numbers: dict[str, dict[str, Any]] = {test: {} for test in tests}
    counts: dict[str, Any] = {"rows": len(class_N), "classes": len(learnt)}
    todo = [(shots, draw) for shots in entry.shots or [None] for draw in range(entry.draws)]
    unfinished = 0
    accuracy: dict[tuple[str, str], dict[int, float]] = {}
    strength: dict[str, dict[int, float]] = {}
    for shots, draw in progress(todo, label="probe", unit="fits"):
        condition = probes.condition(shots)
        # with nothing to choose nothing is held out
        held_out = entry.held_out if len(entry.regularisation) > 1 else 0.0
        rows = probing.drawn(
            class_N, train.row, shots, seed=entry.seed, draw=draw, held_out=held_out
        )
        linear = probing.probe(
            train.feature,
            class_N,
            rows,
            entry.regularisation,
            iterations=entry.iterations,
            again=shots is None,
        )
        unfinished += linear.unfinished
        counts[condition] = {
            "fitted": len(rows.fitted),
            "held_out": len(rows.held),
            "short": rows.short,
        }
        strength.setdefault(condition, {})[draw] = linear.strength
        folder = probes.predictions(out, shots, draw)
        folder.mkdir(parents=True)
        for test, images in tests.items():
            table = answers(linear, learnt, images)
            predictions.write(folder, test, table)
            right = float((table["rank"].to_numpy() == 1).mean())
            accuracy.setdefault((test, condition), {})[draw] = right
    for (test, condition), values in accuracy.items():
        numbers[test][condition] = summary(values, strength[condition])
    for condition in strength:
        if short := counts[condition]["short"]:
            print(
                f"{condition}: {short} of {len(learnt)} classes have fewer rows: all are used",
                file=sys.stderr,
            )
    if unfinished:
        print(f"{unfinished} fits ended after {entry.iterations} iterations", file=sys.stderr)
    return {"tests": numbers, "train": counts}


if __name__ == "__main__":
    run(main)
