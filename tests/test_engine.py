"""Work over shards: every engine gives the same, finished shards are kept, faults have a name."""

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from clipcause.config.engine import Engine, current
from clipcause.runtime import atomic, code
from clipcause.runtime import shard_cache as cache
from clipcause.runtime.engine import Task, mapped, shardwise
from clipcause.runtime.engine.local import gpus
from clipcause.runtime.shard_cache import ARRAYS
from tests.artifacts_samples import contents


@dataclass(frozen=True)
class Squares:
    """Squares of a shard's numbers; every computation appends a line to ``log``."""

    log: Path
    fail: str = ""  # how the shard with ``at`` fails
    at: int = -1

    def start(self):
        self._note("start")
        if self.fail == "start":
            raise ValueError("models/encoder: no such model")

    def __call__(self, item):
        if item == self.at and self.fail == "value":
            raise ValueError("key s0007: cannot be decoded")
        if item == self.at and self.fail == "gone":
            raise FileNotFoundError(f"data/{item:05d}.tar: not found")
        if item == self.at and self.fail == "defect":
            raise ZeroDivisionError("division by zero")
        if item == self.at and self.fail == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        self._note(str(item))
        return {"square": np.arange(item, item + 3) ** 2, "item": np.array([item])}

    def name(self, item):
        return f"data/{item:05d}.tar"

    def _note(self, line):
        with self.log.open("a") as stream:
            stream.write(f"{line}\n")

    def lines(self):
        return self.log.read_text().split() if self.log.exists() else []


@pytest.fixture
def shards(tmp_path, monkeypatch):
    folder = tmp_path / "shards"
    monkeypatch.setenv(cache.ENVIRONMENT, str(folder))
    return folder


@pytest.fixture
def task(tmp_path):
    return Squares(tmp_path / "log")


def run(task, items, workers=1, store=ARRAYS):
    made = shardwise(
        task,
        items,
        key=lambda item: cache.key("squares", item),
        store=store,
        where=Engine(workers=workers),
        label="squares",
    )
    return [int(out["square"][0]) for out in made]


def squares(items):
    return [item**2 for item in items]


def test_a_task_is_a_task(task):
    assert isinstance(task, Task)


@pytest.mark.parametrize("workers", [1, 3])
def test_every_item_is_mapped_once(task, workers):
    found = dict(mapped(task, range(20), Engine(workers=workers)))
    assert {index: int(out["square"][0]) for index, out in found.items()} == {
        item: item**2 for item in range(20)
    }
    lines = task.lines()
    assert sorted(int(line) for line in lines if line != "start") == list(range(20))
    assert 1 <= lines.count("start") <= workers
    assert list(mapped(task, [], Engine(workers=workers))) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_taken_as_workers_are_free(task, workers):
    taken = []

    def items():
        for item in range(1000):
            taken.append(item)
            yield item

    results = mapped(task, items(), Engine(workers=workers))
    for _ in range(5):
        next(results)
    results.close()
    assert len(taken) <= 5 + 2 * workers


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_finished_shards_are_not_done_again(task, shards, workers):
    items = [7, 3, 5, 3, 11]
    assert run(task, items, workers) == squares(items)
    computed = [line for line in task.lines() if line != "start"]
    assert sorted(computed) == ["11", "3", "5", "7"]  # the copy of 3 has the same key
    assert run(task, items, workers) == squares(items)
    assert [line for line in task.lines() if line != "start"] == computed
    assert run(task, [*items, 13], workers) == squares([*items, 13])
    assert [line for line in task.lines() if line != "start"] == [*computed, "13"]


def test_nothing_is_started_where_everything_is_kept(task, shards):
    run(task, range(3))
    task.log.unlink()
    run(task, range(3), workers=2)
    assert task.lines() == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_entry_is_made_again(task, shards, damage):
    run(task, range(4))
    path = cache.entry(cache.key(code.of(__name__), cache.key("squares", 2)), ARRAYS.suffix)
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    path.write_bytes({"cut": whole[:-1], "flipped": flipped, "empty": b""}[damage])
    task.log.unlink()
    assert run(task, range(4), workers=2) == squares(range(4))
    assert task.lines() == ["start", "2"]
    assert path.read_bytes() == whole


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("fail", "kind", "message"),
    [
        ("value", ValueError, r"^data/00003\.tar: key s0007: cannot be decoded"),
        ("gone", FileNotFoundError, r"^data/00003\.tar: not found"),
        ("defect", RuntimeError, r"^data/00003\.tar: division by zero \(ZeroDivisionError\)"),
    ],
)
def test_an_exception_of_a_worker_has_the_name_of_its_shard(
    tmp_path, shards, workers, fail, kind, message
):
    task = Squares(tmp_path / "log", fail, 3)
    with pytest.raises(kind, match=message) as caught:
        run(task, range(1000), workers)
    assert "in a worker" in caught.value.__notes__[0]
    # what was finished is kept, and only that is missing which was not
    kept = len(entries(shards))
    assert kept >= 3
    computed = [line for line in task.lines() if line != "start"]
    assert len(computed) == kept
    assert len(computed) < 999  # no more was handed out


def test_a_task_that_does_not_start(tmp_path, shards):
    for workers in (1, 2):
        with pytest.raises(ValueError, match=r"^models/encoder: no such model"):
            run(Squares(tmp_path / "log", "start"), range(5), workers)


