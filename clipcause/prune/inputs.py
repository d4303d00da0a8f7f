"""What a prune rule may read. Everything is read when a rule asks for it, and is of the one pool:
what was made from another is an error that says which stage to run.

Scores come in blocks, one test set after the other, so that memory is some bytes a pool row,
whatever the number of test sets.

Shapes: N pool rows, M consecutive ones of them, or matches of row and class.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from clipcause.captions import relevance
from clipcause.config import FILE, layout, read, study
from clipcause.data import manifest
from clipcause.data.manifest import Manifest
from clipcause.prune import domains, members, split
from clipcause.prune.domains import Domains
from clipcause.prune.members import Members
from clipcause.prune.split import Split
from clipcause.search import scores
from clipcause.search.scores import Scores
from clipcause.signals import artifact as signals
from clipcause.signals.artifact import Values

BLOCK_ROWS = 1 << 20

Blocks = Iterable[tuple[int, Float32[np.ndarray, " _M"]]]
"""A column of scores over all pool rows: first row and values of consecutive blocks."""
Similarities = Iterable[tuple[Int64[np.ndarray, " _M"], Float32[np.ndarray, " _M"]]]
"""Rows and similarities of matches, in parts, of which memory holds one."""


@dataclass(frozen=True)
class Inputs:
    """The pool and the base of a split, and the way to all else that its rule names.

    ``path`` is the parameter file, which says what encoder, reference and list of classes are.
    """

    pool: Manifest
    base: Split
    path: Path = FILE

    @cached_property
    def base_N(self) -> Bool[np.ndarray, " N"]:  # noqa: N802 - the suffix is the shape
        """The base, a boolean a pool row; a rule copies it and leaves it as it is."""
        rows = len(self.pool)
        if rows and len(self.base) == rows and self.base.bitmap.max() < rows:
            return np.ones(rows, bool)  # all of them, which need not be listed
        return self.base.mask(rows)

    def split(self, name: str) -> Split:
        """A split of this very pool."""
        return split.read_for(layout.split(name), self.pool.sha256)

    def scores(self, tests: Iterable[str], by: str) -> dict[str, Scores]:
        """The scores of some test sets under the parameters' encoder and reference, or those of the
        entry ``by`` of the section `scores`, where that is not `none`."""
        if by != layout.NONE:
            root = layout.scores(by)
            if not root.exists():
                raise FileNotFoundError(f"{root}: not found; `dvc repro scores@{by}` makes it")
        else:
            content = read(self.path)
            try:
                root = layout.similarities(content["encoder"]["name"], content["reference"])
            except (KeyError, TypeError):
                raise ValueError(f"{self.path}: encoder.name or reference is missing") from None
        found = scores.read_all(root, tests, pool=self.pool.sha256)
        for one in found.values():
            # a row without a score would stay in the pool as if nothing were near it
            if len(one.pool) != len(self.pool):
                raise ValueError(
                    f"{one.folder}: {len(one.pool)} pool rows, the pool has {len(self.pool)}"
                )
        return found

    def members(self, by: str, of: Split | None = None) -> Members:
        """The classes of the rows of ``of``, or of the base: by `label` or by `mention`."""
        rows_N = self.base_N if of is None else of.mask(len(self.pool))
        if by == "label":
            return members.by_label(self.pool.folder, rows_N)
        folder = layout.frequency(study.name("classes", self.path))
        return members.by_mention(folder, rows_N, self.pool.sha256)

    def reference(self) -> Members:
        """The classes of the reference's rows, by label."""
        folder = layout.dataset(study.name("reference", self.path))
        rows = len(manifest.read(folder, shards=False))
        return members.by_label(folder, np.ones(rows, bool))

    def relevance(self) -> tuple[dict[str, Any], Similarities]:
        """How similar captions are to the definitions of the classes that they mention: what the
        card of a split says of it, and the similarities."""
        folder = layout.relevance(study.name("classes", self.path))
        made = relevance.read_card(folder, pool=self.pool.sha256)
        facts = {key: value for key, value in made.items() if key != "classes"}
        return facts, relevance.similarities(folder)

    def signal(self, name: str) -> Values:
        """The values of an entry of `signals`."""
        folder = layout.signal(name)
        if not folder.exists():
            raise FileNotFoundError(f"{folder}: not found; `dvc repro signal@{name}` makes it")
        return signals.read(folder, pool=self.pool.sha256)

    def domains(self, name: str) -> Domains:
        """What a domain classifier calls the pool's rows."""
        return domains.read(layout.domains(name), pool=self.pool.sha256)


def read_inputs(base: str, path: Path = FILE) -> Inputs:
    """The pool of the study and the split ``base`` of it."""
    pool = manifest.read(layout.dataset(layout.POOL), shards=False)
    return Inputs(pool, split.read_for(layout.split(base), pool.sha256), path)


def column(one: Scores, name: str) -> Iterator[tuple[int, Float32[np.ndarray, " _M"]]]:
    """A column of a test set's pool scores in blocks."""
    for start, columns in one.pool_blocks([name], rows=BLOCK_ROWS):
        yield start, columns[name]
