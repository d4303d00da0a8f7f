"""Two visual domains told apart by a linear classifier on embeddings, and how sure it has to be.

Whole-domain pruning (arXiv 2410.08258) calls the images of a pool natural, rendition or ambiguous
with binary classifiers whose thresholds are set for 98 % precision on labelled images. Here one
logistic classifier (scikit-learn) on stored embeddings gives the log-odds of the first domain, and
two thresholds make three answers of it.

Labelled rows have three parts: most are fitted; the others decide nothing of the fit, one half of
them chooses the thresholds and the other half states precision and recall, which would be too good
on the rows that thresholds were chosen on. The part of a row is a function of the seed and the
row's image alone, so that copies are in one part and new rows move no old one.

What held-out rows say holds for rows of the two domains. A row of neither gets an answer too, often
a sure one, for nothing like it was labelled: no precision counts it.

Shapes: N labelled rows, D dimensions, M pool rows of a block.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float16, Float32, Float64, Int8
from threadpoolctl import threadpool_limits

from clipcause.evaluate import probing
from clipcause.stats.statistics import wilson

FIT, CHOOSE, STATE = 0, 1, 2
PARTS = ("fitted", "choosing", "stating")
FOLDS = 5  # of the cross-validation
LEAST = 20  # rows of a domain in every part, and rows above a threshold: fewer show no precision
ROUNDING = 1e-9  # of a precision: sums of weights are off by far less, precisions of counts by more
BITS = 28  # of the weights' length


class Classifier(NamedTuple):
    """``weight_D @ x + offset`` is the log-odds of the first domain for an embedding x.

    Every sum over a stored vector is exact: see ``exact``.
    """

    weight_D: Float64[np.ndarray, " D"]
    offset: float
    strength: float
    losses: dict[float, float]  # by strength: mean cross-entropy of a row that was not fitted
    unfinished: int  # fits that stopped before they had converged

    def scores(self, image_MD: Float16[np.ndarray, "M D"]) -> Float32[np.ndarray, " M"]:
        """Log-odds of the first domain, the same whatever the block, the threads, the library."""
        return (image_MD.astype(np.float64) @ self.weight_D + self.offset).astype(np.float32)


class Chosen(NamedTuple):
    """A threshold, and what the rows that it was chosen on say of it."""

    threshold: float
    called: int
    precision: float


class Stated(NamedTuple):
    """How good an answer is, by rows that decided nothing. Precision is at the given balance."""

    right: int  # rows of the domain that are called so
    wrong: int  # rows of the other domain that are called so
    rows: int  # of the domain
    others: int


def parts(keys: Sequence[str], seed: int, held_out: float) -> Int8[np.ndarray, " N"]:
    """Which part each labelled row is in, by its image's hash ``keys``."""
    uniform_N = uniform(keys, seed, "part")
    part_N = np.where(uniform_N < held_out / 2, CHOOSE, STATE)
    return np.where(uniform_N < held_out, part_N, FIT).astype(np.int8)


def uniform(keys: Sequence[str], seed: int, purpose: str) -> Float64[np.ndarray, " N"]:
    """A number in [0, 1) for every key: of the seed, the purpose and the key alone."""
    digests = (
        hashlib.blake2b(f"{seed}\0{purpose}\0{key}".encode(), digest_size=8).digest()
        for key in keys
    )
    whole_N = np.array([int.from_bytes(one, "big") >> 11 for one in digests], np.int64)
    return whole_N / 2.0**53


def check_labels(first: Sequence[str], second: Sequence[str], names: tuple[str, str]) -> None:
    """Raise ``ValueError`` where an image is in both domains: a label is wrong then."""
    both = sorted(set(first) & set(second))
    if both:
        raise ValueError(
            f"{len(both)} images are labelled rows of both {names[0]} ({len(first)} rows) and "
            f"{names[1]} ({len(second)} rows), first {both[0]}; an image is of one domain: take "
            "them out of one of the data sets"
        )


