"""Zero-shot classification: class prototypes from prompts, and what is read off the similarities.

Prototypes (Radford et al. 2021, section 3.1.4): the embeddings of a class's prompts, each of
length one, are averaged and brought back to length one.

Shapes: Q test images, C classes, T templates, D dimensions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int32, Int64


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
    class_CD: Float[np.ndarray, "C D"],
    true_Q: Int64[np.ndarray, " Q"],
    scale: float,
) -> Answers:
    """Compare images with classes, both of length one, in float64.

    Of classes that are equally near the one that comes first counts as nearer, in the prediction
    and in the rank.
    """
    # summed in one order by one thread: a product by BLAS depends on the number of threads
    sim_QC = np.einsum("qd,cd->qc", image_QD.astype(np.float64), class_CD.astype(np.float64))
    true_sim_Q1 = np.take_along_axis(sim_QC, true_Q[:, None], axis=1)
    before_QC = np.arange(sim_QC.shape[1])[None, :] < true_Q[:, None]
    ahead_QC = (sim_QC > true_sim_Q1) | ((sim_QC == true_sim_Q1) & before_QC)
    logits_QC = scale * (sim_QC - sim_QC.max(axis=1, keepdims=True))
    odds_QC = np.exp(logits_QC)
    probability_Q = np.take_along_axis(odds_QC, true_Q[:, None], axis=1)[:, 0] / odds_QC.sum(axis=1)
    return Answers(
        sim_QC.argmax(axis=1), probability_Q, (ahead_QC.sum(axis=1) + 1).astype(np.int32)
    )
