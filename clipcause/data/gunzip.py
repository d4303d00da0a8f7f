"""A file that gzip made smaller, read forwards as what it was.

The standard library's ``GzipFile`` raises at a damage and keeps what it had unpacked of that call.
Here the stream ends there, at the same byte however it is read, so that what comes before a damage
can be used, and its hash is always the same.
"""

import io
import zlib

from clipcause.data.stream import Stream

PIECE = 1 << 16  # bytes that are unpacked at once, to 64 MiB at most
GZIP = 31  # zlib's word for a file with gzip's header and checksum


class Gunzip(io.RawIOBase):
    """What a compressed file holds, of all its members; ``stream`` is at its start."""

    def __init__(self, stream: Stream) -> None:
        self._stream: Stream = stream
        self._unpack = zlib.decompressobj(GZIP)
        self._held = b""

    def readable(self) -> bool:
        """It is read, and nothing else."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """``size`` bytes, fewer at the end or at a damage."""
        pieces, found = [self._held], len(self._held)
        while (size < 0 or found < size) and (piece := self._next()) is not None:
            pieces.append(piece)
            found += len(piece)
        whole = b"".join(pieces)
        size = len(whole) if size < 0 else size
        self._held = whole[size:]
        return whole[:size]

    def _next(self) -> bytes | None:
        packed = self._unpack.unused_data if self._unpack.eof else self._stream.read(PIECE)
        if self._unpack.eof:
            packed = packed or self._stream.read(PIECE)
            self._unpack = zlib.decompressobj(GZIP)
        if not packed:
            return None
        try:
            return self._unpack.decompress(packed)
        except zlib.error:
            self._stream = io.BytesIO()
            self._unpack = zlib.decompressobj(GZIP)
            return None
