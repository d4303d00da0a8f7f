"""`clip-score`: how similar a row's picture is to its caption, by the two towers of the encoder.

The filter of LAION-400M (arXiv 2111.02114, section 2) and DataComp's baseline "CLIP score"
(arXiv 2304.14108, section 4.1, by a threshold or a top share). Of a row with several captions it is
the mean of their similarities.

Shapes: R rows, K captions of them, D dimensions.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int64

from clipcause.signals.given import Given
from clipcause.signals.signal import DECIMALS, Captioned, Scored, rounded

AT_ONCE = 8192  # rows: their vectors are held, in float64


class ClipScore(Captioned):
    """The cosine of picture and caption."""

    kind: Literal["clip-score"]

    def score(self, given: Given) -> Scored:
        """By blocks of rows, of which memory holds one."""
        value_R = np.concatenate(list(_blocks(given)))
        stated = {
            "mean": round(float(value_R.mean()), DECIMALS),
            "captions": len(given.texts.row_T),
        }
        return Scored(rounded(value_R), stated)

    @property
    def title(self) -> str:
        """DataComp's name."""
        return "CLIP score"

    def sentence(self) -> str:
        """The two towers."""
        return "the similarity of picture and caption by the encoder's two towers"


def pair_similarity(
    image_RD: Float[np.ndarray, "R D"],
    text_KD: Float[np.ndarray, "K D"],
    image_K: Int64[np.ndarray, " K"],
) -> Float64[np.ndarray, " R"]:
    """The mean similarity of every image to its captions, in float64; ``image_K`` ascends, and
    names the image of every caption. Every image has one at least."""
    cosine_K = np.einsum("kd,kd->k", image_RD[image_K].astype(np.float64), text_KD)
    count_R = np.bincount(image_K, minlength=len(image_RD))
    return np.bincount(image_K, cosine_K, minlength=len(image_RD)) / count_R


def _blocks(given: Given) -> Iterator[Float64[np.ndarray, " _"]]:
    row_T = given.texts.row_T
    for start in range(0, len(given.rows), AT_ONCE):
        row_B = given.rows[start : start + AT_ONCE]
        first_B, last_B = (np.searchsorted(row_T, row_B, side) for side in ("left", "right"))
        image_K = np.repeat(np.arange(len(row_B)), last_B - first_B)
        begin_B = np.cumsum(last_B - first_B) - (last_B - first_B)
        at_K = first_B[image_K] + np.arange(len(image_K)) - begin_B[image_K]
        yield pair_similarity(given.images.take(row_B), given.texts.take(at_K), image_K)
