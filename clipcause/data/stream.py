"""A file or object that is read once, forwards, with its hash on the way."""

import hashlib
from typing import Protocol, runtime_checkable

PIECE = 1 << 20


@runtime_checkable
class Stream(Protocol):
    """A binary file; those of fsspec are none by their type."""

    def read(self, size: int = -1, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def seekable(self) -> bool: ...


class Reader:
    """A stream that is read once from its start, with its SHA-256 where ``hashed``."""

    def __init__(self, stream: Stream, *, hashed: bool) -> None:
        self._stream = stream
        self._hash = hashlib.sha256() if hashed else None
        self.position = 0

    def read(self, size: int) -> bytes:
        """``size`` bytes, fewer at the end; the caller has checked that so many may be held."""
        content = self._stream.read(size)
        while 0 < len(content) < size and (more := self._stream.read(size - len(content))):
            content += more
        self._count(content)
        return content

    def skip(self, size: int) -> int:
        """Pass over ``size`` bytes; how many there were (unknown where they are not hashed)."""
        if self._hash is None and self._stream.seekable():
            self._stream.seek(size, 1)
            self.position += size
            return size
        left = size
        while left > 0 and (piece := self._stream.read(min(left, PIECE))):
            self._count(piece)
            left -= len(piece)
        return size - left

    def finish(self) -> tuple[str, bool]:
        """Read on to the end: the SHA-256 of all bytes, and whether any of the rest was not 0."""
        if self._hash is None:
            raise ValueError("a reader without a hash has no digest")
        more = False
        while piece := self._stream.read(PIECE):
            self._count(piece)
            more = more or piece.count(0) != len(piece)
        return self._hash.hexdigest(), more

    def _count(self, content: bytes) -> None:
        self.position += len(content)
        if self._hash is not None:
            self._hash.update(content)
