"""The engine of a Ray cluster: one actor for each worker, with the task's state on its device.

The repository lies at the same path on every node (a shared file system), for that is where the
stage and its workers find shards and code. Results come back through Ray's object store, and the
stage alone writes. Nothing of Ray's own is in a result.

By hand, and not by `ray.util.ActorPool`, which does not say with which item an actor died, replaces
none that did, and hands an actor its next item only when the stage has taken the last.
"""

import io
import logging
import os
import pickle
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

# both are read when Ray is imported; it would report its use
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# an actor that takes no GPU sees none: what Ray does, and warns that it will not do for ever
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")

import ray
from ray.exceptions import RayError, RayTaskError

from clipcause.runtime import notices
from clipcause.runtime.engine.local import AHEAD
from clipcause.runtime.engine.task import (
    Failure,
    Item,
    Out,
    Task,
    Where,
    attempted,
    begun,
    inherit,
    inherited,
)

TRIES = 3  # workers that may die with an item, or one after another while they start
SAY_EVERY_S = 60.0  # how often a stage that waits for its cluster says so
LOCAL = "local"
ROOT = Path(__file__).parents[2]


class _Given(NamedTuple):
    """An item, its index, and how many workers died that had it.

    A worker's last answer can die with it, so that which of its items killed it is not known: all
    are suspect, and a suspect is given to a worker that has nothing else.
    """

    index: int
    item: Any
    deaths: int


@dataclass
class _Actor:
    """A worker; ``ready`` is None once it has started, the first of ``items`` is under way."""

    handle: Any
    ready: Any
    items: deque[tuple[_Given, Any]] = field(default_factory=deque)


def mapped(
    task: Task[Item, Out], items: Iterable[Item], where: Where
) -> Generator[tuple[int, Out]]:
    """As ``engine.mapped``, on ``where.workers`` actors of the cluster ``where.address``."""
    waiting = (_Given(index, item, 0) for index, item in enumerate(items))
    again = deque(first for first in [next(waiting, None)] if first is not None)
    if not again:
        return
    connect(where)
    blob = ray.put(pickle.dumps(task))
    workers = min(where.workers, len(items)) if isinstance(items, Sized) else where.workers
    crew = [_engage(blob, where) for _ in range(workers)]
    stillborn = 0
    problem: Exception | None = None
    try:
        while True:
            if problem is None:
                _hand_out(crew, again, waiting)
            if not any(actor.items for actor in crew) and (problem or not again):
                break
            actor, answer = _answer(crew)
            if isinstance(answer, RayError):
                crew.remove(actor)
                ray.kill(actor.handle)
                stillborn += actor.ready is not None
                problem = problem or _give_back(task, actor, again, stillborn, answer)
                if problem is None:
                    crew.append(_engage(blob, where))
            elif actor.ready is not None:
                actor.ready, stillborn = None, 0
                problem = problem or (answer.error() if answer is not None else None)
            else:
                given, _ = actor.items.popleft()
                if isinstance(answer, Failure):
                    # no more is handed out; what is under way elsewhere is worth keeping
                    problem = problem or answer.error()
                else:
                    yield given.index, answer
        if problem is not None:
            raise problem
    finally:
        for actor in crew:
            ray.kill(actor.handle)


def connect(where: Where) -> None:
    """Join the cluster, or start one on this machine; the stage's end ends the latter.

    Raises ``OSError`` where there is no cluster at the address, ``ValueError`` where a machine has
    not the GPUs that its workers are to take.
    """
    if ray.is_initialized():
        return
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if where.address != LOCAL:
        ray.init(address=where.address, **quiet)
        return
    # no page and no port for others, and as many workers as were asked for
    own: dict[str, Any] = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    ray.init(address=LOCAL, num_cpus=max(1, round(where.workers * where.cpus)), **own, **quiet)
    there = ray.cluster_resources().get("GPU", 0)
    if where.gpus > there:
        ray.shutdown()
        raise ValueError(
            f"engine.gpus is {where.gpus} for each worker, and Ray finds {there:g} GPUs here"
        )


