"""Where data lies that is read in place: a folder of this machine, or a URL that fsspec opens.

The driver of an object store is a package of its own; ``check`` names it before any work. Files of
data sets on the Hugging Face hub are fetched whole and kept (``clipcause.data.hub``).
"""

import os
from bisect import bisect_right
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import fsspec
from fsspec.spec import AbstractFileSystem
from fsspec.utils import merge_offset_ranges

from clipcause.data import ahead, hub, signatures, tree
from clipcause.data.gunzip import Gunzip
from clipcause.data.stream import Reader

READ_AHEAD = 1 << 23  # bytes that one request to an object store asks for, one after another
GAP = 1 << 21  # bytes that are fetched in about the time that a request waits for its answer
BUFFER = 1 << 20
COMPRESSED = (".tar.gz", ".tgz")
LOCAL = ("file://", "local://")
HTTP = ("http://", "https://")
PACKAGES = {
    "s3": "s3fs (pip install 'clipcause[s3]')",
    "s3a": "s3fs (pip install 'clipcause[s3]')",
    "gs": "gcsfs (pip install 'clipcause[gcs]')",
    "gcs": "gcsfs (pip install 'clipcause[gcs]')",
    "hf": "huggingface_hub",
    "az": "adlfs",
    "abfs": "adlfs",
}
# what file systems call the time or the version of a file, the surest first
STAMPS = ("ETag", "etag", "md5Hash", "blob_id", "mtime", "LastModified", "updated", "created")


class Facts(NamedTuple):
    """What a listing says of a file: size, and a stamp (a time, an ETag) that changes with it."""

    bytes: int
    stamp: str


def is_url(place: str) -> bool:
    """Whether fsspec opens it; everything else is a path."""
    return "://" in place


def join(place: str, name: str) -> str:
    """The place of a file in a folder or under a URL."""
    return f"{place.rstrip('/')}/{name}" if place.strip("/") else f"{place}{name}"


def check(place: str) -> None:
    """Raise ``ValueError`` where the URL's file system is unknown or its package is missing."""
    if not is_url(place):
        return
    if hub.is_hub(place):
        hub.address(place)
        return
    kind = place.partition("://")[0]
    try:
        fsspec.get_filesystem_class(kind)
    except ImportError as error:
        needed = PACKAGES.get(kind, str(error))
        raise ValueError(f"{place}: reading {kind}:// needs a package: {needed}") from None
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def facts(path: str) -> Facts:
    """Size and stamp of one file; ``FileNotFoundError`` where it is not there."""
    if not is_url(path):
        try:
            status = Path(path).stat()
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: not found") from None
        return Facts(status.st_size, str(status.st_mtime_ns))
    if hub.is_hub(path):
        return Facts(*hub.file(path))
    check(path)
    system, inner = fsspec.url_to_fs(path)
    try:
        return _facts(system.info(inner))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: not found") from None


def listing(place: str, *, again: bool = False) -> dict[str, Facts]:
    """All files below a folder or URL: relative name (with slashes) and facts, sorted by name.

    Links of this machine are followed, to folders too; one to a folder that it is in is passed by.
    What a commit of the hub has is remembered, and looked at ``again`` where that is wanted.
    """
    check(place)
    if not is_url(place):
        root = Path(place)
        if not root.is_dir():
            raise FileNotFoundError(f"{place}: no such folder")
        names = [one.name.as_posix() for one in tree.files(root) if one.why != tree.CIRCLE]
        return {name: facts(str(root / name)) for name in sorted(names)}
    if hub.is_hub(place):
        found = hub.listing(place, again=again)
        return {name: Facts(*said) for name, said in found.items()}
    system, inner = fsspec.url_to_fs(place)
    system.invalidate_cache()  # drivers keep listings as long as the process lives
    root = inner.rstrip("/")
    listed: dict[str, Any] = system.find(inner, detail=True)
    if not listed:
        raise FileNotFoundError(f"{place}: nothing there")
    return {name[len(root) :].lstrip("/"): _facts(info) for name, info in sorted(listed.items())}


@contextmanager
def opened(
    path: str, size: int | None = None, spans: Sequence[ahead.Range] | None = None
) -> Generator[BinaryIO]:
    """A file to read from its start, a compressed tar as the tar that it is; an object store is
    read in large pieces.

    Of a file whose ``size`` in bytes is said, pieces are fetched ahead by threads: all of it, or
    the ``spans`` that will be read, from start to end in bytes, which ascend. Other parts of it are
    not there then.
    """
    with _opened(path, size, None if is_compressed(path) else spans) as stream:
        if not is_compressed(path):
            yield stream
            return
        yield cast(BinaryIO, Gunzip(stream))


