"""Reading embedding stores: float16 rows of length one in the layout of clip-retrieval.

``embeddings/<encoder>/<dataset>/`` holds ``img_emb/img_emb_0000.npy`` …, ``metadata/
metadata_0000.parquet`` … (row, uid, source_id, caption) and ``card.json`` (encoder fingerprint,
hash of the data set's manifest, rows, dim, SHA-256 of every part). Stores of captions have
``text_emb/text_emb_0000.npy`` … instead (``clipcause.embed.texts``). Published folders without card
and row columns can be read too: their rows are counted in the order of the part numbers. A folder
of the latter kind may be adopted: then the card has its ``place``, and the parts stay there.
``clipcause.embed.embeddings`` writes stores.

Shapes: N rows, D dimensions.
"""

import hashlib
import os
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float16, Integer

from clipcause.runtime import atomic

CARD = "card.json"
IMAGES, TEXTS = "img_emb", "text_emb"  # folders of parts, and what their files are called
# rounding a unit vector to float16 moves its length by at most 2**-11, four times less than this
NORM_TOLERANCE = 2e-3
CHECKED_AT_ONCE = 8192


@dataclass(frozen=True)
class Part:
    """One file of the store: rows ``start`` … ``start + rows - 1``, data from byte ``offset``.

    ``sha256`` is what the card says, which reading does not compare.
    """

    path: Path
    start: int
    rows: int
    offset: int
    sha256: str | None = None


@dataclass(frozen=True)
class Embeddings:
    """A store on disk. Rows that it hands out are finite and of length one, or it raises."""

    folder: Path
    dim: int
    encoder: str | None
    dataset: str | None
    files: tuple[Part, ...]

    def __len__(self) -> int:
        return self.files[-1].start + self.files[-1].rows

    def part_id(self, index: int) -> str:
        """A name for the content of a part: its SHA-256 where the card has it, else a hash of its
        file's name, size and time of change."""
        part = self.files[index]
        if part.sha256 is not None:
            return part.sha256
        found = part.path.stat()
        facts = f"{part.path.name}\0{found.st_size}\0{found.st_mtime_ns}"
        return hashlib.sha256(facts.encode()).hexdigest()

    @cached_property
    def _starts(self) -> list[int]:
        return [part.start for part in self.files]

    @cached_property
    def parts(self) -> list[Float16[np.ndarray, "_ D"]]:
        """The parts as memory maps, whose values nobody has checked yet."""
        return [np.load(part.path, mmap_mode="r") for part in self.files]

    def blocks(self, rows: int = 65536) -> Iterator[tuple[int, Float16[np.ndarray, "_ D"]]]:
        """Yield (first row, block) in order; every block but the last has ``rows`` rows.

        Blocks are plain reads into fresh memory, which a mapped file would not bound.
        """
        if rows < 1:
            raise ValueError(f"{self.folder}: blocks of {rows} rows")
        for start in range(0, len(self), rows):
            yield start, self._range(start, min(start + rows, len(self)))

    def all(self) -> Float16[np.ndarray, "N D"]:
        """Every row, in memory."""
        return self._range(0, len(self))

    def take(self, rows: Integer[np.ndarray, " K"]) -> Float16[np.ndarray, "K D"]:
        """The given rows, in the order in which they are given."""
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(self):
            raise ValueError(
                f"{self.folder}: rows {rows.min()} to {rows.max()} of {len(self)} were asked for"
            )
        taken_KD = np.empty((len(rows), self.dim), np.float16)
        part_K = np.searchsorted(self._starts, rows, side="right") - 1
        order_K = np.argsort(part_K, kind="stable")
        edges = np.flatnonzero(np.diff(part_K[order_K], prepend=-1, append=-1)).tolist()
        for first, last in pairwise(edges):
            mine_K = order_K[first:last]
            part = self.files[part_K[mine_K[0]]]
            taken_KD[mine_K] = _few(part, rows[mine_K] - part.start, self.dim)
        if len(bad := unfit(taken_KD)):
            part = self.files[part_K[bad[0]]]
            self._check(part, taken_KD[part_K == part_K[bad[0]]])
        return taken_KD

    def metadata(self) -> pa.Table:
        """The metadata of every row; ``row`` is added where the store has none."""
        tables = []
        for part in self.files:
            path = _metadata_path(part.path)
            found = atomic.open_parquet(path).metadata.num_rows
            if found != part.rows:
                raise ValueError(f"{path}: {found} rows, {part.path} has {part.rows}")
            table = pq.read_table(path, partitioning=None)
            row = pa.array(np.arange(part.start, part.start + part.rows))
            if "row" not in table.column_names:
                table = table.add_column(0, "row", row)
            elif not table["row"].combine_chunks().equals(row):
                raise ValueError(f"{path}: column 'row' does not count from {part.start}")
            tables.append(table)
        return pa.concat_tables(tables, promote_options="default")

    def _range(self, start: int, stop: int) -> Float16[np.ndarray, "_ D"]:
        block = np.empty((stop - start, self.dim), np.float16)
        for part in self.files[max(bisect_right(self._starts, start) - 1, 0) :]:
            first, last = max(start, part.start), min(stop, part.start + part.rows)
            if part.start >= stop:
                break
            if first >= last:
                continue
            rows = block[first - start : last - start]
            with part.path.open("rb") as stream:
                stream.seek(part.offset + (first - part.start) * self.dim * 2)
                if stream.readinto(rows.data) != rows.nbytes:
                    raise ValueError(f"{part.path}: ends before row {last - 1}; embed again")
            self._check(part, rows)
        return block

    def _check(self, part: Part, rows: np.ndarray) -> None:
        if len(unfit(rows)) == 0:
            return
        whole = np.load(part.path, mmap_mode="r")
        bad = unfit(whole)
        raise ValueError(complaint(part.path, part.start, whole, bad))


