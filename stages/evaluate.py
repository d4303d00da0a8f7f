"""evaluate: one run's model on every test set.

In: `models/<run>`, the test sets (manifests and shards), the class list; for class frequency the
run's split, the manifests of pool and reference, and `frequency/<list>`. Out: `predictions/<run>`
and `features/<run>`, files per test set, and `metrics/evaluate/<run>.json`.

Accuracy is over a test set's own classes, those that its labels name. CLIP answers zero-shot, with
prototypes from the prompts of `evaluate.templates`; a supervised model by its classifier, of which
only the test set's classes take part. ObjectNet has classes of its own: their prompts are their own
names, and of a supervised model the ImageNet classes that one covers answer for it. Intervals are
Wilson's, at 95 %. Images are decoded, encoded and compared shard by shard; the features of a whole
test set are kept for the metrics of neural collapse.

`imbalance` (bias by class frequency, `evaluate.bias`) is there where `evaluate.frequency` says how
the run's training rows are counted, or where the run's split says which classes it trimmed;
`neural_collapse` (`evaluate.collapse`) always. A self-supervised run has no classes: no
predictions, and of neural collapse what needs none. The functions `imbalance` and `neural_collapse`
are here for notebooks too.

A test set of the task `retrieval` is asked for R@k in both directions instead
(`evaluate.retrieval`), with its captions as they are; its ranks are in `predictions/<run>` too.
Only a CLIP run has learnt what captions say: another run has no entry for such a test set.

Shapes: Q test images, C classes, E rows that classes have, D dimensions.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Float32, Int64
from threadpoolctl import threadpool_limits

from clipcause.captions import classes
from clipcause.captions.classes import ClassNames
from clipcause.config import item, layout, section, study
from clipcause.config.evaluate import Evaluate
from clipcause.config.runs import Run
from clipcause.data import dataset
from clipcause.data.dataset import Manifest
from clipcause.embed import checkpoint, images, models, pixels
from clipcause.embed.models import Clip
from clipcause.evaluate import caption_ranks as captions
from clipcause.evaluate import class_vectors, features, predictions, retrieval, zeroshot
from clipcause.evaluate import frequency_seen as exposure
from clipcause.evaluate import ranks as captioned
from clipcause.evaluate.bias import Imbalance, confusion, imbalance
from clipcause.evaluate.class_vectors import Classes
from clipcause.evaluate.collapse import NAMES as COLLAPSE
from clipcause.evaluate.collapse import Collapse, neural_collapse
from clipcause.runtime import atomic, metrics, versions
from clipcause.runtime.entry import run
from clipcause.runtime.progress import progress
from clipcause.stats.statistics import wilson

__all__ = ["imbalance", "neural_collapse"]

TOP = 5
SELF_SUPERVISED = "dino"


class Outcome(NamedTuple):
    """What a model makes of a test set: features before normalisation, positions of true classes,
    and, where it has classes, positions of predicted ones and the table of the artifact."""

    feature_QD: Float32[np.ndarray, "Q D"]
    label_Q: Int64[np.ndarray, " Q"]
    predicted_Q: Int64[np.ndarray, " Q"] | None
    table: pa.Table | None


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


def outcome(
    clip: Clip,
    manifest: Manifest,
    names: list[str],
    found: Classes | None,
    settings: Evaluate,
    device: torch.device,
    label: str,
) -> Outcome:
    """Encode a test set whose classes are ``names``, and compare its images with what is ``found``
    of them; memory holds the pixels of one shard."""
    position = {name: index for index, name in enumerate(names)}
    scale = float(clip.model.logit_scale.detach().exp()) if found else 0.0
    raw, true, predicted, tables = [], [], [], []
    for number in progress(range(len(manifest.shards)), label=f"evaluate {label}", unit="shards"):
        pixels_QSS3 = pixels.shard(manifest, number, clip.view)
        raw_QD, unit_QD = images.encode(clip, pixels_QSS3, settings, device)
        labels = manifest.shard_table(number, ["label"])["label"].to_pylist()
        true_Q = np.array([position[name] for name in labels], np.int64)
        raw.append(raw_QD)
        true.append(true_Q)
        if found is None:
            continue
        said = zeroshot.classify(unit_QD, found.class_ED, true_Q, scale, found.first_C)
        columns = {
            "row": np.arange(*manifest.starts[number : number + 2]),
            "label": labels,
            "predicted": [names[index] for index in said.predicted],
            "probability": said.probability.astype(np.float32),
            "rank": said.rank,
        }
        predicted.append(said.predicted)
        tables.append(pa.table(columns, schema=predictions.SCHEMA))
    return Outcome(
        np.concatenate(raw),
        np.concatenate(true),
        np.concatenate(predicted) if predicted else None,
        pa.concat_tables(tables).combine_chunks() if tables else None,
    )


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


def class_table(
    names: Sequence[str],
    known: Mapping[str, ClassNames],
    frequency: Mapping[str, int],
    bias: Imbalance | None,
    collapse: Collapse,
    sample_C: Int64[np.ndarray, " C"],
) -> pa.Table:
    """The table of a test set's classes, as the artifact has it."""
    empty = [None] * len(names)
    columns = {
        "class": names,
        "name": [known[name].name if name in known else name for name in names],
        "frequency": [frequency.get(name) for name in names],
        "n": sample_C,
        "accuracy": bias.accuracy_C if bias else empty,
        "predicted": bias.predicted_C if bias else empty,
        **{name: collapse.by_class.get(name, empty) for name in COLLAPSE},
    }
    arrays = [
        pa.array(columns[field.name], field.type, from_pandas=True)  # NaN is null
        for field in predictions.CLASSES_SCHEMA
    ]
    return pa.table(arrays, schema=predictions.CLASSES_SCHEMA)


