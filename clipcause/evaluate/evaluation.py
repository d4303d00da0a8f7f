"""Asking a model of test sets: which class an image is of, and which caption is whose.

Accuracy is over a test set's own classes, those that its labels name. CLIP answers zero-shot, with
prototypes from the prompts of `evaluate.templates`; a supervised model by its classifier, of which
only the test set's classes take part. ObjectNet has classes of its own: their prompts are their own
names, and of a supervised model the ImageNet classes that one covers answer for it. Intervals are
Wilson's, at 95 %. Images are decoded, encoded and compared shard by shard; the features of a whole
test set are kept for the metrics of neural collapse.

`imbalance` (bias by class frequency, `evaluate.bias`) is there where `evaluate.frequency` says how
the run's training rows are counted, or where the run's split says which classes it trimmed;
`neural_collapse` (`evaluate.collapse`) always. A self-supervised run has no classes: no
predictions, and of neural collapse what needs none.

`evaluate.again` asks the same images with other prompts, of other lists of classes, or among more
classes; accuracy is all that is measured of these answers.

A test set of captions is asked for R@k in both directions instead (`evaluate.retrieval`), with its
captions as they are; its ranks lie beside the predictions.

Shapes: Q test images, C classes, E rows that classes have, D dimensions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Float32, Int64
from threadpoolctl import threadpool_limits

from clipcause.captions import classes
from clipcause.captions.classes import ClassNames
from clipcause.config.evaluate import Evaluate
from clipcause.data.manifest import Manifest
from clipcause.embed import images, models, pixels
from clipcause.embed.checkpoint import Checkpoint
from clipcause.embed.models import Clip
from clipcause.evaluate import caption_ranks, class_vectors, predictions, ranks, retrieval, zeroshot
from clipcause.evaluate.bias import Imbalance, confusion, imbalance
from clipcause.evaluate.class_vectors import Classes
from clipcause.evaluate.collapse import NAMES as COLLAPSE
from clipcause.evaluate.collapse import Collapse, neural_collapse
from clipcause.evaluate.features import Writer
from clipcause.evaluate.zeroshot import Answers
from clipcause.runtime.notices import notice
from clipcause.runtime.progress import progress
from clipcause.stats.statistics import wilson

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
        predicted.append(said.predicted)
        tables.append(_table(manifest.starts[number], labels, names, said))
    return Outcome(
        np.concatenate(raw),
        np.concatenate(true),
        np.concatenate(predicted) if predicted else None,
        pa.concat_tables(tables).combine_chunks() if tables else None,
    )


def _table(start: int, labels: list[str], names: list[str], said: Answers) -> pa.Table:
    """Answers as the artifact has them, from row ``start`` on."""
    columns = {
        "row": np.arange(start, start + len(labels)),
        "label": labels,
        "predicted": [names[index] for index in said.predicted],
        "probability": said.probability.astype(np.float32),
        "rank": said.rank,
    }
    return pa.table(columns, schema=predictions.SCHEMA)


def accuracy(table: pa.Table, count: int) -> dict[str, float]:
    """The numbers of one test set over ``count`` classes, with the interval of top-1.

    ``mean_per_class`` is top-1 as the mean over the classes of the images, each counting alike
    whatever its number of images: what DataComp reports where classes are uneven.
    """
    rank_Q = table["rank"].to_numpy()
    right = int((rank_Q == 1).sum())
    low, high = wilson(right, len(rank_Q))
    _, class_Q, images_C = np.unique(
        table["label"].to_numpy(zero_copy_only=False), return_inverse=True, return_counts=True
    )
    right_C = np.bincount(class_Q, rank_Q == 1, minlength=len(images_C))
    return {
        "top1": right / len(rank_Q),
        "top5": float((rank_Q <= TOP).mean()),
        "mean_per_class": float((right_C / images_C).mean()),
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


def remarks(settings: Evaluate, bias: Imbalance | None) -> Iterator[str]:
    """What a reader of the metrics should know is not there, and why."""
    if settings.frequency == "none" or bias is None:
        return
    if bias.without_frequency:
        yield (
            f"{bias.without_frequency} classes have no known frequency and take no part in "
            "correlations with it"
        )
    if missing := [name for name in ("corr_acc", "corr_pred") if name not in bias.values]:
        yield (
            f"{' and '.join(missing)} not defined: of {bias.classes} classes with a "
            "frequency all have the same, or the same of the other; or they are fewer than three"
        )


@dataclass
class Evaluation:
    """A run's model, and what the test sets are asked with; answers go to ``out`` and ``kept``."""

    stored: Checkpoint
    objective: str
    known: Mapping[str, ClassNames]  # the list of classes
    frequency: Mapping[str, int]  # training rows by class, where they are counted
    settings: Evaluate
    out: Path  # of predictions
    kept: Writer  # of features
    others: Mapping[str, Mapping[str, ClassNames]] = field(default_factory=dict)  # by name
    # by the name in `again`, and classes: test sets of the same share what they are compared with
    compared: dict[tuple[str, tuple[str, ...]], Classes] = field(default_factory=dict)

    def classify(self, test: str, manifest: Manifest, names: list[str]) -> dict[str, Any]:
        """The metrics of a test set of images whose classes are ``names``."""
        found = self._classes(names, str(manifest.folder))
        said = outcome(self._clip, manifest, names, found, self.settings, self._device, test)
        whole_CD = found.directions if found else None
        trimmed = self.stored.card["split"].get("trimmed", [])
        # the threads of matrix products decide last bits, as torch's do
        with threadpool_limits(self.settings.threads, user_api="blas"):
            more, bias, collapse = measured(
                said, names, whole_CD, self.frequency, trimmed, self.settings
            )
        for remark in remarks(self.settings, bias):
            notice(test, remark)
        count = {"n": len(said.label_Q), "classes": len(names)}
        if said.table is not None:
            predictions.write(self.out, test, said.table)
            count = accuracy(said.table, len(names))
            if again := self._again(test, manifest, names, said):
                more["again"] = again
        sample_C = np.bincount(said.label_Q, minlength=len(names))
        table = class_table(names, self.known, self.frequency, bias, collapse, sample_C)
        predictions.write_classes(self.out, test, table)
        if self.settings.features:
            rows = (found.class_ED, found.owners) if found else (None, [])
            self.kept.add(test, manifest.sha256, said.feature_QD, *rows)
        return count | more

    def retrieve(self, test: str, manifest: Manifest) -> dict[str, Any]:
        """The metrics of a test set of captions, by which images are found, and which they find."""
        found, table, raw_QD = caption_ranks.retrieve(
            self._clip, manifest, self.settings, self._device, test
        )
        ranks.write(self.out, test, table)
        if self.settings.features:
            self.kept.add(test, manifest.sha256, raw_QD, None, [])
        return retrieval.summary(found)

    def _classes(self, names: list[str], where: str) -> Classes | None:
        """What images of these classes are compared with; a self-supervised run has nothing."""
        if self.objective == SELF_SUPERVISED:
            return None
        if (found := self.compared.get(("", tuple(names)))) is None:
            if self.objective == "supervised":
                found = class_vectors.from_classifier(self.stored, names, self.known, where)
            else:
                found = self._prompted(names, self.known, self.settings, where)
            self.compared["", tuple(names)] = found
        return found

    def _prompted(
        self,
        names: list[str],
        known: Mapping[str, ClassNames],
        settings: Evaluate,
        where: str,
    ) -> Classes:
        return class_vectors.from_prompts(self._clip, names, known, settings, where, self._device)

    def _again(
        self, test: str, manifest: Manifest, names: list[str], said: Outcome
    ) -> dict[str, dict[str, float]]:
        """The accuracies by what else a test set is asked with; a classifier has no prompts."""
        if self.objective == "supervised":
            return {}
        found = {}
        for name, other in self.settings.again.items():
            known = self.others[other.classes] if other.classes else self.known
            asked = names if other.among == "own" else sorted({*names, *classes.own(known)})
            templates = other.templates or self.settings.templates
            settings = self.settings.model_copy(update={"templates": templates})
            where = f"evaluate.again.{name}: {manifest.folder}"
            key = (name, tuple(asked))
            if (compared := self.compared.get(key)) is None:
                compared = self._prompted(asked, known, settings, where)
                self.compared[key] = compared
            true_Q = np.searchsorted(asked, names)[said.label_Q]
            length_Q1 = np.linalg.norm(said.feature_QD, axis=1, keepdims=True)
            answers = zeroshot.classify(
                said.feature_QD / length_Q1, compared.class_ED, true_Q, self._scale
            )
            table = _table(0, [names[one] for one in said.label_Q], asked, answers)
            (self.out / name).mkdir(exist_ok=True)
            predictions.write(self.out / name, test, table)
            found[name] = accuracy(table, len(asked))
        return found

    @cached_property
    def _scale(self) -> float:
        return float(self._clip.model.logit_scale.detach().exp())

    @cached_property
    def _device(self) -> torch.device:
        return models.settle(self.settings.threads, self.settings.device)

    @cached_property
    def _clip(self) -> Clip:
        clip = models.restore(self.stored)
        clip.model.to(self._device)
        return clip


def summary(numbers: Mapping[str, Mapping[str, Any]]) -> str:
    """The first number of every test set, in a line; what a self-supervised run has is nc1."""
    shown = {
        "top-1": {test: of["top1"] for test, of in numbers.items() if "top1" in of},
        "R@1": {
            test: of["image_to_text"]["r1"] for test, of in numbers.items() if "image_to_text" in of
        },
    }
    if not any(shown.values()):
        collapse = {test: of["neural_collapse"] for test, of in numbers.items()}
        shown = {"nc1": {test: of["nc1"] for test, of in collapse.items() if "nc1" in of}}
    return "; ".join(
        f"{what} {', '.join(f'{test} {value:.3f}' for test, value in values.items())}"
        for what, values in shown.items()
        if values
    )
