"""Probing a model: linear classifiers on its image features, tried on test sets.

Features are those that the model's image tower gives, before normalisation. A test set's own
classes take part, as in `evaluate`; for one of a test set alone (ObjectNet) the nearest of the
classes that it covers counts. Images of classes that the labelled rows do not have, or of which
they lack one that is covered, are counted and left out; so is a test set that has no others.
`clipcause.evaluate.probing` says how a probe is fitted.

Shapes: N labelled rows, Q test images, C classes, E rows that classes have, D dimensions.
"""

import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float32, Int64

from clipcause.captions.classes import ClassNames
from clipcause.config.evaluate import Evaluate
from clipcause.config.probes import Probe
from clipcause.data.manifest import Manifest
from clipcause.embed import models, pixels
from clipcause.embed.checkpoint import Checkpoint
from clipcause.embed.models import Clip
from clipcause.evaluate import class_vectors, predictions, probes, probing, zeroshot
from clipcause.evaluate.probing import Linear
from clipcause.runtime.notices import notice
from clipcause.runtime.progress import progress


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


class Rows(NamedTuple):
    """Rows of a data set to encode, which ascend, and their labels; ``name`` is for progress."""

    name: str
    manifest: Manifest
    row_N: Int64[np.ndarray, " N"]
    labels: list[str]


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


def encoded(stored: Checkpoint, sets: Iterable[Rows], settings: Evaluate) -> list[Labelled]:
    """The rows of each set with the features that the model in ``stored`` gives them."""
    clip = models.restore(stored)
    device = models.settle(settings.threads, settings.device)
    clip.model.to(device)
    return [
        Labelled(
            one.row_N,
            one.labels,
            features(clip, one.manifest, one.row_N, settings, device, one.name),
        )
        for one in sets
    ]


def labelled(manifest: Manifest, row_N: Int64[np.ndarray, " N"] | None) -> tuple[Any, list[str]]:
    """Those of the rows that have a label, or of all, and the labels; others are counted."""
    known = manifest.labels
    rows = range(len(manifest)) if row_N is None else row_N.tolist()
    kept = [row for row in rows if known[row] is not None]
    if not kept:
        raise ValueError(f"{manifest.folder}: none of {len(rows)} rows has a label")
    if left := len(rows) - len(kept):
        notice(str(manifest.folder), f"{left} of {len(rows)} rows have no label")
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
        notice(
            str(manifest.folder),
            f"none of its {len(every)} classes is among the {len(learnt)} of the probe's rows "
            f"({learnt[0]} and others): all {left} images are left out",
        )
    elif left:
        notice(
            str(manifest.folder),
            f"{left} of {len(labels)} images have a class that the probe's rows do not have, and "
            "are left out",
        )
    return Asked(row_Q[kept], [labels[index] for index in kept], meant, left)


def check_asked(asked: Mapping[str, Asked], learnt: list[str]) -> None:
    """Raise ``ValueError`` where no test set has an image of a class that was learnt."""
    if not any(one.label for one in asked.values()):
        raise ValueError(
            f"none of {len(asked)} test sets has a class that is among the {len(learnt)} of the "
            f"probe's rows ({learnt[0]} and others); are they of the same list of classes?"
        )


def fit(
    entry: Probe, train: Labelled, learnt: list[str], tests: Mapping[str, Test], out: Path
) -> dict[str, dict[str, Any]]:
    """Fit every draw of every number of shots; predictions go to ``out``, the numbers are given.

    Sums of BLAS depend on the number of its threads, which the caller sets.
    """
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
            whole = f"{short} of {len(learnt)} classes have fewer rows"
            notice(condition, f"{whole}: all are used")
    if unfinished:
        notice("probe", f"{unfinished} fits ended after {entry.iterations} iterations")
    return {"tests": numbers, "train": counts}
