"""The engine of one machine, and its one pool: this process, or one process for each worker.

Every worker is an executor of one process, so that the death of a process says which item killed
it, and the others go on. Several workers share the machine's GPUs in turns: each sees one.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from clipcause.runtime import notices, unchanged
from clipcause.runtime.engine.task import (
    Failure,
    Item,
    Out,
    Task,
    attempted,
    begun,
    inherit,
    inherited,
)

AHEAD = 2  # items of a worker: one under way, one waiting, so that it never waits for the stage

VISIBLE = "CUDA_VISIBLE_DEVICES"  # which CUDA reads when it is first used
NVIDIA = Path("/proc/driver/nvidia/gpus")

_task: Task[Any, Any] | None = None  # of this worker process


def mapped(
    task: Task[Item, Out], items: Iterable[Item], workers: int, *, ahead: int = sys.maxsize
) -> Generator[tuple[int, Out]]:
    """As ``runtime.engine.mapped``, on ``workers`` processes; one is this process itself.

    No item is taken that is ``ahead`` or more after one still under way: as many results can have
    to wait for an earlier one.
    """
    if workers == 1:
        return _here(task, items)
    return _processes(task, _Source(iter(items), ahead), workers)


def _here(task: Task[Item, Out], items: Iterable[Item]) -> Generator[tuple[int, Out]]:
    started = False
    for index, item in enumerate(items):
        if not started:
            _raise(begun(task))
            started = True
        out = attempted(task, item)
        if isinstance(out, Failure):
            raise out.error()
        yield index, out


@dataclass
class _Worker:
    """One process and its items, the one under way first."""

    pool: ProcessPoolExecutor
    ready: Future[int | Failure]  # its process id, once the task has started
    items: deque[tuple[int, Any, Future[Any]]] = field(default_factory=deque)


@dataclass
class _Source:
    """Items that have not been handed out."""

    items: Iterator[Any]
    ahead: int
    taken: int = 0

    def take(self, crew: list[_Worker]) -> tuple[int, Any] | None:
        """The next one and its index; None at the end, or too far after what is under way."""
        oldest = min((worker.items[0][0] for worker in crew if worker.items), default=self.taken)
        if self.taken - oldest >= self.ahead:
            return None
        for item in self.items:
            self.taken += 1
            return self.taken - 1, item
        return None


def _processes(task: Task[Item, Out], source: _Source, workers: int) -> Generator[tuple[int, Out]]:
    crew: list[_Worker] = []
    problem: Exception | None = None
    try:
        while True:
            if problem is None:
                _hand_out(task, source, crew, workers)
            busy = [worker for worker in crew if worker.items]
            if not busy:
                break
            wait([worker.items[0][2] for worker in busy], return_when=FIRST_COMPLETED)
            for worker in busy:
                if not worker.items[0][2].done():
                    continue
                index, item, future = worker.items.popleft()
                out = _outcome(task, worker, item, future)
                if not isinstance(out, Exception):
                    yield index, out
                    continue
                # no more is handed out; what is under way elsewhere is worth keeping
                problem = problem or out
        if problem is not None:
            raise problem
    finally:
        for worker in crew:
            _dismiss(worker)


def _hand_out(task: Task[Any, Any], source: _Source, crew: list[_Worker], workers: int) -> None:
    """Fill the workers' queues evenly; a process is started when there is an item for it."""
    for depth in range(1, AHEAD + 1):
        for number in range(workers):
            if number < len(crew) and len(crew[number].items) >= depth:
                continue
            following = source.take(crew)
            if following is None:
                return
            if number == len(crew):
                crew.append(_engage(task, number))
            index, item = following
            crew[number].items.append((index, item, _given(crew[number].pool, item)))


def _given(pool: ProcessPoolExecutor, item: Any) -> Future[Any]:
    """An item in a worker's queue. One that died meanwhile answers for all that it was given."""
    try:
        return pool.submit(_work, item)
    except BrokenProcessPool as error:
        future: Future[Any] = Future()
        future.set_exception(error)
        return future


def _engage(task: Task[Any, Any], number: int) -> _Worker:
    # forkserver: forking a process that has threads (torch, Arrow) may deadlock
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("forkserver"))
    there = gpus()
    sees = {VISIBLE: there[number % len(there)]} if there else {}
    return _Worker(pool, pool.submit(_begin, task, inherited() | sees, unchanged.running()))


def gpus() -> list[str]:
    """The GPUs of this machine that this process may use, as CUDA names them."""
    stated = os.environ.get(VISIBLE)
    if stated is not None:
        return [name for name in stated.split(",") if name]
    return [str(number) for number in range(len(list(NVIDIA.glob("*"))))]


def _outcome(
    task: Task[Item, Out], worker: _Worker, item: Item, future: Future[Out | Failure]
) -> Out | Exception:
    try:
        begun_by = worker.ready.result()
        if isinstance(begun_by, Failure):
            return begun_by.error()
        out = future.result()
    except BrokenProcessPool:
        name = task.name(item)
        what = f"{name}: the worker process that had it died" if name else "a worker process died"
        return OSError(
            f"{what} (out of memory, killed, or a crash in a library); look at the machine's log, "
            "or use fewer engine.workers; finished shards are kept, so run again"
        )
    return out.error() if isinstance(out, Failure) else out


def _dismiss(worker: _Worker) -> None:
    """End a worker now, whatever it does: nobody will take its result."""
    ready = worker.ready
    if worker.items and ready.done() and ready.exception() is None:
        number = ready.result()
        if isinstance(number, int):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
    worker.pool.shutdown(cancel_futures=True)


def _follow() -> None:
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


def _begin(
    task: Task[Any, Any], variables: dict[str, str], stage: unchanged.Running | None
) -> int | Failure:
    """In the worker: take the task and start it."""
    global _task
    _follow()
    notices.configure()
    inherit(variables)
    unchanged.follow(stage)
    failure = begun(task)
    _task = task if failure is None else None
    return failure or os.getpid()


def _work(item: Any) -> Any:
    """In the worker: one item; nothing where the task did not start, which is reported."""
    return attempted(_task, item) if _task is not None else None


def _raise(failure: Failure | None) -> None:
    if failure is not None:
        raise failure.error()
