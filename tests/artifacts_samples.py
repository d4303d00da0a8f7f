"""Small data sets and embeddings for the tests of artifacts and of what reads them."""

from pathlib import Path
from typing import Any

import numpy as np

from clipcause.data import dataset


def sample(number, **changes):
    values: dict[str, Any] = {
        "key": f"set:icon-{number}",
        "image": f"image {number}".encode() * 3,
        "extension": "png",
        "caption": f"caption {number}",
        "label": "cat" if number % 2 else None,
        "width": 64,
        "height": 64,
        "source": f"set/icon-{number}",
        "published": True,
    }
    return dataset.Sample(**{**values, **changes})


def make_dataset(folder: Path, count=7, *, shard_size=3, items=None, labels=None):
    if items is None:
        items = [sample(number) for number in range(count)]
    if labels is not None:
        items = [sample(number, label=label) for number, label in enumerate(labels)]
    dataset.write(folder, items, shard_size=shard_size, max_drop_fraction=0.5)
    return dataset.read(folder)


def unit_vectors(count, dim=8, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def contents(folder: Path):
    """Every file below a folder with its bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