def check_parts(
    part_N: Int8[np.ndarray, " N"], first_N: Bool[np.ndarray, " N"], names: tuple[str, str]
) -> dict[str, dict[str, int]]:
    """The rows of each domain in each part; ``ValueError`` where they are too few."""
    counts = {
        part: {
            name: int(np.count_nonzero((part_N == at) & (first_N == is_first)))
            for name, is_first in zip(names, (True, False), strict=True)
        }
        for at, part in enumerate(PARTS)
    }
    for part, of in counts.items():
        for name, count in of.items():
            if count < LEAST:
                told = "; ".join(
                    f"{one}: {rows[names[0]]} {names[0]}, {rows[names[1]]} {names[1]}"
                    for one, rows in counts.items()
                )
                raise ValueError(
                    f"{count} {part} rows of {name}, {LEAST} are needed ({told}); label more rows, "
                    "or change held_out"
                )
    return counts


def fit(
    image_ND: Float16[np.ndarray, "N D"],
    first_N: Bool[np.ndarray, " N"],
    keys: Sequence[str],
    strengths: Sequence[float],
    *,
    seed: int,
    prior: float | None,
    iterations: int = 1000,
) -> Classifier:
    """A logistic classifier; its strength is that which makes folds that were not fitted likeliest.

    Of equals the strongest. Log-odds are those of the labelled rows' balance, or of ``prior``, the
    share of the first domain among the two. One thread: more would change the last bits.
    """
    class_N = first_N.astype(np.int64)
    fold_N = (uniform(keys, seed, "fold") * FOLDS).astype(np.int64)
    vector_ND = image_ND.astype(np.float64)
    total = dict.fromkeys(sorted(strengths, reverse=True), 0.0)
    unfinished = 0
    with threadpool_limits(1):
        for fold in range(FOLDS) if len(strengths) > 1 else ():
            rest_N, out_N = fold_N != fold, fold_N == fold
            for found in probing.fits(vector_ND[rest_N], class_N[rest_N], strengths, iterations):
                score_N = vector_ND[out_N] @ found.weight_CD[1] + found.offset_C[1]
                # log(1 + e^-s) of the first domain's rows, log(1 + e^s) of the second's
                signed_N = np.where(first_N[out_N], -score_N, score_N)
                total[found.strength] += float(np.logaddexp(0.0, signed_N).sum())
                unfinished += found.unfinished
        best = min(total, key=lambda strength: total[strength])
        (final,) = probing.fits(vector_ND, class_N, [best], iterations)
    offset = float(final.offset_C[1])
    if prior is not None:
        share = first_N.mean()
        offset += float(np.log(prior / (1 - prior)) - np.log(share / (1 - share)))
    weight_D, offset = exact(final.weight_CD[1], offset)
    losses = {strength: loss / len(class_N) for strength, loss in total.items()}
    shown = losses if len(strengths) > 1 else {}
    return Classifier(weight_D, offset, best, shown, unfinished + final.unfinished)


def exact(
    weight_D: Float64[np.ndarray, " D"], offset: float
) -> tuple[Float64[np.ndarray, " D"], float]:
    """Weights and offset as multiples of a quantum, so that sums over stored vectors are exact.

    Stored values are multiples of 2**-24 and vectors are of length one: with weights of 2**28
    quanta in all, products and their partial sums are multiples of 2**-24 quanta below 2**29, which
    53 bits hold. So the sum does not depend on its order. The rounding moves a score by less than
    2**-28 of the weights' length times the root of D.
    """
    length = float(np.linalg.norm(weight_D))
    if length == 0.0:
        raise ValueError("the classifier has no weights: the labelled rows cannot be told apart")
    quantum = 2.0 ** (np.ceil(np.log2(length)) - BITS)
    return np.rint(weight_D / quantum) * quantum, float(np.rint(offset / quantum) * quantum)


