"""`embeddings`: a clip-retrieval folder, such as LAION's published ones, instead of images; or
DataComp's metadata with features beside them (``datacomp_features``).

``read_embeddings`` makes a manifest of the metadata: one shard per part, every row kept, because a
row is its vector's position; the data set has no images. ``adopt`` compares the vectors with a
manifest (this source's, or that of the tars that they were computed from) before `embed`
takes them as they are.

What is taken in place is float16, as published: the search's exactness rests on it. float32 and
vectors that are not of length one are errors, unless they may be rescaled, which writes a copy
(``rescaled``).

Shapes: N rows of a part or of a block, D dimensions.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float16
from pydantic import Field

from clipcause.config import versions
from clipcause.config.datasets import Prepare
from clipcause.data import kept, place, signatures
from clipcause.data.dataset import Drop
from clipcause.data.in_place import Part, with_columns
from clipcause.data.manifest import Manifest
from clipcause.data.shards import Shard
from clipcause.data.source import InPlace
from clipcause.data.sources import clip_retrieval, columns, datacomp_features, hashing
from clipcause.data.sources.clip_retrieval import Vectors
from clipcause.embed.embeddings import NORM_TOLERANCE
from clipcause.runtime.progress import progress


class PartFacts(NamedTuple):
    """A part that was read through and fits: what an embedding store's card says of it."""

    name: str  # below the folder
    rows: int
    dim: int
    dtype: str
    bytes: int
    sha256: str
    unit: bool  # float16 of length one, so that it can be taken in place


class Embeddings(InPlace):
    """A clip-retrieval folder below ``place``, or one of DataComp's metadata.

    The columns of its metadata; `none` for one that they do not have. The defaults are those of
    LAION's published folders; DataComp's have `caption: text`, `uid: uid`, `key: none`.
    """

    source: Literal["embeddings"]
    caption: str = "caption"
    url: str = "url"
    key: str = "image_path"  # none: numbers in the order of the file
    width: str = "none"
    height: str = "none"
    uid: str = "none"  # the identity that the pool itself publishes, as DataComp does
    # further columns that the manifest keeps, for rules
    columns: list[str] = Field(default_factory=list)

    def parts(self, where: str, settings: Prepare, name: str) -> tuple[str, Iterator[Part]]:  # noqa: ARG002
        """The parts by number."""
        versions.check("pillow")
        found = read_embeddings(where, self)
        return where, progress(found, label=f"prepare {name}", unit="parts")


def read_embeddings(where: str, options: Embeddings) -> Iterator[Part]:
    """The shards of a folder (path or URL): clip-retrieval's by number, DataComp's by name.

    Nothing is dropped. A row without a caption, or whose text is no UTF-8, has the caption "" and
    a remark in the ledger. Raises ``ValueError`` or ``FileNotFoundError`` with the file, for parts
    that are missing or damaged, and where metadata and vectors differ in number.
    """
    if features := datacomp_features.parts(where):
        # `embed` finds vectors by uid and looks at their number
        names = [f"{name}.parquet" for name in features]
        return _read(where, [None] * len(names), names, options)
    parts = clip_retrieval.vectors(where)
    metadata = clip_retrieval.metadata(where)
    clip_retrieval.check_numbers(where, parts, metadata)
    return _read(where, parts, metadata, options)


def _read(
    where: str, parts: Sequence[Vectors | None], metadata: list[str], options: Embeddings
) -> Iterator[Part]:
    roles = ("caption", "url", "key", "width", "height", "uid")
    names = {role: getattr(options, role) for role in roles}
    for part, name in zip(parts, metadata, strict=True):
        path = place.join(where, name)
        table = _table(path, names, options.columns)
        if part is not None and table.num_rows != part.rows:
            raise ValueError(
                f"{path}: {table.num_rows} rows, {part.name} has {part.rows} vectors; "
                "fetch both again"
            )
        found = columns.rows(table, names)
        keys = found.table["key"]
        stays = "kept, for its vector has this position"
        remarks = [
            Drop(name, keys[at].as_py(), reason, f"{detail}; {stays}" if detail else stays)
            for at, reason, detail in found.lacking
        ]
        if options.columns:
            held = kept.of_table(path, options.columns, table)
            found = found._replace(table=with_columns(found.table, held))
        facts = place.facts(path)
        shard = Shard(name, hashing.sha256(path, facts.bytes), facts.bytes, table.num_rows)
        yield Part(shard, found.table, remarks=remarks)