def read(
    folder: Path,
    *,
    encoder: str | None = None,
    dataset: str | None = None,
    parts_known: int = 0,
    of: str = IMAGES,
) -> Embeddings:
    """Open a store; ``encoder`` and ``dataset`` are the fingerprints that it must have,
    ``parts_known`` the number of parts of one without a card that was looked at before, and ``of``
    what its vectors are of.

    Checks shapes, types, sizes and counts now, and the values when they are handed out. Raises
    ``FileNotFoundError`` or ``ValueError`` with the file, the counts and what to do.
    """
    card = atomic.read_json(folder / CARD) if (folder / CARD).exists() else {}
    place = Path(card.get("place", folder))
    if not place.is_dir():
        raise FileNotFoundError(
            f"{place}: not found; the embeddings {folder} are read from there; bring it back, or "
            "embed the data set again"
        )
    files = _part_paths(place, len(card.get("parts", ())) or parts_known, of)
    digests = card.get("parts") or [None] * len(files)
    if len(digests) != len(files):
        raise ValueError(f"{folder}: the card has {len(digests)} parts, {place} has {len(files)}")
    if place != folder:
        _check_unchanged(folder, files)
    parts: list[Part] = []
    dims: dict[int, Path] = {}
    for path, digest in zip(files, digests, strict=True):
        (rows, dim), offset = _header(path)
        dims.setdefault(dim, path)
        start = parts[-1].start + parts[-1].rows if parts else 0
        parts.append(Part(path, start, rows, offset, digest))
    if len(dims) > 1:
        found = ", ".join(f"{path.name} has {dim}" for dim, path in dims.items())
        raise ValueError(f"{place}: parts differ in dimension: {found}; embed again")
    store = Embeddings(
        folder, next(iter(dims)), card.get("encoder"), card.get("dataset"), tuple(parts)
    )
    _check_card(store, card)
    _check_source(folder, "encoder", store.encoder, encoder)
    _check_source(folder, "data set", store.dataset, dataset)
    return store


def _few(part: Part, row_K: Integer[np.ndarray, " K"], dim: int) -> Float16[np.ndarray, "K D"]:
    """Some rows of a part, by their position in it.

    A pool's clusters have a few rows in every one of thousands of parts: a read a row costs less
    than a map of the file, and leaves nothing open.
    """
    taken_KD = np.empty((len(row_K), dim), np.float16)
    descriptor = os.open(part.path, os.O_RDONLY)
    try:
        for row, taken_D in zip(row_K.tolist(), taken_KD, strict=True):
            if os.preadv(descriptor, [taken_D.data], part.offset + row * dim * 2) != taken_D.nbytes:
                raise ValueError(f"{part.path}: ends before row {part.start + row}; embed again")
    finally:
        os.close(descriptor)
    return taken_KD


