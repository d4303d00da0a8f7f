"""The whole samples of a data set's shards: image, its type, and the JSON beside it.

``Manifest.images`` gives images alone, which is all that most stages need.
"""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from stages.artifacts import place, tar
from stages.artifacts.manifest import Manifest, uid
from stages.artifacts.shards import IMAGES, check_facts, split_name

LONGEST_JSON = 1 << 20  # bytes; what a downloader writes of a sample takes some hundred


class Original(NamedTuple):
    """A sample as its shard has it. ``facts`` is None where there is no JSON object to be read."""

    row: int
    extension: str
    image: bytes
    facts: dict[str, Any] | None


class _Found(NamedTuple):
    key: str
    extension: str
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
            for found in _found(reader, chosen):
                if at == len(key_M) or found.key != key_M[at]:
                    if manifest.source is not None:
                        continue  # it was dropped
                    raise ValueError(f"{path}: {found.key!r} is not in the manifest at its place")
                index, at = at, at + 1
                if not wanted_M[index] or found.image is None:
                    continue
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


def _found(reader: tar.Reader, chosen: set[str]) -> Iterator[_Found]:
    """The samples of a tar that have an image; contents of the chosen keys only."""

    def is_read(name: str, size: int) -> bool:
        key, extension = split_name(name)
        if key not in chosen:
            return False
        return extension.lower() in IMAGES or (extension == "json" and size <= LONGEST_JSON)

    files = (one for one in tar.members(reader, is_read) if one.kind == "file")
    for key, members in groupby(files, lambda member: split_name(member.name)[0]):
        image: tuple[str, bytes | None] | None = None
        facts = None
        for member in members:
            extension = split_name(member.name)[1]
            if extension.lower() in IMAGES:
                image = image or (extension, member.content)
            elif extension == "json":
                facts = member.content
        if image is not None:
            yield _Found(key, *image, facts)


def _decoded(content: bytes | None) -> dict[str, Any] | None:
    if content is None:
        return None
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) else None
