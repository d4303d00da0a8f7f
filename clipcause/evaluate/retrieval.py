"""Retrieval: which rank have the captions of an image among all captions, and the other way round.

R@k is the share of queries of which a right item is among the k nearest; the median rank is that of
the nearest right item (Karpathy and Fei-Fei, CVPR 2015, section 4.2). Captions are what the data
set has, without a prompt around them.

**Several captions.** An image is right if any of its captions is found; every caption asks by
itself. On captions that all differ R@k is that of the CLIP benchmark (`clip_benchmark`).

**Equal captions.** Captions that are equal, character for character, are one text: it is in the
gallery once, is asked once, and each image that has it is a right answer, of which the nearest
counts. So ``captions`` may be fewer than images. (The CLIP benchmark puts each copy of a text into
the gallery, and takes a copy's own image alone for right.)

**Ties.** The rank of an item is 1 + the number of items that are nearer + the number of equally
near ones that stand before it, in the order of the data set; that is the rule of `zeroshot` too. It
needs no random choice, and a model that tells nothing apart gets the ranks of chance.

**Bits.** Components of vectors are rounded to multiples of 2^-24. Products of two such numbers are
multiples of 2^-48, and a sum of those between vectors of length one needs 49 of the 53 bits of
float64: similarities are exact, in whatever order and blocks they are summed. Texts with the same
vector tie exactly.

Shapes: Q images, T texts, P pairs of an image and a text that it has, D dimensions.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int32, Int64

from clipcause.stats.statistics import wilson

DEPTHS = (1, 5, 10)
BLOCK = 2048  # images, and texts, that are compared at once
UNIT = 2.0**24
LONGEST = 1.01  # a length that is one but for the rounding of 16-bit models


class Ranks(NamedTuple):
    """Rank of the nearest right item, 1 = nearest."""

    of_text_Q: Int32[np.ndarray, " Q"]  # an image asks: of its nearest caption among the texts
    of_image_T: Int32[np.ndarray, " T"]  # a text asks: of the nearest image that has it


def distinct(captions: Sequence[str]) -> tuple[list[str], Int64[np.ndarray, " P"]]:
    """The texts in the order in which they come first, and the position of every caption's."""
    place: dict[str, int] = {}
    text_P = np.array([place.setdefault(caption, len(place)) for caption in captions], np.int64)
    return list(place), text_P


def ranks(
    image_QD: Float[np.ndarray, "Q D"],
    text_TD: Float[np.ndarray, "T D"],
    text_P: Int64[np.ndarray, " P"],
    block: int = BLOCK,
    *,
    image_P: Int64[np.ndarray, " P"] | None = None,
) -> Ranks:
    """Ranks in both directions, between vectors of length one.

    ``text_P`` and ``image_P`` are the positions of texts and of the images that have them; without
    the latter ``text_P`` is each image's one text. Memory grows with images, texts and pairs, not
    with the product of images and texts. Raises ``ValueError`` for vectors that are not finite or
    are longer than one, for a text without an image, and for an image without a text.
    """
    image_QD, text_TD = _rounded(image_QD, "images"), _rounded(text_TD, "captions")
    image_P = np.arange(len(image_QD)) if image_P is None else image_P
    for kind, pair_P, known in (("texts", text_P, text_TD), ("images", image_P, image_QD)):
        if (found := len(np.unique(pair_P))) != len(known):
            other = "images" if kind == "texts" else "texts"
            raise ValueError(f"{len(known)} {kind}, but the {other} have {found}")
    own_P = np.empty(len(text_P))
    for start in range(0, len(own_P), block):
        some = slice(start, start + block)
        own_P[some] = np.einsum("pd,pd->p", image_QD[image_P[some]], text_TD[text_P[some]])
    best_Q, text_Q = _nearest(own_P, image_P, text_P, len(image_QD))
    best_T, image_T = _nearest(own_P, text_P, image_P, len(text_TD))

    before_Q, before_T = np.zeros(len(best_Q), np.int64), np.zeros(len(best_T), np.int64)
    for start in range(0, len(best_Q), block):
        some = slice(start, start + block)
        number_Q1 = np.arange(len(best_Q))[some, None]
        for first in range(0, len(best_T), block):
            few = slice(first, first + block)
            number_T = np.arange(len(best_T))[few]
            sim_QT = image_QD[some] @ text_TD[few].T
            best_Q1, best_T1 = best_Q[some, None], best_T[few]
            ahead_QT = sim_QT > best_Q1
            ahead_QT |= (sim_QT == best_Q1) & (number_T < text_Q[some, None])
            before_Q[some] += ahead_QT.sum(axis=1)
            ahead_QT = sim_QT > best_T1
            ahead_QT |= (sim_QT == best_T1) & (number_Q1 < image_T[few])
            before_T[few] += ahead_QT.sum(axis=0)
    return Ranks((before_Q + 1).astype(np.int32), (before_T + 1).astype(np.int32))


def _nearest(
    own_P: Float64[np.ndarray, " P"],
    asking_P: Int64[np.ndarray, " P"],
    asked_P: Int64[np.ndarray, " P"],
    count: int,
) -> tuple[Float64[np.ndarray, " N"], Int64[np.ndarray, " N"]]:
    """Of what each of ``count`` queries has: how near the nearest is, and which it is; of equally
    near ones the first."""
    best_N = np.full(count, -np.inf)
    np.maximum.at(best_N, asking_P, own_P)
    is_best_P = own_P == best_N[asking_P]
    place_N = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(place_N, asking_P[is_best_P], asked_P[is_best_P])
    return best_N, place_N


def summary(found: Ranks) -> dict[str, Any]:
    """The metrics of one test set: by direction R@k with Wilson's 95 % interval, median rank.

    Captions of one image are not independent: an interval is that of as many queries as there are
    images, or captions where these are fewer.
    """
    images, captions = len(found.of_text_Q), len(found.of_image_T)
    return {
        "n": images,
        "captions": captions,
        "image_to_text": _direction(found.of_text_Q, images),
        "text_to_image": _direction(found.of_image_T, min(images, captions)),
    }


def _direction(rank_N: Int32[np.ndarray, " N"], independent: int) -> dict[str, Any]:
    found = {depth: int((rank_N <= depth).sum()) for depth in DEPTHS}
    ends = {
        depth: wilson(right * independent / len(rank_N), independent)
        for depth, right in found.items()
    }
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
