"""Mapping on the threads of a pool, in order and not too far ahead."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def ahead(
    pool: Executor, function: Callable[[In], Out], items: Iterable[In], most: int
) -> Generator[Out]:
    """``map(function, items)`` on a pool, in order; at most ``most`` items are under way or wait.

    ``items`` is read as results are taken. What has not begun is cancelled where the caller stops.
    """
    waiting: deque[Future[Out]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
