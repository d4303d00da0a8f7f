"""What the images of a test set are compared with: prompts' prototypes, or a classifier's rows.

Shapes: C classes, E rows that classes have, D dimensions.
"""

import json
from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import safetensors.numpy
import torch
from jaxtyping import Float, Int64

from clipcause.captions.classes import ClassNames
from clipcause.config import nearest
from clipcause.config.evaluate import Evaluate
from clipcause.embed import models
from clipcause.embed.checkpoint import Checkpoint
from clipcause.embed.models import Clip
from clipcause.evaluate import zeroshot

PROMPTS = 4096  # texts that are encoded at once


class Classes(NamedTuple):
    """What images are compared with: class ids, and rows of length one.

    One row a class; or those from its ``first_C`` to the next class's.
    """

    names: list[str]
    class_ED: Float[np.ndarray, "E D"]
    first_C: Int64[np.ndarray, " C"] | None

    @property
    def directions(self) -> Float[np.ndarray, "C D"]:
        """One vector a class: of several rows their sum, for only its direction counts."""
        if self.first_C is None:
            return self.class_ED
        return np.add.reduceat(self.class_ED, self.first_C, axis=0)

    @property
    def owners(self) -> list[str]:
        """The class id of each row."""
        if self.first_C is None:
            return self.names
        rows_C = np.diff(self.first_C, append=len(self.class_ED))
        return [name for name, rows in zip(self.names, rows_C, strict=True) for _ in range(rows)]


def from_prompts(
    clip: Clip,
    names: list[str],
    known: Mapping[str, ClassNames],
    settings: Evaluate,
    where: str,
    device: torch.device,
) -> Classes:
    """The prototypes of the class ids ``names`` from the prompt ensemble."""
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
    return Classes(names, np.concatenate(parts), None)


def answering(name: str, learnt: Container[str], known: Mapping[str, ClassNames]) -> list[str]:
    """The classes whose rows of a classifier answer for one: itself, or those that it covers."""
    return [name] if name in learnt or name not in known else known[name].covers or [name]


def first_rows(lengths: Sequence[int]) -> Int64[np.ndarray, " C"] | None:
    """Where the rows of each class begin, of the number that each has; None: each has one."""
    if all(length == 1 for length in lengths):
        return None
    return np.cumsum([0, *lengths[:-1]], dtype=np.int64)


def from_classifier(
    stored: Checkpoint, names: list[str], known: Mapping[str, ClassNames], where: str
) -> Classes:
    """The rows of a supervised model's classifier for the class ids ``names``, of length one.

    A class of a test set alone has the rows of the classes that it covers.
    """
    learnt = json.loads(stored.file(models.CLASSES))
    place = {name: index for index, name in enumerate(learnt)}
    rows, lengths = [], []
    for name in names:
        meant = answering(name, place, known)
        for one in meant:
            if one not in place:
                raise ValueError(
                    f"{where}: class {one!r} is not among the {len(learnt)} that {stored.folder} "
                    "learnt (the labels of the rows that it was trained on: of the pool, of the "
                    f"reference or of both); {nearest(one, learnt)}"
                )
        lengths.append(len(meant))
        rows += [place[one] for one in meant]
    weight_ED = safetensors.numpy.load(stored.file(models.CLASSIFIER))["weight"].astype(np.float64)
    weight_ED = weight_ED[rows]
    weight_ED /= np.linalg.norm(weight_ED, axis=1, keepdims=True)
    return Classes(names, weight_ED, first_rows(lengths))
