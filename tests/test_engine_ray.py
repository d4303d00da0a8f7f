"""Work over shards on a Ray cluster of two nodes: the same bytes as on this machine alone."""

import os
import pickle
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ray.cluster_utils import Cluster

from clipcause.config.engine import Engine
from clipcause.runtime import shard_cache as cache
from clipcause.runtime.engine import mapped, shardwise
from clipcause.runtime.engine.cluster import (
    RayError,
    _Actor,
    _give_back,
    _Given,
    _hand_out,
    _Unpickler,
    ray,
)
from clipcause.runtime.shard_cache import ARRAYS
from tests.artifacts_samples import contents

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@dataclass(frozen=True)
class Rows:
    """Reproducible float16 rows; a line in ``log`` for every computation."""

    log: Path
    kill: int = -1  # the item that kills its worker
    fail: int = -1
    together: int = 0  # workers that have started before the first item is done

    def start(self):
        self._note("start")

    def __call__(self, item):
        while self.together > self.log.read_text().split().count("start"):
            time.sleep(0.05)
        if item == self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if item == self.fail:
            raise ValueError("key s0007: cannot be decoded")
        rows = np.random.default_rng(item).standard_normal((1000, 64)).astype(np.float16)
        self._note(f"{item}:{ray.get_runtime_context().get_node_id()}" if on_ray() else f"{item}:")
        return {"rows": rows}

    def name(self, item):
        return f"data/{item:05d}.tar"

    def _note(self, line):
        with self.log.open("a") as stream:
            stream.write(f"{line}\n")

    def computed(self):
        """(item, node) of every computation."""
        lines = self.log.read_text().split() if self.log.exists() else []
        return [tuple(line.split(":")) for line in lines if line != "start"]


def on_ray():
    return ray.is_initialized()


@pytest.fixture(scope="module")
def cluster():
    made = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    made.add_node(**NODE)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def shards(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "shards"))
    return tmp_path / "shards"


def results(task, items, where):
    return shardwise(
        task,
        items,
        key=lambda item: cache.key("rows", item),
        store=ARRAYS,
        where=where,
        label="rows",
    )


def local(tmp_path, monkeypatch, count):
    """The entries that the local engine leaves in a cache of its own."""
    folder = tmp_path / "local"
    with monkeypatch.context() as patch:
        patch.setenv(cache.ENVIRONMENT, str(folder))
        list(results(Rows(tmp_path / "local.log"), range(count), Engine()))
    return contents(folder)


def test_two_nodes_give_the_bytes_of_one_process(cluster, tmp_path, shards, monkeypatch):
    task = Rows(tmp_path / "log", together=2)
    where = Engine(kind="ray", workers=2, address=cluster.address)
    made = [out["rows"] for out in results(task, range(12), where)]
    assert contents(shards) == local(tmp_path, monkeypatch, 12)
    assert all(rows.flags.writeable for rows in made)
    assert sorted(int(item) for item, _ in task.computed()) == list(range(12))
    assert len({node for _, node in task.computed()}) == 2


def test_an_exception_of_an_actor_has_the_name_of_its_shard(cluster, tmp_path, shards):
    task = Rows(tmp_path / "log", fail=3)
    where = Engine(kind="ray", workers=2, address=cluster.address)
    with pytest.raises(ValueError, match=r"^data/00003\.tar: key s0007: cannot be decoded"):
        list(results(task, range(50), where))
    assert len(contents(shards)) == len(task.computed()) >= 3


def test_a_shard_that_kills_every_worker_is_named(cluster, tmp_path, shards, monkeypatch):
    monkeypatch.setattr("clipcause.runtime.engine.cluster.TRIES", 2)
    task = Rows(tmp_path / "log", kill=1)
    where = Engine(kind="ray", workers=1, address=cluster.address)
    with pytest.raises(OSError, match=r"^data/00001\.tar: 2 workers of the cluster died with it"):
        list(results(task, range(3), where))


def test_what_a_dead_worker_had_is_suspect_and_tried_alone():
    """The answer to the first of its items can be lost when the second kills it."""
    handle = SimpleNamespace(work=SimpleNamespace(remote=lambda item: item))
    lost = _Actor(handle, None, deque((_Given(item, item, 0), item) for item in (0, 1)))
    again: deque[_Given] = deque()
    assert _give_back(Rows(Path("log")), lost, again, 0, RayError("gone")) is None
    crew = [_Actor(handle, None), _Actor(handle, None)]
    waiting = iter([_Given(2, 2, 0), _Given(3, 3, 0)])
    _hand_out(crew, again, waiting)
    assert [[given.index for given, _ in actor.items] for actor in crew] == [[0], [1]]
    assert [given.deaths for actor in crew for given, _ in actor.items] == [1, 1]
    crew[0].items.clear()  # the first was innocent
    _hand_out(crew, again, waiting)
    assert [[given.index for given, _ in actor.items] for actor in crew] == [[2, 3], [1]]


def test_a_node_that_is_killed_changes_nothing(cluster, tmp_path, shards, monkeypatch):
    task = Rows(tmp_path / "log", together=2)
    where = Engine(kind="ray", workers=2, address=cluster.address)
    made = results(task, range(30), where)
    first = [next(made) for _ in range(6)]
    victim = cluster.worker_nodes.copy().pop()
    cluster.remove_node(victim, allow_graceful=False)
    assert len(first) + len(list(made)) == 30
    assert contents(shards) == local(tmp_path, monkeypatch, 30)
    # what was finished before is not done again: at most what the lost worker held
    assert len(task.computed()) <= 30 + 2
    assert {int(item) for item, _ in task.computed()} == set(range(30))


def test_no_items_need_no_cluster(tmp_path):
    where = Engine(kind="ray", workers=2, address="127.0.0.1:1")
    assert list(mapped(Rows(tmp_path / "log"), [], where)) == []


def test_a_task_of_the_module_that_is_run_is_found_under_its_name(tmp_path, monkeypatch):
    """`python -m stages.embed` pickles its task as `__main__.Embedding`."""
    task = Rows(tmp_path / "log")
    monkeypatch.setattr(Rows, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Rows", Rows, raising=False)
    blob = pickle.dumps(task)
    monkeypatch.undo()
    assert b"__main__" in blob
    assert _Unpickler("tests.test_engine_ray", blob).load() == task
