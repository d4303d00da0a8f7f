"""Finished parts of long work that are kept between runs of a stage, in `cache_folder`.

Entries are named by a hash of all that decides them; deleting them costs time and nothing else.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import safetensors.numpy

from clipcause.runtime import atomic, unchanged
from clipcause.runtime.cache_folder import ENVIRONMENT, folder

__all__ = ["ARRAYS", "ENVIRONMENT", "TABLE", "Store", "entry", "folder", "key"]
DIGEST = hashlib.sha256().digest_size

Out = TypeVar("Out")


@dataclass(frozen=True)
class Store(Generic[Out]):
    """How one kind of result is kept: ``save`` is atomic, ``load`` gives None where the entry is
    absent or damaged. ``suffix`` ends the entry's file name."""

    save: Callable[[Path, Out], None]
    load: Callable[[Path], Out | None]
    suffix: str = ""


def key(*parts: object) -> str:
    """A name for what ``parts`` decide: the hash of their JSON."""
    return hashlib.sha256(atomic.encode_json(list(parts))).hexdigest()


def entry(name: str, suffix: str = "") -> Path:
    """Where a kept result of that key lies. In 256 folders: one of 100,000 files is slow."""
    return folder() / name[:2] / f"{name}{suffix}"


def _keep(path: Path, content: bytes | pa.Buffer) -> None:
    """Write an entry: the content, then its SHA-256, by which damage is found.

    Not where the stage's code was edited meanwhile: entries are named by it.
    """
    unchanged.check()
    with atomic.file(path) as temporary, temporary.open("wb") as stream:
        stream.write(content)
        stream.write(hashlib.sha256(content).digest())


def _kept(path: Path) -> bytes | None:
    """The content of an entry, None where it is absent or damaged."""
    try:
        entry = path.read_bytes()
    except FileNotFoundError:
        return None
    content = entry[:-DIGEST]
    return content if hashlib.sha256(content).digest() == entry[-DIGEST:] else None


def _keep_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    whole = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    _keep(path, safetensors.numpy.save(whole))


def _kept_arrays(path: Path) -> dict[str, np.ndarray] | None:
    content = _kept(path)
    if content is None:
        return None
    # copies: arrays on a read-only buffer would differ from those that were just computed
    return {name: array.copy() for name, array in safetensors.numpy.load(content).items()}


def _keep_table(path: Path, table: pa.Table) -> None:
    stream = pa.BufferOutputStream()
    with pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)
    _keep(path, stream.getvalue())


def _kept_table(path: Path) -> pa.Table | None:
    content = _kept(path)
    return None if content is None else pa.ipc.open_file(pa.py_buffer(content)).read_all()


# arrays by name: safetensors, for no pickle is ever read
ARRAYS: Store[dict[str, np.ndarray]] = Store(_keep_arrays, _kept_arrays, ".arrays")
# a table with its schema's metadata: Arrow's own file format
TABLE: Store[pa.Table] = Store(_keep_table, _kept_table, ".table")
