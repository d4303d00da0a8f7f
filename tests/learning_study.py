"""A study small enough to train in a test: shapes in colours, three classes, a tiny model."""

import io
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from clipcause.config import layout
from clipcause.data import dataset
from clipcause.embed import checkpoint, models, tokens
from clipcause.prune import bases, split
from clipcause.runtime import shard_cache as cache

CLASSES = {"ball": "red ball", "wall": "green wall", "sky": "blue sky"}
COLOURS = {"ball": (220, 40, 40), "wall": (40, 200, 60), "sky": (50, 60, 220)}
SIDE = 36

OPTIMISER: dict[str, Any] = {
    "samples_seen": 160,
    "batch_size": 16,
    "learning_rate": 0.003,
    "warmup": 0.1,
    "weight_decay": 0.1,
    "betas": [0.9, 0.98],
    "eps": 1.0e-6,
    "shift": 1,
}
PARAMS: dict[str, Any] = {
    "versions": {
        "torch": "2",
        "open_clip_torch": "3",
        "timm": "1",
        "faiss": "1",
        "resvg-py": "0",
        "numpy": "2",
        "pillow": "13",
        "lightly": "1",
        "scikit-learn": "1",
    },
    "reference": "reference",
    "classes": "shapes",
    "datasets": {
        "pool": {"source": "icons", "raw": "data/catalogue/pool.parquet"},
        "reference": {"source": "icons", "raw": "data/catalogue/reference.parquet"},
        "tests/val": {"source": "icons", "raw": "data/catalogue/val.parquet"},
    },
    "tests": {"val": {"task": "classify"}},
    "encoder": {"name": "clip", "run": "full-0"},
    "embed": {"batch_size": 7, "precision": "fp32", "threads": 1, "keep_pixels": True},
    "train": {
        "model": {
            "embed_dim": 16,
            "vision_cfg": {"layers": [1, 1, 1, 1], "width": 4, "head_width": 32},
            "text_cfg": {"context_length": 8, "width": 16, "heads": 2, "layers": 1},
        },
        "image_size": 32,
        "merges": 20,
        "precision": "bf16",
        "threads": 1,
        "add_reference": True,
        "reference_caption": "a {name}",
        "clip": OPTIMISER,
        "supervised": {**OPTIMISER, "samples_seen": 320},
    },
    "runs": {
        "full-0": {"split": "all", "objective": "clip", "seed": 0},
        "half-0": {"split": "half", "objective": "clip", "seed": 0},
        "supervised-0": {"split": "none", "objective": "supervised", "seed": 0},
    },
    "evaluate": {
        "templates": ["{name}", "a {name}"],
        "batch_size": 10,
        "precision": "fp32",
        "threads": 1,
    },
}
# a model without batch normalisation: a batch may be shared out
LAYER_NORM: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 8, "width": 16, "heads": 2, "layers": 1},
}


def picture(label: str, index: int) -> bytes:
    """A noisy square of the class's colour, PNG."""
    random = np.random.default_rng([sorted(CLASSES).index(label), index])
    pixels = random.integers(0, 60, (SIDE, SIDE, 3)) + np.array(COLOURS[label])
    stream = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def samples(count: int, offset: int, *, labelled: bool) -> list[dataset.Sample]:
    """``count`` images, the classes in turn."""
    made = []
    for index in range(offset, offset + count):
        label = sorted(CLASSES)[index % 3]
        made.append(
            dataset.Sample(
                key=f"s{index:04d}",
                image=picture(label, index),
                extension="png",
                caption=f"{CLASSES[label]} {index % 5}",
                label=label if labelled else None,
                width=SIDE,
                height=SIDE,
                source=f"made:{index}",
            )
        )
    return made


@contextmanager
def made(root: Path) -> Generator[None]:
    """Build a study in ``root`` and run the block in it, with a shard cache of its own."""
    build(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv(cache.ENVIRONMENT, str(root / "shards"))
        yield


def build(root: Path) -> None:
    """Write parameters, class list, data sets and the split of the whole pool below ``root``."""
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    entries = {key: {"name": name, "names": [name]} for key, name in CLASSES.items()}
    (root / "data/classes").mkdir(parents=True)
    (root / "data/classes/shapes.yaml").write_text(yaml.safe_dump(entries))
    parts = {"pool": (40, 0, False), "reference": (21, 100, True), "tests/val": (15, 200, True)}
    for name, (count, offset, labelled) in parts.items():
        made = samples(count, offset, labelled=labelled)
        write_dataset(root, name, made)


def write_dataset(root: Path, name: str, made: list[dataset.Sample]) -> None:
    """Write a data set and its split `all`, as `prepare` does, in place of one of that name."""
    folder = root / layout.dataset(name)
    shutil.rmtree(folder, ignore_errors=True)
    dataset.write(folder, made, shard_size=16, max_drop_fraction=0.0)
    rows = dataset.read(folder, shards=False)
    card = bases.card(rows.sha256, len(rows), len(rows), "all", {})
    split.write(root / layout.split("all", name), split.everything(len(rows)), card=card)


def change(root: Path, **sections: object) -> None:
    """Merge ``sections`` into the parameters, one level deep."""
    path = root / "params.yaml"
    content = yaml.safe_load(path.read_text())
    for name, values in sections.items():
        merged = isinstance(values, dict) and name in content
        content[name] = {**content[name], **values} if merged else values
    path.write_text(yaml.safe_dump(content))


def enter(root: Path, monkeypatch: pytest.MonkeyPatch, shards: Path | None = None) -> Path:
    """Work in a study, with a shard cache of its own (or the one given); the study's folder."""
    monkeypatch.chdir(root)
    monkeypatch.setenv(cache.ENVIRONMENT, str(shards or root / "shards"))
    return root


def enter_copy(study: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a copy of a study, which a test may change; the copy's folder."""
    root = folder / "study"
    shutil.copytree(study, root)
    return enter(root, monkeypatch)


def clip_with_words(merges: Path) -> models.Clip:
    """A tiny model with a vocabulary of its own, which is written to ``merges``."""
    tokens.write(merges, tokens.learn(["red ball", "green wall"] * 2, 10))
    return models.create(PARAMS["train"]["model"], merges, image_size=32, seed=0)


def store(clip: models.Clip, folder: Path) -> None:
    """Write a model as the checkpoint of a run of which nothing is known."""
    checkpoint.write(
        folder,
        models.weights(clip.model),
        model_config=clip.config,
        preprocess=clip.preprocess,
        training={},
        split={},
        files=clip.files,
    )
