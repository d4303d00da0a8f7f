"""DataComp's features: beside each Parquet file of metadata an ``.npz`` with arrays of its rows.

``0a1b….parquet`` has ``uid``, ``url``, ``text`` …, ``0a1b….npz`` the arrays ``b32_img``,
``b32_txt``, ``l14_img``, ``l14_txt``. Of a pool that was downloaded some rows are missing, and
tars have them in another order: a vector is found by its row's uid and by nothing else.

Shapes: N rows of a part or a shard, D dimensions, K rows of all parts.
"""

import zipfile
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Float16, Int64

from clipcause.config import nearest
from clipcause.data import place
from clipcause.data.manifest import Manifest
from clipcause.embed.embeddings import NORM_TOLERANCE
from clipcause.prune import listed

MARK = "#"  # between the folder and the array's name, where both are one parameter
HELD = 4  # parts: a shard's rows are of one or two, where tars follow the metadata


def parts(where: str) -> list[str]:
    """The names of the metadata files that have features beside them, sorted; without endings."""
    there = place.listing(where)
    return sorted(
        stem
        for name in there
        if (stem := name.removesuffix(".parquet")) != name and f"{stem}.npz" in there
    )


def aligned(
    where: str, array: str, manifest: Manifest, *, dim: int | None, normalise: bool
) -> Iterator[Float16[np.ndarray, "N D"]]:
    """The vectors of every shard of a manifest, by its rows' uids, of length one.

    Memory holds 24 bytes a row of the metadata and a few parts. Raises ``ValueError`` for an array
    that is not there, rows whose uid the metadata do not have, other dimensions than ``dim``, and
    vectors that are not float16 of length one, unless ``normalise`` lets them be rescaled.
    """
    names = parts(where)
    if not names:
        raise FileNotFoundError(f"{where}: no .npz beside a .parquet; is it DataComp's metadata?")
    pairs, row_K, starts = _index(where, names)

    @lru_cache(HELD)
    def vectors(part: int) -> Float[np.ndarray, "N D"]:
        return _vectors(where, names[part], array, int(starts[part + 1] - starts[part]), dim)

    for position in range(len(manifest.shards)):
        uids = listed.identities(manifest, position, "uid")
        is_number, number_M2 = listed.numbers(uids)
        at_M = pairs.at(number_M2)
        lacking = [*uids.filter(pa.array(~is_number)).to_pylist(), *_absent(uids, is_number, at_M)]
        if lacking:
            raise ValueError(
                f"{where}: {len(lacking)} of the {len(uids)} rows of {manifest.place(position)} "
                f"have no uid of these metadata, the first is {lacking[0]!r}; `uid` of the source "
                "names the column that has it, in tars the JSON's key uid"
            )
        wanted_N = row_K[at_M]
        part_N = np.searchsorted(starts, wanted_N, side="right") - 1
        chosen: np.ndarray | None = None
        for part in np.unique(part_N).tolist():
            found = vectors(part)
            if chosen is None:
                chosen = np.empty((len(uids), found.shape[1]), found.dtype)
            mine = part_N == part
            chosen[mine] = found[wanted_N[mine] - starts[part]]
        assert chosen is not None
        yield _unit(chosen, f"{where}{MARK}{array}", uids, normalise=normalise)


def _index(
    where: str, names: list[str]
) -> tuple[listed.Pairs, Int64[np.ndarray, " K"], np.ndarray]:
    """The uids of all parts, the row of each over all parts, and the first rows of the parts."""
    halves, starts = [], [0]
    for name in names:
        path = place.join(where, f"{name}.parquet")
        with place.opened(path) as stream:
            try:
                uids = pq.read_table(stream, columns=["uid"])["uid"].combine_chunks()
            except (pa.ArrowInvalid, KeyError) as error:
                raise ValueError(f"{path}: column uid cannot be read: {error}") from None
        is_number, found = listed.numbers(uids.cast(pa.string()))
        if not is_number.all():
            raise ValueError(
                f"{path}: uid {uids[int(is_number.argmin())]} is no number of 32 digits"
            )
        halves.append(found)
        starts.append(starts[-1] + len(found))
    pairs, row_K = listed.sorted_pairs(np.concatenate(halves))
    return pairs, row_K, np.array(starts)


def _vectors(where: str, name: str, array: str, rows: int, dim: int | None) -> np.ndarray:
    path = place.join(where, f"{name}.npz")
    with place.opened(path) as stream:
        try:
            with np.load(stream, allow_pickle=False) as arrays:
                if array not in arrays:
                    raise ValueError(f"no array {array!r}; {nearest(array, arrays.files)}")  # noqa: TRY301
                found = arrays[array]
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: {error}") from None
    if found.ndim != 2 or len(found) != rows or found.dtype not in (np.float16, np.float32):
        raise ValueError(
            f"{path}: {array} is {found.dtype} of shape {found.shape}, expected float16 or float32 "
            f"for the {rows} rows of its metadata"
        )
    if dim is not None and found.shape[1] != dim:
        raise ValueError(
            f"{path}: {array} has {found.shape[1]} dimensions, the encoder's have {dim}; they are "
            "another model's"
        )
    return found


def _absent(uids: pa.Array, is_number: np.ndarray, at_M: np.ndarray) -> list[str]:
    return uids.filter(pa.array(is_number)).filter(pa.array(at_M < 0)).to_pylist()


def _unit(
    vector_ND: np.ndarray, where: str, uids: pa.Array, *, normalise: bool
) -> Float16[np.ndarray, "N D"]:
    """The rows as they are where they are float16 of length one, else brought to it."""
    wide_ND = vector_ND.astype(np.float64)
    length_N = np.sqrt(np.einsum("nd,nd->n", wide_ND, wide_ND))
    usable_N = np.isfinite(length_N) & (length_N > 0)
    if not usable_N.all():
        raise ValueError(f"{where}: {uids[int(usable_N.argmin())]} is zero, NaN or infinite")
    off_N = np.abs(length_N - 1) > NORM_TOLERANCE
    if vector_ND.dtype == np.float16 and not off_N.any():
        return vector_ND
    if not normalise:
        worst = int(off_N.argmax())
        raise ValueError(
            f"{where}: {vector_ND.dtype}, {uids[worst]} of length {length_N[worst]:.4f}, expected "
            "float16 of length one; embed.normalise: true rescales all rows"
        )
    return (wide_ND / length_N[:, None]).astype(np.float16)
