"""Which images the page shows, chosen from the artifacts, and their pictures as data URIs.

Shapes: K pool rows, Q test images, D dimensions.
"""

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64
from PIL import Image, UnidentifiedImageError

from stages.artifacts import duplicates as stored
from stages.artifacts import embeddings, layout, split
from stages.artifacts.embeddings import Embeddings
from stages.artifacts.manifest import Manifest
from stages.artifacts.scores import Scores
from stages.artifacts.split import Split
from stages.parameters.splits import Hull
from stages.report.study import Study, stage

SIDE = 96  # pixels; larger images are scaled down to it
JPEG_QUALITY = 85
CHUNK = 128  # pool rows that are looked at together
SCANNED = 4096  # pool rows that are looked at in all
BLOCK = 8192  # test images that are held as float64
TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


@dataclass(frozen=True)
class Removed:
    """A removed pool row, and the test image whose threshold it passes by most."""

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
class Picture:
    """An image for the page: a data URI, the caption, the size that is shown."""

    uri: str
    caption: str
    width: int
    height: int


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


def removed(study: Study, name: str, count: int) -> list[Removed]:
    """The rows with the highest margins that the hull split ``name`` removed.

    One per test image, so that a single test image with many copies does not fill the page.
    """
    rule = study.rules[name]
    if not isinstance(rule, Hull) or not count:
        return []
    gone = split.difference(study.base_of(name), study.splits[name])
    order = highest(gone, [study.scores[test] for test in rule.tests], SCANNED)
    pool = _store(study, layout.POOL, "pool", rule.tests[0])
    tests = {
        test: _store(study, layout.test(test), "test", test).take(study.scores[test].test.row)
        for test in rule.tests
    }
    chosen: dict[tuple[str, int], Removed] = {}
    for start in range(0, len(order), CHUNK):
        for one in _causes(study, pool, tests, order[start : start + CHUNK]):
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
        inside = np.flatnonzero(among.within(start, start + len(margin_M)))
        row_K = np.concatenate([row_K, start + inside])
        margin_K = np.concatenate([margin_K, margin_M[inside]])
        order = np.lexsort((row_K, -margin_K))[:count]
        row_K, margin_K = row_K[order], margin_K[order]
    return row_K


def neighbours(study: Study, test: str, count: int) -> list[Neighbours]:
    """Test images from the least to the most similar to the reference, with their neighbours."""
    found = study.scores[test].test
    order = np.argsort(found.reference_sim, kind="stable")
    return [
        Neighbours(
            int(found.row[at]),
            int(found.reference_row[at]),
            float(found.reference_sim[at]),
            int(found.pool_row[at]),
            float(found.pool_sim[at]),
        )
        for at in spread(order, count)
    ]


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


class Album:
    """Pictures by data set and row. Ask for all of them first: a shard is read once."""

    def __init__(self) -> None:
        self._wanted: dict[str, tuple[Manifest, set[int]]] = {}
        self._pictures: dict[tuple[str, int], Picture] = {}

    def want(self, source: Manifest, rows: Iterable[int]) -> None:
        """Note rows that will be shown."""
        _, known = self._wanted.setdefault(str(source.folder), (source, set()))
        known.update(rows)

    def read(self) -> None:
        """Read all images that were noted."""
        for folder, (source, rows) in self._wanted.items():
            ordered = sorted(rows)
            if not ordered:
                continue
            shown = zip(ordered, source.image(ordered), captions(source, ordered), strict=True)
            for row, image, caption in shown:
                where = f"{folder}: image of row {row}"
                self._pictures[folder, row] = picture(image, caption, where)

    def picture(self, source: Manifest, row: int) -> Picture:
        """A picture that was noted and read."""
        return self._pictures[str(source.folder), row]


def captions(source: Manifest, rows: Sequence[int]) -> list[str]:
    """The captions of a few rows, which ascend; memory holds those of one shard."""
    found = []
    positions = np.searchsorted(source.starts, rows, side="right") - 1
    for position in np.unique(positions):
        column = source.shard_table(int(position), ["caption"])["caption"]
        inside = np.array(rows)[positions == position] - source.starts[position]
        found += column.take(inside).to_pylist()
    return found


def picture(image: bytes, caption: str, where: str) -> Picture:
    """Bytes of an image as a picture for the page; those larger than ``SIDE`` are scaled down."""
    try:
        with Image.open(io.BytesIO(image)) as opened:
            if opened.format in TYPES and max(opened.size) <= SIDE:
                return Picture(_uri(image, TYPES[opened.format]), caption, *opened.size)
            small = opened.convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{where}: not readable: {error}; prepare the data set again") from None
    small.thumbnail((SIDE, SIDE))
    encoded = io.BytesIO()
    small.save(encoded, "JPEG", quality=JPEG_QUALITY)
    return Picture(_uri(encoded.getvalue(), TYPES["JPEG"]), caption, *small.size)


def _uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _causes(
    study: Study, pool: Embeddings, tests: dict[str, np.ndarray], rows_K: Int64[np.ndarray, " K"]
) -> Iterator[Removed]:
    """For every pool row the test image, of all the rule's sets, that it passes by most."""
    pool_KD = pool.take(rows_K)
    best: list[Removed | None] = [None] * len(rows_K)
    for test, test_QD in tests.items():
        scores = study.scores[test].test
        image_K, similarity_K = strongest(pool_KD, test_QD, scores.reference_sim)
        for at, (image, similarity) in enumerate(zip(image_K, similarity_K, strict=True)):
            threshold = float(scores.reference_sim[image])
            known = best[at]
            if known is None or similarity - threshold > known.similarity - known.threshold:
                row, test_row = int(rows_K[at]), int(scores.row[image])
                best[at] = Removed(row, test, test_row, float(similarity), threshold)
    return (one for one in best if one is not None)


def _store(study: Study, name: str, role: str, test: str) -> Embeddings:
    """The embeddings that the scores of ``test`` were made from."""
    folder = layout.embeddings(study.encoder, name)
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: not found; `dvc repro {stage('embed', name)}` makes it")
    card = study.scores[test].card
    return embeddings.read(folder, encoder=card["encoder"], dataset=card[role])
