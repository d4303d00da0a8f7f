"""Work over shards that survives being killed: finished shards are kept, and never done again."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from clipcause.runtime import code
from clipcause.runtime import shard_cache as cache
from clipcause.runtime.engine.mapping import check, mapped
from clipcause.runtime.engine.task import Item, Out, Task, Where
from clipcause.runtime.notices import notice
from clipcause.runtime.progress import progress
from clipcause.runtime.shard_cache import Store


def shardwise(
    task: Task[Item, Out],
    items: Iterable[Item],
    *,
    key: Callable[[Item], str],
    store: Store[Out],
    where: Where,
    label: str,
) -> Iterator[Out]:
    """The results of ``items`` in their order, kept in the shard cache.

    ``key(item)`` names all that decides the item's result beside the code of the task, which is
    added: the parameters, the versions, the shard's hash (``runtime.shard_cache.key``). Results in
    the cache are loaded when their turn comes; the others are computed by the engine's workers and
    stored as soon as they arrive, so that memory holds a few results per worker however many shards
    there are. A damaged entry is made again. Raises as ``mapped``, and ``ValueError`` at once where
    the engine cannot be had.
    """
    check(where)
    return _results(task, list(items), key, store, where, label)


def _results(
    task: Task[Item, Out],
    items: list[Item],
    key: Callable[[Item], str],
    store: Store[Out],
    where: Where,
    label: str,
) -> Iterator[Out]:
    made_by = code.of(type(task).__module__)
    paths = [cache.entry(cache.key(made_by, key(item)), store.suffix) for item in items]
    # two shards with the same bytes have one result
    missing = {path: item for path, item in zip(paths, items, strict=True) if not path.exists()}
    if 0 < len(missing) < len(set(paths)):
        kept = len(set(paths)) - len(missing)
        notice(label, f"{kept:,} of {len(items):,} shards are kept already")
    todo = list(missing)
    computed = mapped(task, missing.values(), where)
    waiting = set(todo)
    try:
        steps = zip(paths, items, strict=True)
        for path, item in progress(steps, label=label, unit="shards", total=len(items)):
            out = None
            while path in waiting:
                index, arrived = next(computed)
                store.save(todo[index], arrived)
                waiting.discard(todo[index])
                out = arrived if todo[index] == path else None
            yield _kept(task, item, path, store, where) if out is None else out
    finally:
        computed.close()


def _kept(task: Task[Item, Out], item: Item, path: Path, store: Store[Out], where: Where) -> Out:
    """A result from the cache; made again where it is damaged or gone."""
    found = store.load(path)
    if found is not None:
        return found
    ((_, out),) = mapped(task, [item], where)
    store.save(path, out)
    return out
