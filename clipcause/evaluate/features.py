"""Features: a model's view of every image of a test set, and of the classes.

``features/<run>/<test>.npy``, float32, a row for each row of the test set's manifest: the image
embedding before normalisation. ``<test>.prototypes.npy``, float32, is what they are compared with,
of length one; no such file for a model without classes. ``card.json`` has, for every test set, the
hash of its manifest and the class id of each prototype (``null`` without any). A run whose features
are not stored has a card without test sets.

Shapes: Q test images, E prototypes, D dimensions.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from clipcause.config import unknown
from clipcause.runtime import atomic

CARD = "card.json"


@dataclass(frozen=True)
class Features:
    """The features of one test set; ``classes`` are the ids of the prototypes, row by row."""

    feature_QD: Float32[np.ndarray, "Q D"]
    prototype_ED: Float32[np.ndarray, "E D"] | None
    classes: tuple[str, ...]
    manifest: str  # the hash of the test set's


class Writer:
    """Writes the features of a run test set by test set; ``writing`` makes it."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.card: dict[str, dict[str, Any]] = {}

    def add(
        self,
        test: str,
        manifest: str,
        feature_QD: Float[np.ndarray, "Q D"],
        prototype_ED: Float[np.ndarray, "E D"] | None,
        classes: list[str],
    ) -> None:
        """Add a test set. Raises ``ValueError`` for features that are not finite, and unless there
        is a class id for each prototype."""
        rows = 0 if prototype_ED is None else len(prototype_ED)
        if rows != len(classes):
            raise ValueError(f"{test}: {rows} prototypes of {len(classes)} class ids")
        if not np.isfinite(feature_QD).all():
            raise ValueError(f"{test}: features are not finite")
        np.save(self._out / f"{test}.npy", feature_QD.astype(np.float32))
        if prototype_ED is not None:
            np.save(self._out / f"{test}.prototypes.npy", prototype_ED.astype(np.float32))
        named = None if prototype_ED is None else classes
        self.card[test] = {"manifest": manifest, "classes": named}


@contextmanager
def writing(folder: Path) -> Generator[Writer]:
    """Write the features of a run: the folder appears when the block ends, or not at all."""
    with atomic.folder(folder) as out:
        writer = Writer(out)
        yield writer
        (out / CARD).write_bytes(atomic.encode_json({"tests": writer.card}))


def read(folder: Path, test: str) -> Features:
    """The features of one test set; an unknown one is an error naming the nearest.

    Raises ``ValueError`` where they were not stored, or arrays do not fit the card.
    """
    tests = atomic.read_json(folder / CARD)["tests"]
    if not tests:
        raise ValueError(f"{folder}: no features were stored; set evaluate.features to true")
    if test not in tests:
        raise unknown("test set", test, tests, f"{folder}")
    named = tests[test]["classes"]
    feature_QD = _load(folder / f"{test}.npy")
    prototype_ED = None if named is None else _load(folder / f"{test}.prototypes.npy")
    if prototype_ED is not None and len(prototype_ED) != len(named):
        raise ValueError(
            f"{folder}: {len(prototype_ED)} prototypes of {len(named)} class ids for {test}"
        )
    return Features(feature_QD, prototype_ED, tuple(named or ()), tests[test]["manifest"])


def _load(path: Path) -> Float32[np.ndarray, "N D"]:
    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: not found; run the stage evaluate again") from None
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: not a readable array: {error}") from None
    if found.dtype != np.float32 or found.ndim != 2:
        raise ValueError(f"{path}: {found.dtype} of shape {found.shape}, expected float32 (N, D)")
    return found
