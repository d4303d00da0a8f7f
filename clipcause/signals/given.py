"""What a signal may read. Everything is opened when a kind asks for it, and is of the one pool and
the one encoder: what was made from others is an error that says which stage to run.

Shapes: R rows of the base.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float16, Int64

from clipcause.config import FILE, layout, section, study
from clipcause.config.engine import Engine
from clipcause.config.similarity import Similarity
from clipcause.data import manifest
from clipcause.data.manifest import Manifest
from clipcause.embed import checkpoint, texts
from clipcause.embed.embeddings import Embeddings
from clipcause.embed.texts import Texts
from clipcause.prune import split
from clipcause.prune.split import Split
from clipcause.search import stores

SCALE = "logit_scale"  # of the checkpoint's weights: the logarithm


@dataclass(frozen=True)
class Given:
    """The pool, the base of a signal, and the way to all else that its kind names."""

    pool: Manifest
    base: Split
    where: Engine
    path: Path = FILE

    @cached_property
    def rows(self) -> Int64[np.ndarray, " R"]:
        """The base's rows of the pool, ascending."""
        return np.flatnonzero(self.base.mask(len(self.pool)))

    @cached_property
    def images(self) -> Embeddings:
        """The store of the pool's images under the study's encoder."""
        return self.dataset(layout.POOL)

    @cached_property
    def texts(self) -> Texts:
        """The store of the pool's captions under the same encoder."""
        folder = layout.texts(study.encoder(self.path)[0], layout.POOL)
        if not folder.exists():
            raise FileNotFoundError(
                f"{folder}: not found; write `texts: {{{layout.POOL}: {{}}}}` in {self.path}, and "
                f"run the stage embed_text@{layout.POOL}"
            )
        found = texts.read(folder, encoder=self.images.encoder, dataset=self.pool.sha256)
        if found.dim != self.images.dim:
            raise ValueError(
                f"{folder}: captions in {found.dim} dimensions, images in {self.images.dim}"
            )
        return found

    def dataset(self, name: str) -> Embeddings:
        """The store of a data set's images under the study's encoder."""
        return stores.load(study.encoder(self.path)[0], name)[0]

    def blocks(self) -> Iterator[tuple[int, Float16[np.ndarray, "_ D"]]]:
        """The vectors of the base's images, block by block: the place of the first among ``rows``,
        and the vectors."""
        for start, block_ND in self.images.blocks(self.block_rows):
            first, last = np.searchsorted(self.rows, (start, start + len(block_ND)))
            if first < last:
                yield int(first), block_ND[self.rows[first:last] - start]

    def tests(self) -> list[str]:
        """The data sets of all test sets."""
        return [layout.test(name) for name in study.suite(self.path)]

    def scale(self) -> float:
        """By what the encoder multiplies cosines: one over its temperature."""
        stored = checkpoint.read(layout.model(study.encoder(self.path)[1]))
        weights = stored.weights()
        if SCALE not in weights:
            raise ValueError(f"{stored.weights_path}: it has no {SCALE}; is it a CLIP model?")
        return math.exp(float(weights[SCALE].reshape(-1)[0]))

    @cached_property
    def block_rows(self) -> int:
        """How many rows are read at once; no value depends on it."""
        return section("similarity", Similarity, self.path).block_rows


def read_given(base: str, where: Engine, path: Path = FILE) -> Given:
    """The pool of the study and the split ``base`` of it."""
    pool = manifest.read(layout.dataset(layout.POOL), shards=False)
    return Given(pool, split.read_for(layout.split(base), pool.sha256), where, path)
