"""Checkpoints: weights that open_clip can load, with all that says what they are.

``models/<run>/`` holds ``model.safetensors``; ``model_config.json`` (for
``open_clip.add_model_config``); ``open_clip_config.json``, the same with the preprocessing
settings, so that ``open_clip.create_model("local-dir:models/<run>")`` works; ``log.csv``, the
training curve; further files such as a vocabulary; and ``card.json``: the fingerprint, the
training parameters and the card of the split that was seen; of a model that others trained, under
``read``, the SHA-256 of the file of its weights. No torch here: weights are NumPy
arrays or the bytes of a safetensors file.
"""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from clipcause.runtime import atomic

WEIGHTS = "model.safetensors"
CONFIG = "model_config.json"
OPEN_CLIP = "open_clip_config.json"
CARD = "card.json"
LOG = "log.csv"
OWN = (WEIGHTS, CONFIG, OPEN_CLIP, CARD, LOG)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk whose files have been compared with its fingerprint."""

    folder: Path
    model_config: Mapping[str, Any]
    preprocess: Mapping[str, Any]
    card: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over weights, configuration, preprocessing and further files."""
        return self.card["fingerprint"]

    @property
    def weights_path(self) -> Path:
        """The safetensors file."""
        return self.folder / WEIGHTS

    def weights(self) -> dict[str, np.ndarray]:
        """Parameter name to array (types that NumPy has; bfloat16 it has not)."""
        try:
            return safetensors.numpy.load_file(self.weights_path)
        except SafetensorError as error:
            raise ValueError(f"{self.weights_path}: damaged: {error}") from None

    def file(self, name: str) -> bytes:
        """One of the further files that were written with the checkpoint."""
        if name not in self.card["files"]:
            known = ", ".join(self.card["files"]) or "none"
            raise ValueError(f"{self.folder}: no file {name!r} in this checkpoint; it has: {known}")
        return (self.folder / name).read_bytes()

    def log(self) -> list[dict[str, float]]:
        """The training curve, a dictionary per line."""
        with (self.folder / LOG).open(newline="") as stream:
            lines = list(csv.DictReader(stream))
        return [{name: float(value) for name, value in line.items()} for line in lines]


def write(
    folder: Path,
    weights: Mapping[str, np.ndarray] | bytes,
    *,
    model_config: Mapping[str, Any],
    preprocess: Mapping[str, Any],
    training: Mapping[str, Any],
    split: Mapping[str, Any],
    log: Sequence[Mapping[str, int | float]] = (),
    files: Mapping[str, bytes] | None = None,
    read: Mapping[str, str] | None = None,
) -> str:
    """Write a checkpoint and return its fingerprint.

    ``read`` are the files that the weights of a published model were read from, with their SHA-256.
    ``training`` are the parameters of the run, ``split`` is the card of its split, ``log`` has the
    same columns in every line, ``files`` are further files by name. Raises ``ValueError`` for
    weights that are not finite and for a further file with one of our names.
    """
    files = dict(files or {})
    if taken := sorted(set(files) & set(OWN)):
        raise ValueError(f"{folder}: {taken[0]} is a file of every checkpoint")
    if not isinstance(weights, bytes):
        for name, values in weights.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ValueError(f"{folder}: weight {name!r} is not finite; training diverged")
        weights = safetensors.numpy.save(dict(weights))
    contents = {
        **files,
        WEIGHTS: weights,
        CONFIG: atomic.encode_json(dict(model_config)),
        OPEN_CLIP: atomic.encode_json(
            {"model_cfg": dict(model_config), "preprocess_cfg": dict(preprocess)}
        ),
    }
    fingerprint = _fingerprint({name: _sha256(content) for name, content in contents.items()})
    card = {
        "fingerprint": fingerprint,
        "files": sorted(files),
        "training": dict(training),
        "split": dict(split),
        **({"read": dict(read)} if read else {}),
    }
    with atomic.folder(folder) as out:
        for name, content in contents.items():
            (out / name).write_bytes(content)
        (out / LOG).write_text(_csv(folder, log))
        (out / CARD).write_bytes(atomic.encode_json(card))
    return fingerprint


def read(folder: Path, fingerprint: str | None = None) -> Checkpoint:
    """Open a checkpoint. Files that do not give the fingerprint of its card are an error.

    So is another ``fingerprint`` than the one given, which is that of an earlier reading.
    """
    card = atomic.read_json(folder / CARD)
    for key in ("fingerprint", "files", "training", "split"):
        if key not in card:
            raise ValueError(f"{folder / CARD}: {key!r} is missing; train again")
    digests = {}
    for name in (*card["files"], WEIGHTS, CONFIG, OPEN_CLIP):
        if not (folder / name).exists():
            raise FileNotFoundError(f"{folder / name}: not found; the checkpoint is incomplete")
        with (folder / name).open("rb") as stream:
            digests[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    if (found := _fingerprint(digests)) != card["fingerprint"]:
        raise ValueError(
            f"{folder}: the files have fingerprint {found[:12]}…, the card says "
            f"{card['fingerprint'][:12]}…; a file was changed, train again"
        )
    if fingerprint not in (None, found):
        raise ValueError(
            f"{folder}: its fingerprint is {found[:12]}…, and was {fingerprint[:12]}… when the "
            "stage started; run it again"
        )
    settings = atomic.read_json(folder / OPEN_CLIP)
    return Checkpoint(folder, settings["model_cfg"], settings["preprocess_cfg"], card)


def _fingerprint(digests: Mapping[str, str]) -> str:
    return _sha256(atomic.encode_json(dict(digests)))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _csv(folder: Path, log: Sequence[Mapping[str, int | float]]) -> str:
    text = io.StringIO()
    if log:
        columns = list(log[0])
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        for number, line in enumerate(log, 1):
            if list(line) != columns:
                raise ValueError(f"{folder}: line {number} of the log has columns {list(line)}")
            writer.writerow(line.values())
    return text.getvalue()
