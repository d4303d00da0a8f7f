"""The embeddings of a data set's captions: beside each shard's images a part of its texts.

``texts/<encoder>/<dataset>/`` holds ``text_emb/text_emb_0000.npy`` …, as clip-retrieval calls
them, ``metadata/metadata_0000.parquet`` … (row, caption_index, uid) and ``card.json``. A row has as
many vectors as captions, its first caption's first; a row whose caption is empty has one too.

Shapes: T captions, N rows, D dimensions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Float16, Int64, Integer

from clipcause.config.texts import Captions
from clipcause.data import every_caption
from clipcause.data.manifest import Manifest
from clipcause.embed import embeddings, store
from clipcause.embed.store import Embeddings
from clipcause.runtime import atomic

SCHEMA = pa.schema([("row", pa.int64()), ("caption_index", pa.int32()), ("uid", pa.string())])


@dataclass(frozen=True)
class Texts:
    """A store of captions' vectors, and of which row each is."""

    store: Embeddings
    row_T: Int64[np.ndarray, " T"]  # ascending
    index_T: Int64[np.ndarray, " T"]  # which caption of the row, from 0

    @property
    def dim(self) -> int:
        """Their dimensions."""
        return self.store.dim

    def take(self, positions: Integer[np.ndarray, " K"]) -> Float16[np.ndarray, "K D"]:
        """The vectors at the given positions among all captions."""
        return self.store.take(positions)

    def firsts(self, rows: Integer[np.ndarray, " K"]) -> Float16[np.ndarray, "K D"]:
        """The vectors of the rows' first captions."""
        return self.take(np.searchsorted(self.row_T, rows))


def write(
    folder: Path,
    made: Iterable[Float[np.ndarray, "_ D"]],
    manifest: Manifest,
    encoder: str,
    wanted: Captions,
) -> Texts:
    """Write one part per shard; memory holds one. Raises ``ValueError`` for one that does not fit
    the shard's captions or whose rows are not finite or not of length one."""
    digests: list[str] = []
    count, dim = 0, None
    with atomic.folder(folder) as out:
        (out / store.TEXTS).mkdir()
        (out / "metadata").mkdir()
        for number, part in enumerate(made):
            found = captions(manifest, number, wanted)
            dim = dim or part.shape[1]
            padded = embeddings.digits(number, len(manifest.shards))
            path = folder / store.TEXTS / f"{store.TEXTS}_{padded}.npy"
            if part.shape != (len(found.row_T), dim):
                raise ValueError(
                    f"{path}: shape {part.shape}, expected {(len(found.row_T), dim)} for the "
                    f"captions of {manifest.place(number)}"
                )
            rows = part.astype(np.float16)
            if len(bad := store.unfit(rows)):
                raise ValueError(store.complaint(path, count, rows, bad))
            digests.append(embeddings.save(out / store.TEXTS / path.name, rows))
            uids = manifest.shard_table(number, ["uid"])["uid"].combine_chunks()
            columns = [found.row_T, found.index_T, uids.take(found.row_T - manifest.starts[number])]
            table = pa.table(columns, schema=SCHEMA)
            atomic.write_parquet(out / "metadata" / f"metadata_{padded}.parquet", table)
            count += len(rows)
        card = {
            "encoder": encoder,
            "dataset": manifest.sha256,
            "rows": count,
            "dim": dim,
            "parts": digests,
            **wanted.model_dump(),
        }
        (out / store.CARD).write_bytes(atomic.encode_json(card))
    return read(folder, encoder=encoder, dataset=manifest.sha256)


def read(folder: Path, *, encoder: str | None = None, dataset: str | None = None) -> Texts:
    """Open a store; ``encoder`` and ``dataset`` are the fingerprints that it must have.

    Raises as ``store.read`` does, and where the rows of its vectors do not ascend.
    """
    found = store.read(folder, encoder=encoder, dataset=dataset, of=store.TEXTS)
    tables = [
        atomic.read_parquet(path, SCHEMA, ["row", "caption_index"])
        for path in sorted((folder / "metadata").glob("metadata_*.parquet"))
    ]
    whole = pa.concat_tables(tables)
    row_T = whole["row"].to_numpy()
    index_T = whole["caption_index"].to_numpy().astype(np.int64)
    if len(row_T) != len(found) or (np.diff(row_T) < 0).any():
        raise ValueError(
            f"{folder}: {len(found)} vectors, and rows of {len(row_T)}, which have to ascend; "
            "run the stage embed_text again"
        )
    return Texts(found, row_T, index_T)


def captions(manifest: Manifest, position: int, wanted: Captions) -> every_caption.Captions:
    """Those of a shard that are embedded."""
    found = every_caption.of_shard(manifest, position)
    if wanted.captions == "all":
        return found
    first_T = found.index_T == 0
    texts = found.texts.filter(pa.array(first_T))
    return every_caption.Captions(texts, found.row_T[first_T], found.index_T[first_T])
