"""Mapping a function over many small items on all cores of one machine, in order."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.process import BaseProcess
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")
CHUNK = 64
AHEAD = 8  # chunks under way for each process: enough to keep it busy, few enough for memory


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(
    function: Callable[[In], Out], items: Iterable[In], workers: int | None = None
) -> Iterator[Out]:
    """``map(function, items)`` on processes (all cores); results come in the order of ``items``.

    The number of processes changes nothing but the time. An exception of a worker is raised here,
    and so is its death, as an OSError. ``function`` must be importable (a module's top level).
    """
    workers = workers or cores()
    if workers == 1:
        yield from map(function, items)
        return
    # forkserver: forking a process that has threads (torch, Arrow) may deadlock
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(workers, context, initializer=follow) as pool:
        waiting: deque[Future[list[Out]]] = deque()
        try:
            for chunk in _chunks(items):
                waiting.append(pool.submit(_apply, function, chunk))  # ty: ignore[invalid-argument-type]
                if len(waiting) >= AHEAD * workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        except BrokenProcessPool:
            raise OSError(
                "a worker process died (out of memory, or a crash in a library); look at the "
                "machine's log, and run again: finished work is kept where the stage keeps any"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def follow() -> None:
    """In a worker: end when the process ends that started it.

    Workers wait on a pipe of which they hold both ends: when the stage is killed, they would wait
    for ever.
    """
    # Ctrl-C is for the stage, which ends its workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=[parent], daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _apply(function: Callable[[In], Out], chunk: list[In]) -> list[Out]:
    return [function(item) for item in chunk]


def _chunks(items: Iterable[In]) -> Iterator[list[In]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