def adopt(
    folder: Path, manifest: Manifest, *, dim: int | None, normalise: bool = False
) -> list[PartFacts]:
    """Read all vectors of a clip-retrieval folder and compare them with a manifest.

    ``dim`` is the encoder's dimension, where it is known. Checked are the numbers of rows (of each
    part, where there is one per shard, and in all), the keys of the metadata, types, dimensions,
    and that every row is finite and of length one. ``normalise`` lets other lengths and float32
    pass; their ``PartFacts`` say that they are not ``unit``, and ``rescaled`` gives them as they
    can be stored. Raises ``ValueError`` with the part, the first row and what to do.
    """
    parts = clip_retrieval.vectors(str(folder))
    if dim is not None and parts[0].dim != dim:
        raise ValueError(
            f"{folder}: vectors of {parts[0].dim} dimensions, the encoder's have {dim}; they are "
            "another model's"
        )
    _check_counts(folder, parts, manifest)
    _check_identity(folder, parts, manifest)
    facts, start = [], 0
    for part in parts:
        facts.append(_checked(folder, part, start, normalise=normalise))
        start += part.rows
    return facts


def rescaled(folder: Path, name: str) -> Iterator[Float16[np.ndarray, "_ D"]]:
    """Blocks of a part's rows, brought to length one in float64 and rounded to float16 once."""
    part = clip_retrieval.one(str(folder), name)
    with (folder / name).open("rb") as stream:
        for block_ND, _ in clip_retrieval.blocks(stream, str(folder / name), part):
            wide_ND = block_ND.astype(np.float64)
            length_N1 = np.sqrt(np.einsum("nd,nd->n", wide_ND, wide_ND))[:, None]
            yield (wide_ND / length_N1).astype(np.float16)


def _check_counts(folder: Path, parts: list[Vectors], manifest: Manifest) -> None:
    if len(parts) == len(manifest.shards):
        for part, shard in zip(parts, manifest.shards, strict=True):
            if part.rows != shard.samples:
                raise ValueError(
                    f"{folder / part.name}: {part.rows} rows, shard {shard.name} of "
                    f"{manifest.folder} has {shard.samples}; they are of other data, or some of "
                    "the samples were dropped"
                )
    rows = sum(part.rows for part in parts)
    if rows != len(manifest):
        raise ValueError(
            f"{folder}: {rows} rows in {len(parts)} parts, {manifest.folder} has {len(manifest)} "
            f"in {len(manifest.shards)} shards"
        )


def _check_identity(folder: Path, parts: list[Vectors], manifest: Manifest) -> None:
    """Compare the metadata with what the manifest was made of, or row by row with what it says."""
    metadata = dict.fromkeys(range(len(parts)), "")
    if (folder / "metadata").is_dir():
        found = clip_retrieval.metadata(str(folder))
        clip_retrieval.check_numbers(str(folder), parts, found)
        metadata = dict(enumerate(found))
    prepared = {shard.name: shard.sha256 for shard in manifest.shards}
    if metadata[0] in prepared:
        # the manifest was made of these very files
        for name in metadata.values():
            if hashing.sha256(str(folder / name)) != prepared.get(name):
                raise ValueError(f"{folder / name}: not the file that {manifest.folder} is made of")
        return
    rows = _Rows(manifest)
    for number, part in enumerate(parts):
        name = metadata[number]
        expected = rows.take(part.rows)
        if not name:
            continue
        path = str(folder / name)
        file = pq.ParquetFile(path)
        if file.metadata.num_rows != part.rows:
            raise ValueError(f"{path}: {file.metadata.num_rows} rows, {part.name} has {part.rows}")
        there = file.schema_arrow.names
        for column, ours in COMPARED:
            # other tools' `uid` is not the hash of the image
            if column not in there or (column == "uid" and "source_id" not in there):
                continue
            if _compare(path, file.read([column])[column], expected[ours], column):
                break


# columns of metadata, the surest first, and of the manifest
COMPARED = (("source_id", "source_id"), ("uid", "uid"), ("image_path", "key"), ("key", "key"))


