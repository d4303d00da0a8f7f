"""Neural collapse: how tight the classes' features are, and how evenly spread the classes.

With h the image features before normalisation, mu_c the mean of class c and mu_G the mean of the
class means (Papyan, Han and Donoho, PNAS 2020; the definitions are those of Wen et al., NeurIPS
2024, section 3.7 and appendix):

* NC1 = Tr(Sw pinv(Sb)) / C, with Sw the mean over all samples of (h - mu_c)(h - mu_c)^T and Sb the
  mean over classes of (mu_c - mu_G)(mu_c - mu_G)^T. Of a class: Tr(Sw_c pinv(Sb)), where Sw_c is
  summed over the class and divided by the number of all samples; NC1 is the mean of these.
* NC2 of a class = the mean over the other classes of |cos + 1/(C-1)|, 0 in an equal-angle frame; of
  all classes the mean of these. NC2_M: cosines of the class means less mu_G; NC2_W: cosines of the
  prototypes (prompts' embeddings, or a classifier's rows), not centred. NC2nn: the largest instead
  of the mean, that is the class that is nearest.

No matrix of a class is ever made: with M the centred means over sqrt(C), Sb = M^T M = V S^2 V^T, so
that Tr(Sw_c pinv(Sb)) is the sum over the class of |S^-1 V^T (h - mu_c)|^2. Memory is that of the
features, of C x D and D x D numbers; time is O(N D min(C, D)). Directions in which Sb is below D
machine epsilons of its largest eigenvalue count as none, as do more than C - 1 of them.

As it is defined, NC1 of a class grows with the class's share of the images: between classes it is
to be compared on test sets that have equally many of each.

Classes without samples take no part, not in C either, and are counted. What is not defined (one
class, or means that coincide) is None, and NaN for one class of several.

Shapes: N images, C classes, K of them with samples, D dimensions, B rows at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64, Integer, Num
from scipy import sparse

from clipcause.stats.statistics import spearman

BLOCK = 4096  # images, and classes, that are worked on at once
NAMES = ("nc1", "nc2_m", "nc2nn_m", "nc2_w", "nc2nn_w")
NOISE = 9  # digits beyond which values of two classes are equal: the rest is rounding
ZERO = 1e-12  # of the longest class mean: shorter is no direction


@dataclass(frozen=True)
class Collapse:
    """The metrics of one test set: overall, None where not defined, and by class, NaN where not."""

    nc1: float | None
    nc2_m: float | None
    nc2nn_m: float | None
    nc2_w: float | None
    nc2nn_w: float | None
    by_class: Mapping[str, Float64[np.ndarray, " C"]]
    classes: int  # with samples
    without_samples: int

    def numbers(self) -> dict[str, float]:
        """What is defined, as metrics."""
        values = {name: getattr(self, name) for name in NAMES}
        return {name: value for name, value in values.items() if value is not None}

    def against(self, value_C: Num[np.ndarray, "..."]) -> dict[str, float]:
        """Spearman of the classes' values with another value of theirs, NaN where it is not known.

        Where the correlation is not defined there is no entry. Raises ``ValueError`` for values of
        another number of classes.
        """
        found = {}
        for name, own_C in self.by_class.items():
            if value_C.shape != own_C.shape:
                raise ValueError(f"{_by(value_C.shape)} values of {len(own_C)} classes")
            both_C = ~np.isnan(own_C) & ~np.isnan(value_C)
            own_K = own_C[both_C]
            if name == "nc1" and len(own_K):
                own_K = own_K / (own_K.max() or 1.0)  # it has a scale, cosines have none
            if (value := spearman(np.round(own_K, NOISE), value_C[both_C])) is not None:
                found[name] = value
        return found


def neural_collapse(
    # sizes that do not fit are an error with words, of `_check`
    feature_ND: Float[np.ndarray, "..."],
    label_N: Integer[np.ndarray, "..."],
    prototype_CD: Float[np.ndarray, "..."] | None = None,
    *,
    classes: int | None = None,
) -> Collapse:
    """The metrics of features before normalisation, whose labels are positions among C classes.

    C is the number of prototypes, else ``classes``, else the largest label plus one. Prototypes
    need no length of one. Without them there is no NC2_W. Computed in float64.

    Raises ``ValueError`` for sizes that do not fit, no features or some that are not finite, labels
    outside of C classes, and prototypes that are zero or not finite.
    """
    if classes is None:
        largest = int(label_N.max(initial=-1)) + 1
        classes = largest if prototype_CD is None else len(prototype_CD)
    _check(feature_ND, label_N, prototype_CD, classes)
    label_N = label_N.astype(np.int64)
    count_C = np.bincount(label_N, minlength=classes)
    here_K = np.flatnonzero(count_C)
    place_C = np.cumsum(count_C > 0) - 1
    label_N = place_C[label_N]
    mean_KD = _means(feature_ND, label_N, count_C[here_K])
    centred_KD = mean_KD - mean_KD.mean(axis=0)
    by_class = {"nc1": _nc1(feature_ND, label_N, mean_KD, centred_KD)}
    # a mean that is the mean of all has no direction, however rounding has moved it
    least = ZERO * float(np.linalg.norm(mean_KD, axis=1).max())
    by_class["nc2_m"], by_class["nc2nn_m"] = _nc2(centred_KD, least)
    if prototype_CD is not None:
        by_class["nc2_w"], by_class["nc2nn_w"] = _nc2(prototype_CD[here_K].astype(np.float64), 0.0)
    whole: dict[str, Float64[np.ndarray, " C"]] = {}
    for name, value_K in by_class.items():
        whole[name] = np.full(classes, np.nan)
        whole[name][here_K] = value_K
    overall = {name: _mean(by_class[name]) if name in by_class else None for name in NAMES}
    return Collapse(
        **overall,
        by_class=whole,
        classes=len(here_K),
        without_samples=classes - len(here_K),
    )


def _check(
    feature_ND: Float[np.ndarray, "..."],
    label_N: Integer[np.ndarray, "..."],
    prototype_CD: Float[np.ndarray, "..."] | None,
    classes: int,
) -> None:
    if feature_ND.ndim != 2:
        raise ValueError(f"features are rows of a matrix, and these are {_by(feature_ND.shape)}")
    if not len(feature_ND):
        raise ValueError("neural collapse of no features")
    if label_N.shape != feature_ND.shape[:1]:
        raise ValueError(f"{_by(label_N.shape)} labels of {len(feature_ND)} features")
    if prototype_CD is not None and prototype_CD.shape[1:] != feature_ND.shape[1:]:
        raise ValueError(
            f"prototypes are {_by(prototype_CD.shape)}, and features {_by(feature_ND.shape)}: "
            "their dimensions are not the same"
        )
    if label_N.min() < 0 or label_N.max() >= classes:
        raise ValueError(
            f"labels {label_N.min()} to {label_N.max()} are not among {classes} classes"
        )
    if bad := sum(
        int((~np.isfinite(feature_ND[start : start + BLOCK])).any(axis=1).sum())
        for start in range(0, len(feature_ND), BLOCK)
    ):
        raise ValueError(f"features of {bad} of {len(feature_ND)} images are not finite")
    if prototype_CD is not None:
        if len(prototype_CD) != classes:
            raise ValueError(f"{len(prototype_CD)} prototypes of {classes} classes")
        length_C = np.linalg.norm(prototype_CD, axis=1)
        if bad := int((~(np.isfinite(length_C) & (length_C > 0))).sum()):
            raise ValueError(f"{bad} of {classes} prototypes are zero or not finite")


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _means(
    feature_ND: Float[np.ndarray, "N D"],
    label_N: Int64[np.ndarray, " N"],
    count_K: Int64[np.ndarray, " K"],
) -> Float64[np.ndarray, "K D"]:
    """The class means, in float64 whatever the features are."""
    sum_KD = np.zeros((len(count_K), feature_ND.shape[1]))
    for start in range(0, len(feature_ND), BLOCK):
        label_B = label_N[start : start + BLOCK]
        ones_B, place_B = np.ones(len(label_B)), np.arange(len(label_B))
        member_KB = sparse.csr_array((ones_B, (label_B, place_B)), (len(count_K), len(label_B)))
        sum_KD += member_KB @ feature_ND[start : start + BLOCK].astype(np.float64)
    return sum_KD / count_K[:, None]


def _nc1(
    feature_ND: Float[np.ndarray, "N D"],
    label_N: Int64[np.ndarray, " N"],
    mean_KD: Float64[np.ndarray, "K D"],
    centred_KD: Float64[np.ndarray, "K D"],
) -> Float64[np.ndarray, " K"]:
    """Tr(Sw_c pinv(Sb)) of every class; NaN where all means coincide."""
    classes, dim = centred_KD.shape
    _, size_S, direction_SD = np.linalg.svd(centred_KD / np.sqrt(classes), full_matrices=False)
    noise = ZERO * float(np.linalg.norm(mean_KD, axis=1).max())
    kept_S = size_S > max(float(size_S[0]) * np.sqrt(dim * np.finfo(np.float64).eps), noise)
    kept_S[classes - 1 :] = False
    if not kept_S.any():
        return np.full(classes, np.nan)
    whiten_DS = direction_SD[kept_S].T / size_S[kept_S]
    trace_K = np.zeros(classes)
    for start in range(0, len(feature_ND), BLOCK):
        label_B = label_N[start : start + BLOCK]
        away_BD = feature_ND[start : start + BLOCK].astype(np.float64) - mean_KD[label_B]
        square_B = np.square(away_BD @ whiten_DS).sum(axis=1)
        trace_K += np.bincount(label_B, square_B, minlength=classes)
    return trace_K / len(feature_ND)


def _nc2(
    vector_KD: Float64[np.ndarray, "K D"], least: float
) -> tuple[Float64[np.ndarray, " K"], Float64[np.ndarray, " K"]]:
    """Mean and largest |cos + 1/(C-1)| of every class with the others.

    Vectors no longer than ``least`` have no direction: theirs are NaN, and no other's pair.
    """
    classes = len(vector_KD)
    mean_K, largest_K = np.full(classes, np.nan), np.full(classes, np.nan)
    length_K = np.linalg.norm(vector_KD, axis=1)
    place_M = np.flatnonzero(length_K > least)
    if len(place_M) < 2:
        return mean_K, largest_K
    unit_MD = vector_KD[place_M] / length_K[place_M, None]
    for start in range(0, len(place_M), BLOCK):
        place_B = place_M[start : start + BLOCK]
        away_BM = np.abs(unit_MD[start : start + BLOCK] @ unit_MD.T + 1 / (classes - 1))
        # a class is no neighbour of itself
        away_BM[np.arange(len(place_B)), start + np.arange(len(place_B))] = 0.0
        mean_K[place_B] = away_BM.sum(axis=1) / (len(place_M) - 1)
        largest_K[place_B] = away_BM.max(axis=1)
    return mean_K, largest_K


def _mean(value_K: Float64[np.ndarray, " K"]) -> float | None:
    """The mean of the classes that have a value, None where none has."""
    defined = value_K[~np.isnan(value_K)]
    return float(defined.mean()) if len(defined) else None
