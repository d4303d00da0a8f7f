"""WebDataset tar shards: members of one sample share a key; bytes depend on content alone."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

IMAGES = ("jpg", "jpeg", "png", "webp")
BLOCK = 1 << 22


class Shard(NamedTuple):
    """An entry of the manifest's shard list."""

    name: str
    sha256: str
    bytes: int
    samples: int


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


def images(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield key and bytes of every image of a shard in order; a damaged tar is an error."""
    seen = 0
    try:
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # ty: ignore[missing-attribute] - it would keep every header
                key, _, extension = _split(member.name)
                if not member.isfile() or extension.lower() not in IMAGES:
                    continue
                stream = tar.extractfile(member)
                content = stream.read() if stream else b""
                if len(content) != member.size:
                    raise ValueError(
                        f"{path}: cut off inside {member.name!r}, after {seen} images; "
                        "make the data set again"
                    )
                seen += 1
                yield key, content
    except tarfile.TarError as error:
        raise ValueError(
            f"{path}: damaged tar after {seen} images: {error}; make the data set again"
        ) from None


def check_size(path: Path, shard: Shard) -> None:
    """Raise where a shard file is missing or has another size than its entry says."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: not found; the manifest lists it")
    size = path.stat().st_size
    if size != shard.bytes:
        raise ValueError(
            f"{path}: {size} bytes, the manifest says {shard.bytes} ({shard.samples} samples); "
            "prepare the data set again"
        )


def verify(path: Path, shard: Shard) -> None:
    """Raise where a shard file has another size or SHA-256 than its entry says."""
    check_size(path, shard)
    found = digest(path)
    if found != shard.sha256:
        raise ValueError(
            f"{path}: SHA-256 {found[:12]}…, the manifest says {shard.sha256[:12]}… "
            f"({shard.samples} samples); prepare the data set again"
        )


def _split(name: str) -> tuple[str, str, str]:
    """Key and extension of a member: the extension begins at the file name's first dot."""
    folder, slash, base = name.rpartition("/")
    stem, dot, extension = base.partition(".")
    return folder + slash + stem, dot, extension
