"""Which images the page shows, chosen from the artifacts.

Shapes: K pool rows, Q test images, D dimensions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from clipcause.config import layout
from clipcause.data import duplicates as stored
from clipcause.embed.embeddings import Embeddings
from clipcause.prune.rules.hull import Hull
from clipcause.prune.split import Split
from clipcause.report import measured
from clipcause.report.measured import Measured
from clipcause.report.study import Sources
from clipcause.search.scores import Scores

CHUNK = 128  # pool rows that are looked at together
SCANNED = 4096  # pool rows that are looked at in all
BLOCK = 8192  # test images that are held as float64


@dataclass(frozen=True)
class Judged:
    """A pool row, and the test image whose threshold it passes by most, or misses by least."""

    row: int
    test: str
    test_row: int
    similarity: float
    threshold: float


@dataclass(frozen=True)
class Neighbours:
    """A test image with its nearest reference and pool image."""

    test_row: int
    reference_row: int
    reference_similarity: float
    pool_row: int
    pool_similarity: float


@dataclass(frozen=True)
class Duplicate:
    """A row that de-duplication removed, the earlier row that it is near, their similarity."""

    row: int
    of: int
    similarity: float


@dataclass(frozen=True)
class Copy:
    """A test image and an image of the reference or of the pool that is nearly the same."""

    test_row: int
    row: int
    is_pool: bool
    similarity: float


def strongest(
    pool_KD: Float[np.ndarray, "K D"],
    test_QD: Float[np.ndarray, "Q D"],
    threshold_Q: Float64[np.ndarray, " Q"],
) -> tuple[Int64[np.ndarray, " K"], Float64[np.ndarray, " K"]]:
    """Per pool row the test image with the largest similarity - threshold, and the similarity.

    In float64, the lowest test image on ties.
    """
    rows = np.arange(len(pool_KD))
    best_K = np.full(len(pool_KD), -np.inf)
    image_K, similarity_K = np.zeros(len(pool_KD), np.int64), np.zeros(len(pool_KD))
    left_KD = pool_KD.astype(np.float64)
    for start in range(0, len(test_QD), BLOCK):
        part = slice(start, start + BLOCK)
        sim_KQ = left_KD @ test_QD[part].astype(np.float64).T
        margin_KQ = sim_KQ - threshold_Q[part]
        at_K = margin_KQ.argmax(1)
        better_K = margin_KQ[rows, at_K] > best_K
        best_K[better_K] = margin_KQ[rows, at_K][better_K]
        image_K[better_K] = start + at_K[better_K]
        similarity_K[better_K] = sim_KQ[rows, at_K][better_K]
    return image_K, similarity_K


def spread(order: Int64[np.ndarray, " K"], count: int) -> Int64[np.ndarray, " S"]:
    """At most ``count`` entries of ``order``, evenly spaced, both ends included."""
    if count < 1 or not len(order):
        return order[:0]
    position = np.linspace(0, len(order) - 1, min(count, len(order)))
    return order[np.round(position).astype(np.int64)]


def removed(study: Sources, name: str, count: int) -> list[Judged]:
    """The rows with the highest margins that the hull split ``name`` removed.

    One per test image, so that a single test image with many copies does not fill the page.
    """
    return _judged(study, name, study.removed(name), count)


def survived(study: Sources, name: str, count: int) -> list[Judged]:
    """The rows with the highest margins that the hull split ``name`` kept: just under a threshold.

    One per test image, as in ``removed``.
    """
    return _judged(study, name, study.splits[name], count)


def _judged(study: Sources, name: str, among: Split, count: int) -> list[Judged]:
    rule = study.rules[name]
    if not isinstance(rule, Hull) or not count:
        return []
    found = measured.by(study, rule)
    order = highest(among, [found.scores[test] for test in rule.tests], SCANNED)
    pool = found.store(layout.POOL, "pool", rule.tests[0])
    tests = {
        test: found.store(layout.test(test), "test", test).take(found.scores[test].test.row)
        for test in rule.tests
    }
    chosen: dict[tuple[str, int], Judged] = {}
    for start in range(0, len(order), CHUNK):
        for one in _causes(found, pool, tests, order[start : start + CHUNK]):
            chosen.setdefault((one.test, one.test_row), one)
            if len(chosen) == count:
                return list(chosen.values())
    return list(chosen.values())


def highest(among: Split, found: Sequence[Scores], count: int) -> Int64[np.ndarray, " K"]:
    """At most ``count`` rows of ``among`` by their margin over any of the test sets, highest first.

    Equal margins come in the order of the rows. Memory holds a block of the pool.
    """
    row_K, margin_K = np.empty(0, np.int64), np.empty(0, np.float32)
    for blocks in zip(*(one.pool_blocks(["margin"]) for one in found), strict=True):
        start = blocks[0][0]
        margin_M = np.max([block["margin"] for _, block in blocks], axis=0)
        inside_M = among.within(start, start + len(margin_M))
        if len(row_K) and len(row_K) == count:
            inside_M &= margin_M > margin_K[-1]  # a later row of an equal margin comes after it
        inside = np.flatnonzero(inside_M)
        row_K = np.concatenate([row_K, start + inside])
        margin_K = np.concatenate([margin_K, margin_M[inside]])
        order = np.lexsort((row_K, -margin_K))[:count]
        row_K, margin_K = row_K[order], margin_K[order]
    return row_K


def neighbours(study: Sources, test: str, count: int) -> list[Neighbours]:
    """Test images from the least to the most similar to the reference, with their neighbours."""
    found = study.scores[test].test
    at = spread(np.argsort(found.reference_sim, kind="stable"), count)
    near, far = (found.reference_row, found.reference_sim), (found.pool_row, found.pool_sim)
    columns = (column[at].tolist() for column in (found.row, *near, *far))
    return [Neighbours(*values) for values in zip(*columns, strict=True)]


def copies(study: Sources, test: str, threshold: float, count: int) -> tuple[int, list[Copy]]:
    """How many test images have a neighbour of at least ``threshold``, and some of the pairs.

    Pairs with the nearest image of the reference and of the pool, the most similar first; equal
    ones in the order of the test images, the reference first.
    """
    found = study.scores[test].test
    row_P = np.concatenate([found.reference_row, found.pool_row])
    sim_P = np.concatenate([found.reference_sim, found.pool_sim])
    at_P = np.tile(np.arange(len(found.row)), 2)
    pool_P = np.arange(len(sim_P)) >= len(found.row)
    order = np.lexsort((pool_P, at_P, -sim_P))
    order = order[sim_P[order] >= threshold]
    pairs = [
        Copy(int(found.row[at_P[p]]), int(row_P[p]), bool(pool_P[p]), float(sim_P[p]))
        for p in order[:count]
    ]
    return len(np.unique(at_P[order])), pairs


def duplicates(count: int) -> tuple[int, list[Duplicate]]:
    """How many rows de-duplication removed, and some from the least to the most similar.

    A study whose base splits were made elsewhere has no such folder, and nothing to show.
    """
    folder = layout.deduplicate()
    if not folder.exists():
        return 0, []
    table = stored.read(folder)
    row, of, similarity = (table[name].to_numpy() for name in stored.SCHEMA.names)
    shown = spread(np.argsort(similarity, kind="stable"), count)
    pairs = [Duplicate(int(row[at]), int(of[at]), float(similarity[at])) for at in shown]
    return len(row), pairs


def _causes(
    by: Measured, pool: Embeddings, tests: dict[str, np.ndarray], rows_K: Int64[np.ndarray, " K"]
) -> Iterator[Judged]:
    """For every pool row the test image, of all the rule's sets, that it passes by most."""
    pool_KD = pool.take(rows_K)
    best: list[Judged | None] = [None] * len(rows_K)
    for test, test_QD in tests.items():
        scores = by.scores[test].test
        image_K, similarity_K = strongest(pool_KD, test_QD, scores.reference_sim)
        for at, (image, similarity) in enumerate(zip(image_K, similarity_K, strict=True)):
            threshold = float(scores.reference_sim[image])
            known = best[at]
            if known is None or similarity - threshold > known.similarity - known.threshold:
                row, test_row = int(rows_K[at]), int(scores.row[image])
                best[at] = Judged(row, test, test_row, float(similarity), threshold)
    return (one for one in best if one is not None)
