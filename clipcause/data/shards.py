"""WebDataset tar shards: members of one sample share a key; bytes depend on content alone."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from clipcause.data import tar
from clipcause.data.place import Facts

IMAGES = ("jpg", "jpeg", "png", "webp")


class Shard(NamedTuple):
    """An entry of the manifest's shard list.

    ``mtime`` is that of a file that is read in place (nanoseconds), where it is to be compared;
    ``rows`` is a hash of the shard's rows, by which such a manifest is identified.
    """

    name: str
    sha256: str
    bytes: int
    samples: int
    mtime: int | None = None
    rows: str | None = None

    def entry(self) -> dict[str, Any]:
        """What the manifest lists: the fields that have a value."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class ShardWriter:
    """Writes one tar whose headers carry no time, user or machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tar = tarfile.open(path, "w", format=tarfile.GNU_FORMAT)  # noqa: SIM115

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tar.close()

    def add(
        self, key: str, extension: str, image: bytes, caption: str, label: str | None, facts: Any
    ) -> None:
        """Append the members of one sample: image, txt, json and, where it is labelled, cls."""
        self._member(f"{key}.{extension}", image)
        self._member(f"{key}.txt", caption.encode())
        text = json.dumps(facts, sort_keys=True, ensure_ascii=False, allow_nan=False)
        self._member(f"{key}.json", text.encode())
        if label is not None:
            self._member(f"{key}.cls", label.encode())

    def _member(self, name: str, content: bytes) -> None:
        header = tarfile.TarInfo(name)
        header.size = len(content)
        self._tar.addfile(header, io.BytesIO(content))


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def images(
    reader: tar.Reader, wanted: Callable[[str], bool] | None = None
) -> Iterator[tuple[str, bytes | None]]:
    """Yield key and bytes of every image of a tar in order; no bytes of keys that are not wanted.

    Raises ``clipcause.data.tar.TarError`` at a damage, after the images before it.
    """

    def is_read(name: str, _: int) -> bool:
        key, extension = split_name(name)
        return extension.lower() in IMAGES and (wanted is None or wanted(key))

    for member in tar.members(reader, is_read):
        key, extension = split_name(member.name)
        if member.kind == "file" and extension.lower() in IMAGES:
            yield key, member.content


def check_facts(path: str, shard: Shard, found: Facts) -> None:
    """Raise where a shard's file has another size, or time if it has one, than its entry says."""
    if found.bytes != shard.bytes:
        raise ValueError(
            f"{path}: {found.bytes} bytes, the manifest says {shard.bytes} "
            f"({shard.samples} samples); prepare the data set again"
        )
    if shard.mtime is not None and found.stamp != str(shard.mtime):
        raise ValueError(f"{path}: changed since it was prepared; prepare the data set again")


def split_name(name: str) -> tuple[str, str]:
    """Key and extension of a member: the extension begins at the file name's first dot."""
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return folder + slash + stem, extension