def is_compressed(path: str) -> bool:
    """Whether a file is a tar that gzip made smaller. It is read from its start whatever is wanted
    of it, so that single pictures of it cost as much as all."""
    return path.endswith(COMPRESSED)


def beginning(path: str) -> bytes:
    """The first bytes of a file as it lies there (``signatures.FIRST``)."""
    with _opened(path) as stream:
        return stream.read(signatures.FIRST)


def pieces(path: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
    """A few parts of a file, from start to end in bytes, which ascend; shorter where it ends.

    A compressed tar is read up to the last of them.

    Of an object store, parts with a short gap between them are one request, and nothing is read
    ahead.
    """
    if is_compressed(path):
        found = []
        with opened(path) as stream:
            reader = Reader(stream, hashed=False)
            for start, end in spans:
                reader.skip(start - reader.position)
                found.append(reader.read(end - start))
        return found
    if not is_url(path):
        with Path(path).open("rb") as stream:
            return [os.pread(stream.fileno(), end - start, start) for start, end in spans]
    if hub.is_hub(path):
        with hub.opened(path) as stream:
            return [os.pread(stream.fileno(), end - start, start) for start, end in spans]
    check(path)
    system, inner = fsspec.url_to_fs(path)
    ranges = _merged(spans, READ_AHEAD)
    starts, ends = [start for start, _ in ranges], [end for _, end in ranges]
    blocks = system.cat_ranges([inner] * len(ranges), starts, ends, on_error="raise")
    which = [bisect_right(starts, start) - 1 for start, _ in spans]
    return [
        blocks[block][start - starts[block] : end - starts[block]]
        for block, (start, end) in zip(which, spans, strict=True)
    ]


def _merged(spans: Sequence[ahead.Range], most: int) -> list[ahead.Range]:
    """The requests for some parts of a file: those with a short gap between them are one, of
    ``most`` bytes or of one part that is longer."""
    firsts: list[int | None] = [start for start, _ in spans]
    lasts: list[int | None] = [end for _, end in spans]
    _, starts, ends = merge_offset_ranges(
        [""] * len(spans), firsts, lasts, max_gap=GAP, max_block=most
    )
    return [(start, end) for start, end in zip(starts, ends, strict=True) if end is not None]


@contextmanager
def _opened(
    path: str, size: int | None = None, spans: Sequence[ahead.Range] | None = None
) -> Generator[BinaryIO]:
    if not is_url(path):
        with Path(path).open("rb", buffering=BUFFER) as stream:
            yield stream
        return
    if hub.is_hub(path):
        with hub.opened(path, BUFFER) as stream:
            yield stream
        return
    check(path)
    if size is not None and size > READ_AHEAD and _gives_parts(path):
        ranges = ahead.blocks(size) if spans is None else _merged(spans, ahead.BLOCK)
        with ahead.Ahead(ahead.fetched(partial(_part, path), ranges)) as stream:
            yield cast(BinaryIO, stream)
        return
    with fsspec.open(path, "rb", block_size=READ_AHEAD, cache_type="readahead") as stream:
        yield stream


def _gives_parts(path: str) -> bool:
    """Whether a driver asks for a part of a file and no more, and gets it."""
    if path.startswith(LOCAL):
        return False
    system, inner = fsspec.url_to_fs(path)
    if path.startswith(HTTP):
        return system.info(inner).get("partial", True)
    # else it opens the file, and reads beyond what it is asked for
    return system.async_impl or type(system).cat_file is not AbstractFileSystem.cat_file


def _part(path: str, start: int, end: int) -> bytes:
    """A part of an object. Raises ``OSError`` where the server sends all of it instead."""
    # in the thread that asks: drivers that may not be shared by threads are made anew in each
    system, inner = fsspec.url_to_fs(path)
    content = system.cat_file(inner, start=start, end=end)
    if len(content) > end - start:
        raise OSError(
            f"{path}: {len(content):,} bytes where {end - start:,} were asked for: its server "
            "sends no parts of files; use one that does, or fetch the file"
        )
    return content


def _facts(info: dict[str, Any]) -> Facts:
    stamp = next((str(info[name]) for name in STAMPS if info.get(name) is not None), "")
    return Facts(int(info["size"] or 0), stamp)