def _part_paths(folder: Path, known: int, of: str) -> list[Path]:
    """The parts by their numbers. Of a folder with ``known`` parts, by its card, a number may be
    missing: clip-retrieval writes nothing for a part without a row."""
    numbered = {}
    for path in (folder / of).glob(f"{of}_*.npy"):
        if match := re.fullmatch(rf"{of}_(\d+)\.npy", path.name):
            # published parts are numbered without leading zeros, ours with
            other = numbered.setdefault(int(match[1]), path)
            if other != path:
                first, second = sorted((other.name, path.name))
                raise ValueError(f"{folder}: {first} and {second} are both part {int(match[1])}")
    if not numbered:
        raise FileNotFoundError(f"{folder}: no {of}/{of}_*.npy; embed the data set first")
    missing = sorted(set(range(max(numbered) + 1)) - set(numbered))
    if missing and len(numbered) != known:
        raise FileNotFoundError(
            f"{folder}: part {missing[0]} is missing ({len(numbered)} of {max(numbered) + 1} there)"
        )
    return [numbered[number] for number in sorted(numbered)]


def _metadata_path(part: Path) -> Path:
    number = part.stem.rpartition("_")[2]
    return part.parent.parent / "metadata" / f"metadata_{number}.parquet"


def _header(path: Path) -> tuple[tuple[int, int], int]:
    """Shape and data offset of a part, after checking type, order and file size."""
    try:
        mapped = np.load(path, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path}: not a readable array: {error}; embed again") from None
    if mapped.dtype != np.float16 or mapped.ndim != 2 or not mapped.flags.c_contiguous:
        raise ValueError(
            f"{path}: {mapped.dtype} of shape {mapped.shape}, expected float16 rows in C order; "
            "embed again, or let `embed` take published embeddings (`embeddings` of a data set)"
        )
    rows, dim = mapped.shape
    return (rows, dim), int(mapped.offset)


def _check_unchanged(folder: Path, files: list[Path]) -> None:
    """DVC does not watch what is read in place: raise where a part is newer than the card."""
    taken = (folder / CARD).stat().st_mtime_ns
    for path in files:
        if path.stat().st_mtime_ns > taken:
            raise ValueError(
                f"{path}: changed since {folder} was made from it; embed the data set again "
                "(`dvc repro --force --single-item` with its embed stage)"
            )


def _check_card(store: Embeddings, card: dict[str, Any]) -> None:
    if not card:
        return
    found = {"rows": len(store), "dim": store.dim}
    said = {name: card.get(name) for name in found}
    if said != found:
        raise ValueError(f"{store.folder}: the card says {said}, the files have {found}")


def _check_source(folder: Path, what: str, found: str | None, expected: str | None) -> None:
    if expected is None or found == expected:
        return
    have = f"{found[:12]}…" if found else "unknown (there is no card)"
    raise ValueError(
        f"{folder}: the embeddings' {what} is {have}, the parameters' is {expected[:12]}…; "
        "embed again, or set the parameters back"
    )


def unfit(rows: np.ndarray) -> Integer[np.ndarray, " bad"]:
    """Positions of rows that are not finite or not of length one."""
    bad = []
    for start in range(0, len(rows), CHECKED_AT_ONCE):
        chunk = rows[start : start + CHECKED_AT_ONCE].astype(np.float32)
        length = np.sqrt(np.einsum("nd,nd->n", chunk, chunk))
        # written so that NaN, which compares as false, is bad
        bad.append(start + np.flatnonzero(~(np.abs(length - 1) <= NORM_TOLERANCE)))
    return np.concatenate(bad) if bad else np.empty(0, np.int64)


def complaint(path: Path, start: int, rows: np.ndarray, bad: np.ndarray) -> str:
    first = int(bad[0])
    vector = rows[first].astype(np.float64)
    if np.isfinite(vector).all():
        fault = f"length {np.linalg.norm(vector):.4f}, expected 1"
    else:
        fault = "NaN or infinite values"
    return (
        f"{path}: {len(bad)} of {len(rows)} rows are not finite vectors of length one; the first "
        f"is row {start + first}: {fault}; embed the data set again (published embeddings may be "
        "of any length: `embed` takes them with `normalise`)"
    )
