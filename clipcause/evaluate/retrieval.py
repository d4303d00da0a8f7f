"""Retrieval: which rank has the caption of an image among all captions, and the other way round.

R@k is the share of queries of which a right item is among the k nearest; the median rank is that of
the nearest right item (Karpathy and Fei-Fei, CVPR 2015, section 4.2, where an image has several
captions). Captions are what the data set has, without a prompt around them.

**Equal captions.** Captions that are equal, character for character, are one text: it is in the
gallery once, is asked once, and each image that has it is a right answer, of which the nearest
counts. So ``captions`` may be fewer than images.

**Ties.** The rank of an item is 1 + the number of items that are nearer + the number of equally
near ones that stand before it, in the order of the data set; that is the rule of `zeroshot` too. It
needs no random choice, and a model that tells nothing apart gets the ranks of chance.

**Bits.** Components of vectors are rounded to multiples of 2^-24. Products of two such numbers are
multiples of 2^-48, and a sum of those between vectors of length one needs 49 of the 53 bits of
float64: similarities are exact, in whatever order and blocks they are summed. Texts with the same
vector tie exactly.

Shapes: Q images, T texts, D dimensions.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int32, Int64

from clipcause.stats.statistics import wilson

DEPTHS = (1, 5, 10)
BLOCK = 2048  # images, and texts, that are compared at once
UNIT = 2.0**24
LONGEST = 1.01  # a length that is one but for the rounding of 16-bit models


class Ranks(NamedTuple):
    """Rank of the nearest right item, 1 = nearest."""

    of_text_Q: Int32[np.ndarray, " Q"]  # an image asks: of its caption among the texts
    of_image_T: Int32[np.ndarray, " T"]  # a text asks: of the nearest image that has it


def distinct(captions: Sequence[str]) -> tuple[list[str], Int64[np.ndarray, " Q"]]:
    """The texts in the order in which they come first, and the position of every image's."""
    place: dict[str, int] = {}
    text_Q = np.array([place.setdefault(caption, len(place)) for caption in captions], np.int64)
    return list(place), text_Q


def ranks(
    image_QD: Float[np.ndarray, "Q D"],
    text_TD: Float[np.ndarray, "T D"],
    text_Q: Int64[np.ndarray, " Q"],
    block: int = BLOCK,
) -> Ranks:
    """Ranks in both directions, between vectors of length one; ``text_Q`` is each image's text.

    Memory grows with images and texts, not with their product. Raises ``ValueError`` for vectors
    that are not finite or are longer than one, and for a text without an image.
    """
    image_QD, text_TD = _rounded(image_QD, "images"), _rounded(text_TD, "captions")
    if len(np.unique(text_Q)) != len(text_TD):
        raise ValueError(f"{len(text_TD)} texts, but the images have {len(np.unique(text_Q))}")
    own_Q = np.empty(len(image_QD))
    for start in range(0, len(own_Q), block):
        some = slice(start, start + block)
        own_Q[some] = np.einsum("qd,qd->q", image_QD[some], text_TD[text_Q[some]])
    # of a text's images the nearest, and of equally near ones the first
    best_T = np.full(len(text_TD), -np.inf)
    np.maximum.at(best_T, text_Q, own_Q)
    place_T = np.full(len(text_TD), len(image_QD))
    is_best_Q = own_Q == best_T[text_Q]
    np.minimum.at(place_T, text_Q[is_best_Q], np.flatnonzero(is_best_Q))

    before_Q, before_T = np.zeros(len(own_Q), np.int64), np.zeros(len(best_T), np.int64)
    for start in range(0, len(own_Q), block):
        some = slice(start, start + block)
        number_Q1 = np.arange(len(own_Q))[some, None]
        for first in range(0, len(best_T), block):
            few = slice(first, first + block)
            number_T = np.arange(len(best_T))[few]
            sim_QT = image_QD[some] @ text_TD[few].T
            own_Q1, best_T1 = own_Q[some, None], best_T[few]
            ahead_QT = sim_QT > own_Q1
            ahead_QT |= (sim_QT == own_Q1) & (number_T < text_Q[some, None])
            before_Q[some] += ahead_QT.sum(axis=1)
            ahead_QT = sim_QT > best_T1
            ahead_QT |= (sim_QT == best_T1) & (number_Q1 < place_T[few])
            before_T[few] += ahead_QT.sum(axis=0)
    return Ranks((before_Q + 1).astype(np.int32), (before_T + 1).astype(np.int32))


def summary(found: Ranks) -> dict[str, Any]:
    """The metrics of one test set: by direction R@k with Wilson's 95 % interval, median rank."""
    return {
        "n": len(found.of_text_Q),
        "captions": len(found.of_image_T),
        "image_to_text": _direction(found.of_text_Q),
        "text_to_image": _direction(found.of_image_T),
    }


def _direction(rank_N: Int32[np.ndarray, " N"]) -> dict[str, Any]:
    found = {depth: int((rank_N <= depth).sum()) for depth in DEPTHS}
    ends = {depth: wilson(right, len(rank_N)) for depth, right in found.items()}
    return {
        **{f"r{depth}": right / len(rank_N) for depth, right in found.items()},
        "low": {f"r{depth}": low for depth, (low, _) in ends.items()},
        "high": {f"r{depth}": high for depth, (_, high) in ends.items()},
        "median_rank": float(np.median(rank_N)),
    }


def _rounded(vector_ND: Float[np.ndarray, "N D"], whose: str) -> Float[np.ndarray, "N D"]:
    """Components in units of 2^-24."""
    wide_ND = vector_ND.astype(np.float64)
    # NaN fails the comparison too
    if not (np.einsum("nd,nd->n", wide_ND, wide_ND) <= LONGEST**2).all():
        raise ValueError(f"vectors of {whose} are not of length one, or not finite")
    return np.rint(wide_ND * UNIT)