class Worker:
    """What an actor is. The task is unpickled where the stage is, and not as Ray makes the actor,
    so that a folder or module that a node lacks is an error with a cause."""

    def __init__(self, folder: str, main: str, variables: dict[str, str], blob: bytes) -> None:
        self.given = folder, main, variables, blob
        self.task: Task[Any, Any] | None = None

    def begin(self) -> Failure | None:
        """Start the task; what went wrong, if anything did."""
        folder, main, variables, blob = self.given
        try:
            os.chdir(folder)
        except OSError as error:
            advice = "the repository must lie at the same path on every node of the cluster"
            return Failure("OSError", f"{error}; {advice}", "")
        notices.configure()
        inherit(variables)
        self.task = _Unpickler(main, blob).load()
        return begun(self.task)

    def work(self, item: Any) -> bytes:
        """The result of one item, or its failure, as bytes: unpickled by the stage, arrays are its
        own, and not read-only pages of the object store."""
        assert self.task is not None  # begun before
        return pickle.dumps(attempted(self.task, item), protocol=5)


class _Unpickler(pickle.Unpickler):
    """Of a task whose class is in the stage's `__main__`, which is another here."""

    def __init__(self, main: str, blob: bytes) -> None:
        super().__init__(io.BytesIO(blob))
        self.main = main

    def find_class(self, module: str, name: str, /) -> Any:
        return super().find_class(self.main if module == "__main__" else module, name)


def _main() -> str:
    """The name of the module that is run, by which others can import it."""
    spec = sys.modules["__main__"].__spec__
    return spec.name if spec else "__main__"


def _engage(blob: Any, where: Where) -> _Actor:
    kind: Any = ray.remote(Worker)
    handle = kind.options(
        num_cpus=where.cpus,
        num_gpus=where.gpus,
        max_restarts=0,
        scheduling_strategy="SPREAD",
        # Ray itself takes the working directory along; another process's start takes seconds
        runtime_env=None if Path.cwd() == ROOT else {"env_vars": {"PYTHONPATH": str(ROOT)}},
    ).remote(str(Path.cwd()), _main(), inherited(), blob)
    return _Actor(handle, handle.begin.remote())


def _hand_out(crew: list[_Actor], again: deque[_Given], waiting: Iterator[_Given]) -> None:
    """Fill the queues of the workers that have started, evenly."""
    for depth in range(1, AHEAD + 1):
        for actor in crew:
            if actor.ready is not None or len(actor.items) >= depth:
                continue
            if actor.items and (again or actor.items[0][0].deaths):
                continue  # a suspect is alone
            given = again.popleft() if again else next(waiting, None)
            if given is None:
                return
            actor.items.append((given, actor.handle.work.remote(given.item)))


def _answer(crew: list[_Actor]) -> tuple[_Actor, Any]:
    """The first worker that has something to say, and what: RayError where it is dead."""
    awaited = {}
    for actor in crew:
        if actor.ready is not None:
            awaited[actor.ready] = actor
        elif actor.items:
            awaited[actor.items[0][1]] = actor
    while not (done := ray.wait(list(awaited), timeout=SAY_EVERY_S)[0]):
        if all(actor.ready is not None for actor in crew):
            notices.notice("waiting for the cluster", "no worker has started yet")
    actor = awaited[done[0]]
    try:
        answer = ray.get(done[0])
    except RayTaskError:
        raise  # a defect: what a task may raise is caught in the worker
    except RayError as error:
        return actor, error
    return actor, pickle.loads(answer) if isinstance(answer, bytes) else answer


def _give_back(
    task: Task[Any, Any], actor: _Actor, again: deque[_Given], stillborn: int, cause: RayError
) -> Exception | None:
    """Put the items of a dead worker back, or say that they, or the start, kill every worker."""
    reason = str(cause).strip().splitlines()[0]
    if stillborn >= TRIES:
        return OSError(f"{stillborn} workers of the cluster died while they started: {reason}")
    for given, _ in reversed(actor.items):
        deaths = given.deaths + 1
        if deaths >= TRIES:
            return OSError(
                f"{task.name(given.item)}: {deaths} workers of the cluster died with it: {reason} "
                "Finished shards are kept, so run again"
            )
        again.appendleft(given._replace(deaths=deaths))
    actor.items.clear()
    return None
