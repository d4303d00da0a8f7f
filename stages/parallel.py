"""Mapping a function over many small items on all cores of one machine, in order."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")
CHUNK = 64


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(function: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
    """``map(function, items)`` on processes; results come in the order of ``items``.

    The number of processes changes nothing but the time. An exception of a worker is raised here.
    ``function`` must be importable (a module's top level).
    """
    workers = cores()
    if workers == 1:
        yield from map(function, items)
        return
    # forkserver: forking a process that has threads (torch, Arrow) may deadlock
    context = multiprocessing.get_context("forkserver")
    with context.Pool(workers) as pool:
        yield from pool.imap(function, items, chunksize=CHUNK)
