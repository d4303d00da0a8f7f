"""The whole samples of a data set's shards: image, its type, and the JSON beside it.

``Manifest.images`` gives images alone, which is all that most stages need.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from clipcause.data import place, tar
from clipcause.data.manifest import Manifest, uid
from clipcause.data.shards import IMAGES, check_facts, split_name

LONGEST_JSON = 1 << 20  # bytes; what a downloader writes of a sample takes some hundred
LARGEST_IMAGE = 1 << 31  # bytes; no audit lets a larger one pass


class Original(NamedTuple):
    """A sample as its shard has it. ``facts`` is None where there is no JSON object to be read."""

    row: int
    extension: str
    image: bytes
    facts: dict[str, Any] | None


class _Found(NamedTuple):
    key: str
    extension: str
    size: int  # bytes that the image's header declares
    image: bytes | None
    facts: bytes | None


def originals(
    manifest: Manifest, position: int, wanted_M: Bool[np.ndarray, " M"]
) -> Iterator[Original]:
    """Yield the wanted ones of the M rows of a shard, in order; memory holds one sample.

    The file's size is compared with the manifest first, the hash of every image before it is
    yielded, and the shard's SHA-256 after the last one. Raises ``ValueError`` or
    ``FileNotFoundError`` with the shard and the key; what came before is not to be used then.
    """
    shard, path = manifest.shards[position], manifest.place(position)
    check_facts(path, shard, place.facts(path))
    start = manifest.starts[position]
    columns = manifest.shard_table(position, ["key", "uid"])
    key_M, uid_M = (columns[name].to_pylist() for name in ("key", "uid"))
    chosen = {key_M[index] for index in np.flatnonzero(wanted_M)}
    at = 0
    with place.opened(path) as stream:
        reader = tar.Reader(stream, hashed=True)
        try:
            for found in _found(reader, chosen, min(shard.bytes, LARGEST_IMAGE)):
                if at == len(key_M) or found.key != key_M[at]:
                    if manifest.source is not None:
                        continue  # it was dropped
                    raise ValueError(f"{path}: {found.key!r} is not in the manifest at its place")
                index, at = at, at + 1
                if not wanted_M[index]:
                    continue
                if found.image is None:
                    raise ValueError(
                        f"{path}: {found.key}: its image has {found.size:,} bytes by its header, "
                        "more than can be held; prepare the data set again"
                    )
                if uid_M[index] not in (None, uid(found.image)):
                    raise ValueError(
                        f"{path}: {found.key}: the image is not the one that the manifest is of; "
                        "prepare the data set again"
                    )
                facts = _decoded(found.facts)
                yield Original(start + index, found.extension.lower(), found.image, facts)
        except tar.TarError as error:
            # an audited tar may be damaged behind its last row
            if manifest.source is None or at < len(key_M):
                raise ValueError(f"{path}: {error}; prepare the data set again") from None
        if at != len(key_M):
            raise ValueError(
                f"{path}: {at} samples, the manifest has {len(key_M)}; the first without an image "
                f"has key {key_M[at]!r}"
            )
        digest, _ = reader.finish()
    if digest != shard.sha256:
        raise ValueError(
            f"{path}: SHA-256 {digest[:12]}…, the manifest says {shard.sha256[:12]}… "
            f"({shard.samples} samples); prepare the data set again"
        )


def _found(reader: tar.Reader, chosen: set[str], most: int) -> Iterator[_Found]:
    """The samples of a tar that have an image; contents of the chosen keys only.

    A sample is what the audit takes for one: a run of members of one key, none of an extension
    that the run has already. What comes of a key after its run is no sample. Of a run's images the
    first is read, where it has at most ``most`` bytes. A damage is raised after the last run.
    """
    key, run = "", dict[str, tar.Member]()
    over: set[str] = set()

    def is_read(name: str, size: int) -> bool:
        of, extension = split_name(name)
        if of not in chosen or of in over:
            return False
        begun = run if of == key else {}
        if extension in begun:
            return False
        if extension.lower() in IMAGES:
            return size <= most and _image(begun) is None
        return extension == "json" and size <= LONGEST_JSON

    damage: tar.TarError | None = None
    try:
        for member in tar.members(reader, is_read):
            of, extension = split_name(member.name)
            if member.kind != "file" or not extension or not of.rpartition("/")[2]:
                continue
            if of != key or extension in run:
                if key not in over:
                    yield from _whole(key, run)
                over.add(key)
                key, run = of, {}
            run[extension] = member
    except tar.TarError as error:
        damage = error
    if key not in over:
        yield from _whole(key, run)
    if damage is not None:
        raise damage


def _image(run: Mapping[str, tar.Member]) -> str | None:
    """The extension of the first image of a run."""
    return next((extension for extension in run if extension.lower() in IMAGES), None)


def _whole(key: str, run: Mapping[str, tar.Member]) -> Iterator[_Found]:
    """The sample of a run, none where it has no image."""
    extension = _image(run)
    if extension is not None:
        image, facts = run[extension], run.get("json")
        yield _Found(key, extension, image.size, image.content, facts and facts.content)


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
    return value
