"""The whole samples of a data set's shards: image, its type, and the JSON beside it.

``Manifest.images`` gives images alone, which is all that most stages need.
"""

import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from clipcause.data import cells
from clipcause.data.manifest import Manifest, Sought, checked, content
from clipcause.data.stream import Reader


class Original(NamedTuple):
    """A sample as its shard has it. ``facts`` is None where there is no JSON object to be read."""

    row: int
    extension: str
    image: bytes
    facts: dict[str, Any] | None


def originals(
    manifest: Manifest, position: int, wanted_M: Bool[np.ndarray, " M"]
) -> Iterator[Original]:
    """Yield the wanted ones of the M rows of a shard, in order; memory holds one sample.

    The file's size is compared with the manifest first, the hash of every image before it is
    yielded, and a tar's SHA-256 after the last one. The facts of a Parquet
    file are its other columns. Raises ``ValueError`` or ``FileNotFoundError`` with the shard and
    the key; what came before is not to be used then.
    """
    path, start = manifest.place(position), manifest.starts[position]
    chosen_K = np.flatnonzero(wanted_M)
    places = manifest.members(position).take(chosen_K).to_pylist()
    columns = manifest.identities(position).take(chosen_K)
    if manifest.shards[position].column is not None:
        rows = [place["offset"] for place in places]
        read = cells.samples(*manifest.parquet(position), rows)
        every = zip(chosen_K, places, columns.to_pylist(), read, strict=True)
        for index, place, known, (found, facts) in every:
            sought = Sought(start + int(index), **known, offset=place["offset"], size=place["size"])
            image = checked(found or b"", path, sought)
            yield Original(sought.row, place["extension"], image, _storable(facts))
        return
    with manifest.reading(position) as reader:
        for index, place, known in zip(chosen_K, places, columns.to_pylist(), strict=True):
            sought = Sought(start + int(index), **known, offset=place["offset"], size=place["size"])
            # what a downloader writes beside an image comes before it or after it
            before = place["json_offset"] is not None and place["json_offset"] < place["offset"]
            facts = _json(reader, place) if before else None
            image = content(reader, path, sought)
            facts = facts if before else _json(reader, place)
            yield Original(sought.row, place["extension"], image, _decoded(facts))


def _json(reader: Reader, place: dict[str, Any]) -> bytes | None:
    if place["json_offset"] is None:
        return None
    reader.skip(place["json_offset"] - reader.position)
    return reader.read(place["json_size"])


def _decoded(content: bytes | None) -> dict[str, Any] | None:
    """A JSON object that can be written again: what JSON has no number for (NaN, 1e999) is None,
    half of a character of two is its escape."""
    if content is None:
        return None
    try:
        facts = _storable(json.loads(content, parse_constant=lambda _: None, parse_float=_finite))
    except (ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) else None


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_storable(one) for one in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(one) for name, one in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int) else str(value)
