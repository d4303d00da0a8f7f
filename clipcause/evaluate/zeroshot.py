"""Zero-shot classification: class prototypes from prompts, and what is read off the similarities.

Prototypes (Radford et al. 2021, section 3.1.4): the embeddings of a class's prompts, each of
length one, are averaged and brought back to length one.

Shapes: Q test images, C classes, E columns of classes, T templates, D dimensions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int32, Int64

BLOCK = 1024  # images that are compared at once


def named(templates: str | Sequence[str]) -> list[str]:
    """The templates of a set that open_clip has, or the list that is given.

    ``openai-imagenet``: the 80 of Radford et al. 2021 (their notebook `Prompt Engineering`).
    """
    if not isinstance(templates, str):
        return list(templates)
    from open_clip import zero_shot_metadata as known

    sets = {
        "openai-imagenet": known.OPENAI_IMAGENET_TEMPLATES,
        "simple-imagenet": known.SIMPLE_IMAGENET_TEMPLATES,
    }
    return [template("{name}") for template in sets[templates]]


def prompts(names: Sequence[str], templates: Sequence[str]) -> list[str]:
    """All prompts, class by class."""
    return [template.replace("{name}", name) for name in names for template in templates]


def prototypes(text_PD: Float[np.ndarray, "P D"], templates: int) -> Float[np.ndarray, "C D"]:
    """Prototypes from the prompts' embeddings, which lie class by class."""
    text_CTD = text_PD.astype(np.float64).reshape(-1, templates, text_PD.shape[1])
    text_CTD = text_CTD / np.linalg.norm(text_CTD, axis=2, keepdims=True)
    mean_CD = text_CTD.mean(axis=1)
    return mean_CD / np.linalg.norm(mean_CD, axis=1, keepdims=True)


class Answers(NamedTuple):
    """What a model says about every test image."""

    predicted: Int64[np.ndarray, " Q"]  # position of the class
    probability: Float[np.ndarray, " Q"]  # of the true class
    rank: Int32[np.ndarray, " Q"]  # of the true class, 1 = top


def classify(
    image_QD: Float[np.ndarray, "Q D"],
    class_ED: Float[np.ndarray, "E D"],
    true_Q: Int64[np.ndarray, " Q"],
    scale: float,
    first_C: Int64[np.ndarray, " C"] | None = None,
) -> Answers:
    """Compare images with classes, both of length one, in float64.

    A class is one row of ``class_ED``; or all from its ``first_C`` to the next class's, of which
    the nearest counts. Of classes that are equally near the one that comes first counts as nearer,
    in the prediction and in the rank. Images are compared in blocks: memory does not grow with
    their number, and no bit depends on it.
    """
    wide_ED = class_ED.astype(np.float64)
    parts = [
        _block(
            image_QD[start : start + BLOCK], wide_ED, true_Q[start : start + BLOCK], scale, first_C
        )
        for start in range(0, max(1, len(image_QD)), BLOCK)
    ]
    predicted, probability, rank = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Answers(predicted, probability, rank)


def _block(
    image_QD: Float[np.ndarray, "Q D"],
    class_ED: Float[np.ndarray, "E D"],
    true_Q: Int64[np.ndarray, " Q"],
    scale: float,
    first_C: Int64[np.ndarray, " C"] | None,
) -> Answers:
    # summed in one order by one thread: a product by BLAS depends on the number of threads
    sim_QC = np.einsum("qd,ed->qe", image_QD.astype(np.float64), class_ED)
    if first_C is not None:
        sim_QC = np.maximum.reduceat(sim_QC, first_C, axis=1)
    true_sim_Q1 = np.take_along_axis(sim_QC, true_Q[:, None], axis=1)
    before_QC = np.arange(sim_QC.shape[1])[None, :] < true_Q[:, None]
    ahead_QC = (sim_QC > true_sim_Q1) | ((sim_QC == true_sim_Q1) & before_QC)
    logits_QC = scale * (sim_QC - sim_QC.max(axis=1, keepdims=True))
    odds_QC = np.exp(logits_QC)
    probability_Q = np.take_along_axis(odds_QC, true_Q[:, None], axis=1)[:, 0] / odds_QC.sum(axis=1)
    return Answers(
        sim_QC.argmax(axis=1), probability_Q, (ahead_QC.sum(axis=1) + 1).astype(np.int32)
    )
