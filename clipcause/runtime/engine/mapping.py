"""Which engine a mapping runs on."""

import importlib.util
from collections.abc import Generator, Iterable

from clipcause.runtime.engine import local
from clipcause.runtime.engine.task import Item, Out, Task, Where


def check(where: Where) -> None:
    """Raise ``ValueError`` where the engine cannot be had, before any work."""
    if where.kind == "ray" and importlib.util.find_spec("ray") is None:
        raise ValueError(
            "engine.kind is ray, and Ray is not installed: pip install 'clipcause[ray]', or set "
            "engine.kind to local"
        )
    if where.kind == "ray" and where.device == "cuda" and not where.gpus:
        raise ValueError(
            "engine.device is cuda and engine.gpus is 0: workers on Ray see the GPUs that they "
            "take; set engine.gpus to 1, or to a share of one"
        )


def mapped(
    task: Task[Item, Out], items: Iterable[Item], where: Where
) -> Generator[tuple[int, Out]]:
    """Yield (index of the item, result) as they finish, each once.

    Items are taken from ``items`` as workers become free, and at most two per worker are under
    way or waiting to be taken: memory holds that many results. An exception in a worker is raised
    here, with the item's name, after the results of the other workers' present items; a
    ``ValueError`` or ``OSError`` stays one. A local worker that dies is an ``OSError`` with the
    name of its item; items of a Ray actor that dies are given to others first.
    """
    check(where)
    if where.kind == "ray":
        from clipcause.runtime.engine import cluster

        return cluster.mapped(task, items, where)
    return local.mapped(task, items, where.workers)