def measured(
    found: Outcome,
    names: Sequence[str],
    prototypes_CD: Float[np.ndarray, "C D"] | None,
    frequency: Mapping[str, int],
    trimmed: Sequence[str],
    settings: Evaluate,
) -> tuple[dict[str, Any], Imbalance | None, Collapse]:
    """The metrics of bias and of neural collapse of one test set, and what they are made of."""
    frequency_C = np.array([frequency.get(name, np.nan) for name in names], np.float64)
    collapse = neural_collapse(found.feature_QD, found.label_Q, prototypes_CD, classes=len(names))
    numbers: dict[str, dict[str, Any]] = {"neural_collapse": {**collapse.numbers()}}
    bias = None
    if found.predicted_Q is not None:
        trimmed_C = np.isin(names, trimmed)
        wanted = settings.frequency != "none" or trimmed_C.any()
        bias = imbalance(
            confusion(found.label_Q, found.predicted_Q, len(names)),
            frequency_C,
            trimmed_C=trimmed_C,
            resamples=settings.resamples if wanted else 0,
            seed=settings.seed,
        )
        if wanted:
            numbers["imbalance"] = bias.numbers()
        numbers["neural_collapse"]["with_accuracy"] = collapse.against(bias.accuracy_C)
    if settings.frequency != "none":
        numbers["neural_collapse"]["with_frequency"] = collapse.against(frequency_C)
    return numbers, bias, collapse


def remarks(test: str, settings: Evaluate, bias: Imbalance | None) -> Iterator[str]:
    """What a reader of the metrics should know is not there, and why."""
    if settings.frequency == "none" or bias is None:
        return
    if bias.without_frequency:
        yield (
            f"{test}: {bias.without_frequency} classes have no known frequency and take no part in "
            "correlations with it"
        )
    if missing := [name for name in ("corr_acc", "corr_pred") if name not in bias.values]:
        yield (
            f"{test}: {' and '.join(missing)} not defined: of {bias.classes} classes with a "
            "frequency all have the same, or the same of the other; or they are fewer than three"
        )


