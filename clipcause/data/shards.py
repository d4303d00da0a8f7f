"""WebDataset tar shards: members of one sample share a key; bytes depend on content alone."""

import hashlib
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from clipcause.data import tar
from clipcause.data.member_index import Place
from clipcause.data.place import Facts

IMAGES = ("jpg", "jpeg", "png", "webp")
CLASSES = "classnames.txt"  # beside shards: the labels, a line each, whose positions `cls` says
UNLABELLED = -1  # as in STL-10


class Shard(NamedTuple):
    """An entry of the manifest's shard list.

    ``mtime`` is that of a file that is read in place (nanoseconds), where it is to be compared;
    ``rows`` is a hash of the shard's rows, by which such a manifest is identified. ``column`` is
    that of a Parquet file's pictures, and ``sha256`` then of its footer (``clipcause.data.cells``).
    """

    name: str
    sha256: str
    bytes: int
    samples: int
    mtime: int | None = None
    rows: str | None = None
    column: str | None = None

    def entry(self) -> dict[str, Any]:
        """What the manifest lists: the fields that have a value."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class ShardWriter:
    """Writes one tar whose headers carry no time, user or machine, by webdataset's writer.

    Members are handed to it one by one: of several it would write them in the order of their names,
    and readers that look ahead want the image first.
    """

    def __init__(self, path: Path) -> None:
        # here: it imports torch, which a stage that only reads should not wait for
        from webdataset.writer import TarWriter

        self.path = path
        self._file = path.open("wb")
        self._writer = TarWriter(
            self._file, user="", group="", mode=0o644, mtime=0, encoder=False, compress=False
        )
        # its own argument for this does nothing (webdataset 1.0.2)
        self._tar.format = tarfile.GNU_FORMAT

    @property
    def _tar(self) -> tarfile.TarFile:
        return self._writer.tarstream

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._writer.close()
        finally:
            self._file.close()

    def add(
        self, key: str, extension: str, image: bytes, caption: str, position: int | None, facts: Any
    ) -> Place:
        """Append the members of one sample: image, txt, json and, where the samples have classes,
        cls: the ``position`` of its class, for readers decode it as a number and as nothing else.
        """
        text = json.dumps(facts, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
        offset = self._member(key, extension, image)
        self._member(key, "txt", caption.encode())
        json_offset = self._member(key, "json", text)
        if position is not None:
            self._member(key, "cls", b"%d" % position)
        return Place(offset, len(image), extension, json_offset, len(text))

    def _member(self, key: str, extension: str, content: bytes) -> int:
        """Append one member; where its content begins."""
        self._writer.write({"__key__": key, extension: content})
        return self._tar.offset - len(content) - -len(content) % tar.BLOCK


def write_classes(folder: Path, labels: Iterable[str]) -> None:
    """Write the list of labels. Raises ``ValueError`` for one that is more lines than one."""
    lines = list(labels)
    for label in lines:
        if label.splitlines() != [label]:
            raise ValueError(f"{folder / CLASSES}: the label {label!r} is no line of a file")
    (folder / CLASSES).write_text("".join(f"{label}\n" for label in lines), "utf-8")


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


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
