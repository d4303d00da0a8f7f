"""Reading tars that come from the web: once, from the start, with nothing written or followed.

Headers are parsed by the standard library, one block each; its ``TarFile`` is not used, because it
takes a damaged header in the middle for the end of the archive and reads extended headers of any
declared size. Here a damage is an error that says where it is, no size that a header declares is
allocated before it has passed a limit, and what is no ordinary file comes out as such.
"""

import tarfile
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from clipcause.data.stream import Reader

BLOCK = tarfile.BLOCKSIZE
LARGEST = 1 << 50  # bytes of a member; what declares more is no header
LONGEST_NAME = 1 << 16  # bytes of an extended header; names and times need a few hundred
FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
WITHOUT_DATA = (
    *(tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE),
    *(tarfile.FIFOTYPE, tarfile.DIRTYPE),
)
LONG_NAME = tarfile.GNUTYPE_LONGNAME
PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
SKIPPED = (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK)
KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a pipe",
}


class TarError(ValueError):
    """A tar that cannot be read on; the message says at which byte and why."""


class TruncatedTarError(TarError):
    """A tar that ends before its end mark."""


class Member(NamedTuple):
    """One member. ``content`` is None where it was not wanted; bytes of a name that are not UTF-8
    are surrogates. ``what`` says what an ``other`` is (a symbolic link, a device), ``offset`` where
    the content of a file begins."""

    name: str
    kind: Literal["file", "folder", "other"]
    size: int
    content: bytes | None = None
    what: str = ""
    offset: int = 0


def members(reader: Reader, wanted: Callable[[str, int], bool]) -> Iterator[Member]:
    """Yield the members in order; contents are read where ``wanted(name, size)`` says so.

    ``wanted`` must refuse sizes that memory should not hold. Raises ``TarError`` at a damage,
    after the members before it.
    """
    while (member := _next(reader, wanted)) is not None:
        yield member


def _next(reader: Reader, wanted: Callable[[str, int], bool]) -> Member | None:
    """The next member, None at the end mark."""
    name: str | None = None
    size: int | None = None
    sparse = False
    while True:
        at = reader.position
        block = reader.read(BLOCK)
        if len(block) < BLOCK:
            where = f"cut off at byte {at + len(block)}"
            raise TruncatedTarError(f"{where}, without an end mark")
        if block.count(0) == BLOCK:
            if name is not None or size is not None:
                raise TarError(f"an extended header at the end, before byte {at}")
            return None
        header = _header(block, at)
        if header.type in (LONG_NAME, *PAX):
            text = _extended(reader, header, at)
            if header.type == LONG_NAME:
                name = text.rstrip(b"\0").decode("utf-8", "surrogateescape")
                continue
            records = _records(text, at)
            path = records.get(b"path")
            name = path.decode("utf-8", "surrogateescape") if path is not None else name
            size = _size(records[b"size"], at) if b"size" in records else size
            sparse = sparse or any(key.startswith(b"GNU.sparse") for key in records)
            continue
        if header.type in SKIPPED:
            _skip(reader, header.size, header.name)
            continue
        if header.type == tarfile.GNUTYPE_SPARSE:
            raise TarError(f"{header.name!r} at byte {at} is a sparse member, which is not read")
        name = header.name if name is None else name
        return _member(reader, header, name, header.size if size is None else size, wanted, sparse)


def _member(
    reader: Reader,
    header: tarfile.TarInfo,
    name: str,
    size: int,
    wanted: Callable[[str, int], bool],
    sparse: bool,
) -> Member:
    if header.type in WITHOUT_DATA:
        if header.type == tarfile.DIRTYPE:
            return Member(name, "folder", 0)
        return Member(name, "other", 0, what=KINDS[header.type])
    if header.type not in FILES or sparse:
        _skip(reader, size, name)
        what = "a sparse file" if sparse else f"a member of type {header.type!r}"
        return Member(name, "other", size, what=what)
    offset = reader.position
    if not wanted(name, size):
        _skip(reader, size, name)
        return Member(name, "file", size, offset=offset)
    content = reader.read(size)
    if len(content) < size:
        raise TruncatedTarError(f"cut off inside {name!r}, {len(content)} of {size} bytes")
    reader.skip(-size % BLOCK)
    return Member(name, "file", size, content, offset=offset)


def _header(block: bytes, at: int) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise TarError(f"no tar header at byte {at} ({error})") from None
    if not 0 <= header.size <= LARGEST:
        raise TarError(f"{header.name!r} at byte {at} has a size of {header.size}")
    return header


def _extended(reader: Reader, header: tarfile.TarInfo, at: int) -> bytes:
    if header.size > LONGEST_NAME:
        raise TarError(f"an extended header of {header.size} bytes at byte {at}")
    text = reader.read(header.size)
    if len(text) < header.size:
        raise TruncatedTarError(f"cut off in an extended header at byte {at}")
    reader.skip(-header.size % BLOCK)
    return text


def _records(text: bytes, at: int) -> dict[bytes, bytes]:
    """The records of a pax header: ``length key=value`` and a line end each."""
    records: dict[bytes, bytes] = {}
    start = 0
    while start < len(text) and text[start] != 0:
        length, space, _ = text[start : start + 20].partition(b" ")
        if not space or not length.isdigit() or not len(length) + 2 < int(length):
            raise TarError(f"a damaged extended header at byte {at}")
        record = text[start + len(length) + 1 : start + int(length)]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise TarError(f"a damaged extended header at byte {at}")
        records[key] = value[:-1]
        start += int(length)
    return records


def _size(text: bytes, at: int) -> int:
    if not text.isdigit() or len(text) > 15:
        raise TarError(f"an extended header at byte {at} with a size of {text[:20]!r}")
    return int(text)


def _skip(reader: Reader, size: int, name: str) -> None:
    passed = reader.skip(size)
    if passed < size:
        raise TruncatedTarError(f"cut off inside {name!r}, {passed} of {size} bytes")
    reader.skip(-size % BLOCK)
