"""Embedding stores in the layout of clip-retrieval: float16 rows of length one, one part per shard.

``embeddings/<encoder>/<dataset>/`` as ``clipcause.embed.store`` describes and reads it; this
module writes it.

Shapes: N rows, D dimensions.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Float16

from clipcause.data.manifest import Manifest
from clipcause.embed.store import CARD, NORM_TOLERANCE, Embeddings, Part, complaint, read, unfit
from clipcause.runtime import atomic

__all__ = ["CARD", "NORM_TOLERANCE", "Embeddings", "Part", "adopt", "cut", "read", "write"]

METADATA_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("uid", pa.string()),
        ("source_id", pa.string()),
        ("caption", pa.string()),
    ]
)


def write(
    folder: Path,
    parts: Iterable[Float[np.ndarray, "_ D"]],
    manifest: Manifest,
    encoder: str,
) -> Embeddings:
    """Write one part per shard of ``manifest``; ``encoder`` is the fingerprint of the encoder.

    Parts are float16 or float32 and already of length one; memory holds one, and its rows of the
    manifest. Raises ``ValueError`` for a part that does not fit its shard or whose rows are not
    finite or not of length one; nothing is left then.
    """
    dim = None
    digests: list[str] = []
    with atomic.folder(folder) as out:
        (out / "img_emb").mkdir()
        (out / "metadata").mkdir()
        for number, part in enumerate(parts):
            padded = digits(number, len(manifest.shards))
            path = folder / "img_emb" / f"img_emb_{padded}.npy"
            if number == len(manifest.shards):
                digests.append("")
                break
            start, stop = manifest.starts[number : number + 2]
            dim = dim or part.shape[1]
            rows = part.astype(np.float16)
            if rows.shape != (stop - start, dim):
                raise ValueError(
                    f"{path}: shape {rows.shape}, expected {(stop - start, dim)} for shard "
                    f"{manifest.shards[number].name}"
                )
            if len(bad := unfit(rows)):
                raise ValueError(complaint(path, start, rows, bad))
            digests.append(save(out / "img_emb" / path.name, np.ascontiguousarray(rows)))
            metadata = out / "metadata" / f"metadata_{padded}.parquet"
            table = manifest.shard_table(number, METADATA_SCHEMA.names)
            atomic.write_parquet(
                metadata, table.select(METADATA_SCHEMA.names).cast(METADATA_SCHEMA)
            )
        if len(digests) != len(manifest.shards):
            raise ValueError(
                f"{folder}: {len(digests)} parts or more, {len(manifest.shards)} shards in "
                f"{manifest.folder}; there is one part per shard"
            )
        _write_card(out, manifest, encoder, dim=dim, parts=digests)
    return read(folder, encoder=encoder, dataset=manifest.sha256)


def digits(number: int, count: int) -> str:
    """The number of one of ``count`` parts, as their names have it: as text they are in order, for
    other tools read them so."""
    return f"{number:0{max(4, len(str(count - 1)))}d}"


def adopt(
    folder: Path, place: Path, digests: Sequence[str], manifest: Manifest, encoder: str
) -> Embeddings:
    """Take the store at ``place`` as that of ``manifest``, its parts where they are.

    ``digests`` are the parts' SHA-256, of whoever has read and checked them. Raises ``ValueError``
    where the number of parts or of rows differs.
    """
    store = read(place, parts_known=len(digests))
    for what, found, expected in (
        ("parts", len(store.files), len(digests)),
        ("rows", len(store), len(manifest)),
    ):
        if found != expected:
            raise ValueError(f"{place}: {found} {what}, expected {expected} for {manifest.folder}")
    with atomic.folder(folder) as out:
        _write_card(out, manifest, encoder, dim=store.dim, parts=list(digests), place=str(place))
    return read(folder, encoder=encoder, dataset=manifest.sha256)


def cut(
    blocks: Iterable[Float16[np.ndarray, "_ D"]], sizes: Iterable[int]
) -> Iterator[Float16[np.ndarray, "_ D"]]:
    """The rows of ``blocks``, which may have any sizes, in parts of ``sizes`` rows.

    Memory holds a part and a block. Rows that are left over make a part more.
    """
    held: list[np.ndarray] = []
    count = 0
    rest = iter(blocks)
    for size in sizes:
        while count < size and (block := next(rest, None)) is not None:
            held.append(block)
            count += len(block)
        if not held:
            return
        whole = np.concatenate(held)
        yield whole[:size]
        held, count = [whole[size:]], max(count - size, 0)
    for block in (*held, *rest):
        if len(block):
            yield block
            return


def save(path: Path, rows: np.ndarray) -> str:
    """Write an array as ``np.save`` does, and give the file's SHA-256.

    ``np.save`` itself does not say that a disk is full, but that fewer bytes were written.
    """
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(rows))
    digest = hashlib.sha256()
    with path.open("wb") as stream:
        for content in (header.getbuffer(), rows.data):
            digest.update(content)
            stream.write(content)
    return digest.hexdigest()


def _write_card(out: Path, manifest: Manifest, encoder: str, **facts: Any) -> None:
    card = {"encoder": encoder, "dataset": manifest.sha256, "rows": len(manifest), **facts}
    (out / CARD).write_bytes(atomic.encode_json(card))
