"""The files of a clip-retrieval folder: which there are, their shapes, their values block by block.

``img_emb/img_emb_0.npy`` …, ``metadata/metadata_0.parquet`` …, numbered with leading zeros or
without, in a folder or under a URL.

Shapes: N rows of a block, D dimensions.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Float

from clipcause.data import place, signatures

VECTORS = re.compile(r"img_emb/img_emb_(\d+)\.npy")
METADATA = re.compile(r"metadata/metadata_(\d+)\.parquet")
STATS, LARGEST_STATS = "stats/{}.json", 1 << 16
BLOCK_ROWS = 1 << 13
TYPES = (np.dtype(np.float16), np.dtype(np.float32))


class Vectors(NamedTuple):
    """A part: its file below the folder, its shape, and where its values begin."""

    name: str
    rows: int
    dim: int
    dtype: np.dtype
    offset: int


def vectors(where: str) -> list[Vectors]:
    """The parts by number; all have one dimension, and are rows of float16 or float32."""
    parts = [one(where, name) for name in _numbered(where, VECTORS, "img_emb/img_emb_*.npy")]
    dims = {part.dim: part.name for part in parts}
    if len(dims) > 1:
        found = ", ".join(f"{name} has {dim}" for dim, name in dims.items())
        raise ValueError(f"{where}: parts differ in dimension: {found}")
    return parts


def metadata(where: str) -> list[str]:
    """The metadata's files by number, their names below the folder."""
    return _numbered(where, METADATA, "metadata/metadata_*.parquet")


def blocks(
    stream: BinaryIO, path: str, part: Vectors
) -> Iterator[tuple[Float[np.ndarray, "N D"], bytes]]:
    """Rows and their bytes, from the first value on; plain reads, for mapped pages stay."""
    stream.seek(part.offset)
    width = part.dim * part.dtype.itemsize
    for start in range(0, part.rows, BLOCK_ROWS):
        count = min(BLOCK_ROWS, part.rows - start)
        raw = stream.read(count * width)
        if len(raw) != count * width:
            raise ValueError(f"{path}: ends before row {start + count - 1}; fetch it again")
        yield np.frombuffer(raw, part.dtype).reshape(count, part.dim), raw
    if stream.read(1):
        raise ValueError(f"{path}: has more bytes than its {part.rows} rows; fetch it again")


def one(where: str, name: str) -> Vectors:
    path = place.join(where, name)
    with place.opened(path) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read: Any = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran, dtype = read(stream)
        except (ValueError, KeyError, EOFError) as error:
            what = signatures.called(place.beginning(path), signatures.NUMPY)
            why = f"it is {what}" if what else f"not a readable array: {error}; fetch it again"
            raise ValueError(f"{path}: {why}") from None
        offset = stream.tell()
    if dtype not in TYPES or len(shape) != 2 or fortran or not shape[1]:
        order = "Fortran" if fortran else "C"
        raise ValueError(
            f"{path}: {dtype} of shape {shape} in {order} order, expected rows of float16 in C"
            " order"
        )
    expected = offset + shape[0] * shape[1] * dtype.itemsize
    size = place.facts(path).bytes
    if size != expected:
        raise ValueError(f"{path}: {size} bytes, {shape} needs {expected}; fetch it again")
    return Vectors(name, shape[0], shape[1], dtype, offset)


def _numbered(where: str, pattern: re.Pattern[str], shown: str) -> list[str]:
    """Files by their number, which may have leading zeros; none may be missing or come twice."""
    found: dict[int, str] = {}
    listed = place.listing(where)
    for name in listed:
        if not (match := pattern.fullmatch(name)):
            continue
        number = int(match[1])
        if number in found:
            raise ValueError(f"{where}: {found[number]} and {name} are both part {number}")
        found[number] = name
    if not found:
        raise FileNotFoundError(f"{where}: no {shown}; is it a clip-retrieval folder?")
    missing = sorted(set(range(max(found) + 1)) - found.keys())
    missing = [one for one in missing if not _is_empty(where, one, listed)]
    if missing:
        number = missing[0]
        raise FileNotFoundError(
            f"{where}: part {number} of {shown} is missing ({len(found)} of {max(found) + 1} "
            f"there); where clip-retrieval found nothing for a part, stats/{number}.json says so "
            "(`{}`)"
        )
    return [found[number] for number in sorted(found)]


def _is_empty(where: str, number: int, listed: Collection[str]) -> bool:
    """Whether clip-retrieval's statistics say that a part has no row: it writes no files then."""
    name = STATS.format(number)
    if name not in listed:
        return False
    with place.opened(place.join(where, name)) as stream:
        try:
            return not json.loads(stream.read(LARGEST_STATS)).get("sample_count", 0)
        except (ValueError, AttributeError):
            return False


def check_numbers(where: str, parts: Sequence[Vectors], metadata: Sequence[str]) -> None:
    """Raise ``ValueError`` where vectors and metadata are not of the same parts."""
    of_vectors, of_metadata = (
        [int(re.findall(r"\d+", name)[-1]) for name in names]
        for names in ([part.name for part in parts], metadata)
    )
    if alone := {*of_vectors} ^ {*of_metadata}:
        raise ValueError(
            f"{where}: {len(parts)} parts of vectors, {len(metadata)} of metadata; of part "
            f"{min(alone)} only one is there"
        )
