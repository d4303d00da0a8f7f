"""A few images of a data set, quickly: headers of tars are read as numbers in a file in memory.

The reader of the other stages parses every header in full, which takes 50 microseconds each and
seven seconds for the 350 pictures of a page. What is found here is checked as there, by the hash of
each image; what is no plain tar beside its manifest, or does not fit, is left to that reader, which
says what is wrong.
"""

import mmap
import tarfile
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from clipcause.data.manifest import Manifest, uid
from clipcause.data.shards import IMAGES, split_name
from clipcause.data.tar import BLOCK

NAME, SIZE, KIND, MAGIC, PREFIX = (
    slice(0, 100),
    slice(124, 136),
    slice(156, 157),
    slice(257, 262),
    slice(345, 500),
)


def images(source: Manifest, rows: Sequence[int]) -> list[bytes]:
    """The image bytes of rows, in their order; errors are those of ``Manifest.image``."""
    found: dict[int, bytes] = {}
    if source.source is None:
        positions = np.searchsorted(source.starts, rows, side="right") - 1
        for position in np.unique(positions):
            inside = [row for row, at in zip(rows, positions, strict=True) if at == position]
            found |= _of_shard(source, int(position), inside)
    rest = [row for row in rows if row not in found]
    found |= dict(zip(rest, source.image(rest), strict=True))
    return [found[row] for row in rows]


def _of_shard(source: Manifest, position: int, rows: Sequence[int]) -> dict[int, bytes]:
    """The rows of one shard whose images were found and are the manifest's."""
    path = Path(source.place(position))
    if not path.is_file() or path.stat().st_size != source.shards[position].bytes:
        return {}
    columns = source.shard_table(position, ["key", "uid"])
    start = source.starts[position]
    key_of = {columns["key"][row - start].as_py(): row for row in rows}
    content = members(path, key_of)
    return {
        row: content[key]
        for key, row in key_of.items()
        if key in content and uid(content[key]) == columns["uid"][row - start].as_py()
    }


def members(path: Path, keys: Collection[str]) -> dict[str, bytes]:
    """The images of the samples ``keys``, as far as the tar is plain and has them.

    It ends where a header is none of an ordinary file.
    """
    found: dict[str, bytes] = {}
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as tar:
        at = 0
        while at + BLOCK <= len(tar) and len(found) < len(keys):
            header = tar[at : at + BLOCK]
            digits = header[SIZE].rstrip(b" \0")
            is_plain = header[MAGIC] == b"ustar" and header[KIND] == tarfile.REGTYPE
            if not is_plain or header[PREFIX].strip(b"\0") or not digits.isdigit():
                break
            try:
                size = int(digits, 8)
                key, extension = split_name(header[NAME].partition(b"\0")[0].decode())
            except ValueError:
                break
            begin = at + BLOCK
            if key in keys and extension.lower() in IMAGES:
                found[key] = tar[begin : begin + size]
            at = begin + size + -size % BLOCK
    return found