def weights(first_N: Bool[np.ndarray, " N"], prior: float | None) -> Float64[np.ndarray, " N"]:
    """What a row counts in a precision: 1, or so much that the first domain has the share
    ``prior``."""
    if prior is None:
        return np.ones(len(first_N))
    return np.where(first_N, prior / first_N.mean(), (1 - prior) / (~first_N).mean())


def choose(
    score_N: Float32[np.ndarray, " N"],
    own_N: Bool[np.ndarray, " N"],
    weight_N: Float64[np.ndarray, " N"],
    precision: float,
) -> Chosen:
    """The least threshold of at least 0 above which the share of own rows is ``precision`` or more.

    Candidates are 0, even odds, and the scores above it: rows whose score is larger than the
    threshold are called so. Below ``LEAST`` such rows a precision is chance. One that is exactly
    the wanted one reaches it, however its sums are rounded. Raises ``ValueError`` with the best
    that there is where none reaches it.
    """
    order_N = np.argsort(-score_N, kind="stable")
    sorted_N, own_N, weight_N = score_N[order_N], own_N[order_N], weight_N[order_N]
    right_N, all_N = np.cumsum(own_N * weight_N), np.cumsum(weight_N)
    candidate_C = np.unique(np.append(np.maximum(score_N, np.float32(0)), np.float32(0)))
    ascending_N = sorted_N[::-1]
    called_C = len(score_N) - np.searchsorted(ascending_N, candidate_C, side="right")
    enough_C = called_C >= LEAST
    if not enough_C.any():
        most = int(called_C.max())
        raise ValueError(f"{most} rows are called so at even odds, {LEAST} are needed")
    candidate_C, called_C = candidate_C[enough_C], called_C[enough_C]
    precision_C = right_N[called_C - 1] / all_N[called_C - 1]
    reached_C = np.flatnonzero(precision_C >= precision - ROUNDING)
    at = int(reached_C[0]) if len(reached_C) else int(precision_C.argmax())
    found = Chosen(float(candidate_C[at]), int(called_C[at]), float(precision_C[at]))
    if not len(reached_C):
        raise ValueError(
            f"no threshold has precision {precision}; the best is {found.precision:.4f}, of the "
            f"{found.called} rows above {found.threshold:.3f}"
        )
    return found


def state(answer_N: Bool[np.ndarray, " N"], own_N: Bool[np.ndarray, " N"]) -> Stated:
    """Counts of an answer on rows that neither fitted the classifier nor chose the threshold."""
    return Stated(
        int(np.count_nonzero(answer_N & own_N)),
        int(np.count_nonzero(answer_N & ~own_N)),
        int(np.count_nonzero(own_N)),
        int(np.count_nonzero(~own_N)),
    )


def described(found: Stated, share: float | None) -> dict[str, Any]:
    """Precision and recall with 95 % Wilson intervals, as a card has them.

    With ``share``, the domain's share among the two, precision is that of recall r and false alarms
    f: share r / (share r + (1 - share) f), and its interval takes r and f at the ends of theirs,
    which is wider than 95 %.
    """
    recall = interval(found.right, found.rows)
    if share is None:
        precision = interval(found.right, found.right + found.wrong)
    else:
        alarm = interval(found.wrong, found.others)

        def at(r: float, f: float) -> float:
            return share * r / (share * r + (1 - share) * f) if r or f else 0.0

        precision = {
            "value": at(recall["value"], alarm["value"]),
            "low": at(recall["low"], alarm["high"]),
            "high": at(recall["high"], alarm["low"]),
        }
    return {"precision": precision, "recall": recall, **found._asdict()}


def interval(successes: int, n: int) -> dict[str, float]:
    """A share with the ends of its Wilson interval; nothing of nothing is unknown: 0 to 1."""
    if not n:
        return {"value": 0.0, "low": 0.0, "high": 1.0}
    low, high = wilson(successes, n)
    return {"value": successes / n, "low": low, "high": high}