def test_a_worker_that_dies_names_its_shard_and_the_others_are_kept(tmp_path, shards):
    task = Squares(tmp_path / "log", "killed", 4)
    with pytest.raises(OSError, match=r"^data/00004\.tar: the worker process that had it died"):
        run(task, range(9), workers=2)
    assert len(entries(shards)) >= 4
    assert run(Squares(tmp_path / "log"), range(9), workers=2) == squares(range(9))
    computed = [line for line in task.lines() if line != "start"]
    assert sorted(computed) == sorted(map(str, range(9)))


def test_a_worker_that_dies_while_its_result_is_kept_names_its_shard(tmp_path, shards):
    task = Squares(tmp_path / "log", fail="killed", at=2)
    found = mapped(task, range(9), Engine(workers=2))
    with pytest.raises(OSError, match=r"data/00002\.tar: the worker process that had it died"):  # noqa: PT012
        for _ in found:
            time.sleep(0.5)  # the stage is busy, and the worker dies with one item waiting


def test_a_full_disk_names_the_file_and_what_to_free(task, shards, monkeypatch):
    """The entries that were there stay as they were, and no half of one is added."""
    run(task, range(2))
    before = contents(shards)

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic, "_sync", full)
    with pytest.raises(
        OSError, match=r"shards/[0-9a-f]{2}/[0-9a-f]{64}\.arrays: .*No space left.*free some"
    ):
        run(task, range(2, 4))
    monkeypatch.undo()
    assert contents(shards) == before


@dataclass(frozen=True)
class Sees(Squares):
    """The GPU that a worker sees; it waits until both workers have started."""

    def __call__(self, item):
        wait_for(lambda: self.lines().count("start") == 2)
        return os.environ.get("CUDA_VISIBLE_DEVICES")


def test_workers_share_the_gpus(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    seen = dict(mapped(Sees(tmp_path / "log"), range(4), Engine(workers=2)))
    assert [seen[0], seen[1]] == ["3", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    (tmp_path / "nvidia/0000:01:00.0").mkdir(parents=True)
    monkeypatch.setattr("clipcause.runtime.engine.local.NVIDIA", tmp_path / "nvidia")
    assert gpus() == ["0"]


def test_ray_that_is_not_installed_is_named_before_any_work(task, shards, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'clipcause\[ray\]'"):
        mapped(task, range(3), Engine(kind="ray"))
    with pytest.raises(ValueError, match=r"pip install 'clipcause\[ray\]'"):
        shardwise(task, range(3), key=str, store=ARRAYS, where=Engine(kind="ray"), label="squares")
    assert task.lines() == []


def test_work_without_a_gpu_takes_none():
    where = Engine(kind="ray", workers=8, device="cuda", gpus=1.0, cpus=12.0)
    plain = where.without_gpu()
    assert (plain.kind, plain.workers, plain.device) == ("ray", 8, "cpu")
    assert (plain.gpus, plain.cpus) == (0.0, 1.0)


def test_parameters(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("embed: {}\n")
    assert current(path) == Engine()
    path.write_text("engine: {kind: ray, workers: 8, gpus: 0.5}\n")
    assert current(path) == Engine(kind="ray", workers=8, gpus=0.5)
    path.write_text("engine: {kind: rey}\n")
    with pytest.raises(ValueError, match=r"engine\.kind: 'rey' is not valid; did you mean 'ray'"):
        current(path)


DRIVER = """
import sys
from pathlib import Path
from tests.test_engine import driven
print("begun", flush=True)
for out in driven(Path(sys.argv[1]), slow=True):
    pass
"""


def driven(log, *, slow):
    """Squares on two processes."""
    return shardwise(
        Slow(log) if slow else Squares(log),
        range(40),
        key=lambda item: cache.key("squares", item),
        store=ARRAYS,
        where=Engine(workers=2),
        label="squares",
    )


class Slow(Squares):
    """Long enough to be killed in the middle, and says which process it is."""

    def __call__(self, item):
        time.sleep(0.05)
        with self.log.with_suffix(".pids").open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        return super().__call__(item)


def test_the_workers_of_a_killed_stage_end_and_their_shards_are_kept(tmp_path, shards):
    log = tmp_path / "log"
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(log)], cwd=Path(__file__).parents[1]
    )
    wait_for(lambda: len(entries(shards)) >= 6)
    driver.kill()
    driver.wait()
    pids = {int(line) for line in log.with_suffix(".pids").read_text().split()}
    wait_for(lambda: not any(map(alive, pids)))
    before = entries(shards)
    assert len(before) < 40
    log.unlink()
    assert [int(out["item"][0]) for out in driven(log, slow=False)] == list(range(40))
    again = [line for line in log.read_text().split() if line != "start"]
    assert len(again) == 40 - len(before)


def entries(shards):
    return list(shards.rglob(f"*{ARRAYS.suffix}"))


def alive(pid):
    """Whether a process runs; an ended one that nobody has waited for does not."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition):
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited in vain for a minute")


def test_a_task_of_other_code_is_done_again(task, shards, monkeypatch):
    run(task, range(2))
    monkeypatch.setattr(code, "of", lambda module: f"another {module}")
    run(task, range(2))
    assert [line for line in task.lines() if line != "start"] == ["0", "1", "0", "1"]
