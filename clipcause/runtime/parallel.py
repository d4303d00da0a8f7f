"""Mapping a function over many small items on all cores of one machine, in order."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from clipcause.runtime.engine import local

In = TypeVar("In")
Out = TypeVar("Out")
CHUNK = 64
AHEAD = 8  # chunks for each process that may be under way or wait for an earlier one


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
    found = local.mapped(_Chunks(function), _chunks(items), workers, ahead=AHEAD * workers)
    waiting: dict[int, list[Out]] = {}
    following = 0
    with closing(found):
        for index, chunk in found:
            waiting[index] = chunk
            while following in waiting:
                yield from waiting.pop(following)
                following += 1


@dataclass(frozen=True)
class _Chunks(Generic[In, Out]):
    """A task of the engine: the function over some items, for one at a time costs more to send."""

    function: Callable[[In], Out]

    def start(self) -> None:
        """Nothing is loaded."""

    def __call__(self, chunk: list[In], /) -> list[Out]:
        return [self.function(item) for item in chunk]

    def name(self, _: list[In], /) -> str:
        """They have none: the function's own errors say what they are about."""
        return ""


def _chunks(items: Iterable[In]) -> Iterator[list[In]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