def _compare(path: str, found: pa.ChunkedArray, expected: pa.ChunkedArray, column: str) -> int:
    """The number of rows of which both sides know the identity; raises where one differs."""
    compared = 0
    for row, (theirs, ours) in enumerate(
        zip(columns.texts(found), expected.to_pylist(), strict=True)
    ):
        if theirs is None or ours is None:
            continue
        compared += 1
        if _same(theirs, ours):
            continue
        raise ValueError(
            f"{path}: row {row} is {column} {theirs!r}, the manifest's is {ours!r}; the vectors "
            "are of other data, or in another order"
        )
    return compared


def _same(theirs: str, ours: str) -> bool:
    """Whether an identity is a row's. clip-retrieval gives a key where it read tars, and where it
    read files the path of one, of which our key is the end, escaped and as a rule without the
    extension."""
    path = theirs.replace("\\", "/")
    said = f"/{path.lstrip('/')}"
    stem = said[: len(said) - len(PurePosixPath(said).suffix)]
    return theirs == ours or any(
        one.endswith(f"/{known}") for one in (said, stem) for known in (ours, unquote(ours))
    )


IDENTITIES = ("source_id", "uid", "key")


class _Rows:
    """The identities of a manifest's rows, in pieces of any size; memory holds a shard and one."""

    def __init__(self, manifest: Manifest) -> None:
        self._tables = (
            manifest.shard_table(position, list(IDENTITIES))
            for position in range(len(manifest.shards))
        )
        self._left: pa.Table | None = None

    def take(self, count: int) -> pa.Table:
        held = [] if self._left is None else [self._left]
        while sum(table.num_rows for table in held) < count:
            held.append(next(self._tables))
        if not held:
            return pa.table({name: pa.array([], pa.string()) for name in IDENTITIES})
        whole = pa.concat_tables(held)
        self._left = whole.slice(count)
        return whole.slice(0, count)


def _checked(folder: Path, part: Vectors, start: int, *, normalise: bool) -> PartFacts:
    path = folder / part.name
    sha256 = hashlib.sha256()
    wrong = first = 0
    length = 1.0
    with path.open("rb") as stream:
        sha256.update(stream.read(part.offset))
        at = 0
        for block_ND, raw in clip_retrieval.blocks(stream, str(path), part):
            sha256.update(raw)
            wide_ND = block_ND.astype(np.float32)
            length_N = np.sqrt(np.einsum("nd,nd->n", wide_ND, wide_ND))
            none_N = ~(np.isfinite(length_N) & (length_N > 0))
            if none_N.any():
                row = start + at + int(none_N.argmax())
                raise ValueError(
                    f"{path}: row {row} is zero, NaN or infinite; the part is damaged, or its "
                    "image could not be embedded: leave the row out of both"
                )
            bad = np.flatnonzero(np.abs(length_N - 1) > NORM_TOLERANCE)
            if len(bad) and not wrong:
                first, length = start + at + int(bad[0]), float(length_N[bad[0]])
            wrong += len(bad)
            at += len(block_ND)
    unit = part.dtype == np.float16 and not wrong
    if not unit and not normalise:
        fault = (
            f"{wrong} of {part.rows} rows are not of length one, the first is row {first} with "
            f"{length:.4f}"
            if wrong
            else f"{part.dtype}, where float16 can be taken in place"
        )
        raise ValueError(f"{path}: {fault}; normalise: true rescales all rows into a copy")
    size = path.stat().st_size
    digest = sha256.hexdigest()
    return PartFacts(part.name, part.rows, part.dim, str(part.dtype), size, digest, unit)


def _table(path: str, names: columns.Names, further: Sequence[str]) -> pa.Table:
    with place.opened(path) as stream:
        try:
            file = pq.ParquetFile(stream)
            columns.check(path, file.schema_arrow.names, names)
            columns.check_types(path, file.schema_arrow, names)
            kept.check(path, further, file.schema_arrow.names)
            return file.read(columns.wanted(names, further))
        except (pa.ArrowInvalid, OSError) as error:
            what = signatures.called(place.beginning(path), signatures.PARQUET)
            why = f"it is {what}" if what else f"cannot be read: {error}; fetch it again"
            raise ValueError(f"{path}: {why}") from None