def main(name: str) -> str:
    """Evaluate the run ``name`` on the test sets of the section `tests`."""
    versions.check(*versions.LEARNING)
    entry, settings = item("runs", name, Run), section("evaluate", Evaluate)
    frequency_by = "none" if entry.is_published else entry.frequency
    if frequency_by is not None:
        settings = settings.model_copy(update={"frequency": frequency_by})
    known = classes.read(layout.classes(study.name("classes")))
    tests = {test: dataset.read(layout.dataset(layout.test(test))) for test in study.to_classify()}
    owned = {test: own_classes(manifest) for test, manifest in tests.items()}
    stored = checkpoint.read(layout.model(name))
    trimmed = stored.card["split"].get("trimmed", [])
    frequency: dict[str, int] = {}
    if settings.frequency != "none":
        every = sorted({one for names in owned.values() for one in names})
        frequency = exposure.of_run(settings.frequency, entry, stored.card, every, stored.folder)
    clip = models.restore(stored)
    device = models.settle(settings.threads, settings.device)
    clip.model.to(device)
    numbers: dict[str, dict[str, Any]] = {}
    made: dict[tuple[str, ...], Classes] = {}  # test sets of the same classes share prototypes
    with (
        atomic.folder(layout.predictions(name)) as out,
        features.writing(layout.features(name)) as kept,
    ):
        for test, manifest in tests.items():
            where, names = str(manifest.folder), owned[test]
            if (found := made.get(tuple(names))) is None and entry.objective != SELF_SUPERVISED:
                if entry.objective == "supervised":
                    found = class_vectors.from_classifier(stored, names, known, where)
                else:
                    found = class_vectors.from_prompts(clip, names, known, settings, where, device)
                made[tuple(names)] = found
            said = outcome(clip, manifest, names, found, settings, device, test)
            whole_CD = found.directions if found else None
            # the threads of matrix products decide last bits, as torch's do
            with threadpool_limits(settings.threads, user_api="blas"):
                more, bias, collapse = measured(said, names, whole_CD, frequency, trimmed, settings)
            for remark in remarks(test, settings, bias):
                print(remark, file=sys.stderr)
            count = {"n": len(said.label_Q), "classes": len(names)}
            if said.table is not None:
                predictions.write(out, test, said.table)
                count = accuracy(said.table, len(names))
            numbers[test] = count | more
            sample_C = np.bincount(said.label_Q, minlength=len(names))
            table = class_table(names, known, frequency, bias, collapse, sample_C)
            predictions.write_classes(out, test, table)
            if settings.features:
                rows = (found.class_ED, found.owners) if found else (None, [])
                kept.add(test, manifest.sha256, said.feature_QD, *rows)
        first: dict[str, float] = {}
        for test in study.to_retrieve():
            if not entry.has_text:
                what = f"{name} is a {entry.objective} run, which learns no captions"
                print(f"{test}: {what}: no R@k", file=sys.stderr)
                continue
            manifest = dataset.read(layout.dataset(layout.test(test)))
            ranks, table, raw_QD = captions.retrieve(clip, manifest, settings, device, test)
            captioned.write(out, test, table)
            numbers[test] = retrieval.summary(ranks)
            first[test] = numbers[test]["image_to_text"]["r1"]
            if settings.features:
                kept.add(test, manifest.sha256, raw_QD, None, [])
    metrics.write(layout.metrics("evaluate", name), numbers)
    if entry.objective == SELF_SUPERVISED:
        nc1 = {test: numbers[test]["neural_collapse"].get("nc1") for test in tests}
        return "nc1 " + ", ".join(f"{test} {v:.3f}" for test, v in nc1.items() if v is not None)
    shown = {
        "top-1": [f"{test} {numbers[test]['top1']:.3f}" for test in tests],
        "R@1": [f"{test} {r1:.3f}" for test, r1 in first.items()],
    }
    return "; ".join(f"{what} {', '.join(values)}" for what, values in shown.items() if values)


if __name__ == "__main__":
    run(main)
