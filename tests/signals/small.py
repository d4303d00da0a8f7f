"""What a kind is given, of arrays instead of a study's folders."""

import json
from pathlib import Path

import numpy as np

from clipcause.config.engine import Engine
from clipcause.data.manifest import Manifest
from clipcause.embed import store
from clipcause.embed.embeddings import Embeddings
from clipcause.embed.texts import Texts
from clipcause.prune import split
from clipcause.signals.given import Given
from tests.test_search import unit

__all__ = ["Small", "unit"]


class Small(Given):
    """``sets`` by name, the pool among them; every row of the pool has one caption."""

    folder: Path
    sets: dict[str, np.ndarray]
    temperature: float

    def __init__(
        self, folder: Path, *, rows=None, block_rows=16, scale=10.0, captions=None, **sets
    ):
        pool = Manifest.__new__(Manifest)
        sets = {name.replace("_", "/"): vectors for name, vectors in sets.items()}
        count = len(sets["pool"])
        chosen = np.arange(count) if rows is None else np.asarray(rows)
        super().__init__(pool, split.from_rows(chosen), Engine())
        self.__dict__.update(
            folder=folder, sets=sets, temperature=1 / scale, block_rows=block_rows, rows=chosen
        )
        if captions is not None:
            row_T = np.arange(count)
            stored = written(folder / "texts", captions, store.TEXTS)
            self.__dict__["texts"] = Texts(stored, row_T, np.zeros(count, np.int64))

    def dataset(self, name: str) -> Embeddings:
        if name not in self.sets:
            raise FileNotFoundError(name)
        return written(self.folder / name, self.sets[name])

    def tests(self) -> list[str]:
        return [name for name in self.sets if name.startswith("tests/")]

    def scale(self) -> float:
        return 1 / self.temperature


def written(folder: Path, vectors: np.ndarray, of: str = store.IMAGES) -> Embeddings:
    """A store of two parts."""
    (folder / of).mkdir(parents=True, exist_ok=True)
    parts = [vectors[: len(vectors) // 2], vectors[len(vectors) // 2 :]]
    for number, part in enumerate(parts):
        np.save(folder / of / f"{of}_{number:04d}.npy", part)
    rows, dim = vectors.shape
    card = {"encoder": "e" * 64, "dataset": "d" * 64, "rows": rows, "dim": dim}
    (folder / "card.json").write_text(json.dumps(card))
    return store.read(folder, of=of)


def cosines(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """All pairs, in float64."""
    return x.astype(np.float64) @ y.astype(np.float64).T
