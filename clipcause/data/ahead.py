"""Parts of an object that are fetched before they are needed, and read as one file.

A store answers each request after a while, and many at once as soon as one. So a few threads ask
for the next parts while what is there is used. They are a reading's own and end with it, however
it ends; a process that is forked meanwhile must begin a reading of its own.
"""

import io
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

BLOCK = 1 << 22  # bytes that one request asks for
WINDOW = 1 << 25  # bytes that are held: being fetched, waiting, and in use
THREADS = WINDOW // BLOCK

Range = tuple[int, int]  # start and end, in bytes


def blocks(size: int) -> Iterator[Range]:
    """All of an object of ``size`` bytes."""
    return ((start, min(start + BLOCK, size)) for start in range(0, size, BLOCK))


def fetched(
    fetch: Callable[[int, int], bytes], ranges: Iterable[Range]
) -> Generator[tuple[int, bytes]]:
    """Yield of every range where it starts and its content, which ``fetch(start, end)`` gives.

    Threads call it, for ``WINDOW`` bytes at most from the range on that was yielded last, or for
    one range that is larger. What it raises is raised where that range is due, after those before
    it. A generator that is closed gives up what waits, and waits for what is under way.
    """
    waiting, held = deque[tuple[Range, Future[bytes]]](), 0
    rest = iter(ranges)
    coming = next(rest, None)
    threads = ThreadPoolExecutor(THREADS, "read-ahead")
    try:
        while coming or waiting:
            while coming and (not waiting or held + coming[1] - coming[0] <= WINDOW):
                waiting.append((coming, threads.submit(fetch, *coming)))
                held += coming[1] - coming[0]
                coming = next(rest, None)
            (start, end), content = waiting[0]
            yield start, content.result()
            waiting.popleft()
            held -= end - start
    finally:
        threads.shutdown(cancel_futures=True)


class Ahead(io.RawIOBase):
    """What ``fetched`` yields as a file that is read forwards, and ends where a part is missing."""

    def __init__(self, parts: Generator[tuple[int, bytes]]) -> None:
        self._parts = parts
        self._part, self._start = b"", 0  # that is read from, and where in the file it starts
        self._at = 0

    def readable(self) -> bool:
        """It is read, and nothing else."""
        return True

    def seekable(self) -> bool:
        """Forwards."""
        return True

    def tell(self) -> int:
        """The position in the file, bytes from its start."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Pass over what is not needed; parts that lie there have been fetched nonetheless.

        Raises ``io.UnsupportedOperation`` for a way back, and from the end.
        """
        target = offset + (self._at if whence == io.SEEK_CUR else 0)
        if whence == io.SEEK_END or target < self._at:
            raise io.UnsupportedOperation("what is read ahead is read forwards")
        self._at = target
        return target

    def read(self, size: int = -1, /) -> bytes:
        """``size`` bytes, fewer at the end."""
        pieces, left = [], size
        while left and (piece := self._piece(left)):
            pieces.append(piece)
            left -= len(piece) if left > 0 else 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """End the threads, after the requests that are under way."""
        self._parts.close()
        super().close()

    def _piece(self, most: int) -> bytes:
        """What the part at the position has from there on, ``most`` bytes of it, or all below 0."""
        while (begin := self._at - self._start) >= len(self._part):
            following = next(self._parts, None)
            if following is None:
                return b""
            self._start, self._part = following
        if begin < 0:  # the part before this one ended early, or this place was not asked for
            return b""
        piece = self._part[begin : begin + most if most >= 0 else None]
        self._at += len(piece)
        return piece
