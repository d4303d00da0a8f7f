"""Stages side by side: the lock of one after the other, whatever fails, and wherever it is killed.

The stages of these graphs wait for one another where they are to run at once, so that no clock
decides what is tested.
"""

import json
import os
import signal
import subprocess
import time

import pytest
import yaml

from clipcause.runtime import entry, repro
from tests import warm
from tests.clones import ROOT
from tests.repository import Repository

# name: what it reads. In the order of `dvc repro`, which here is not that of their ends
GRAPH = {
    "root": [],
    "slow": ["root"],
    "quick": ["root"],
    "train@a": ["root"],
    "after-slow": ["slow"],
    "both": ["slow", "quick"],
    "last": ["both", "train@a"],
}
STAGE = """
import os, sys, time
from pathlib import Path
name, reads = sys.argv[1], sys.argv[2:]
Path("began", name).write_text(str(os.getpid()))
while not all(Path(one).exists() for one in os.environ.get(f"WAIT_{name}", "").split()):
    time.sleep(0.01)
if name in os.environ.get("FAIL", "").split():
    print(name, "can not", file=sys.stderr)
    raise SystemExit(3)
with open(os.environ.get("TOLD", os.devnull), "a") as stream:
    stream.write(f"{name} {os.environ.get('CUDA_VISIBLE_DEVICES')}\\n")
print("of", name)
Path("out", name).write_text("".join(Path("out", one).read_text() for one in reads) + name)
"""
RUN = f"""
import sys
sys.path.append({str(ROOT)!r})
from clipcause.runtime import entry, repro
with entry.one_line("repro"):
    print(repro.run(sys.argv[2:], int(sys.argv[1])))
"""


class Graph(Repository):
    """A folder with the graph; nothing of it has run."""

    def __init__(self, folder, **environment):
        super().__init__(folder, CLIPCAUSE_WARM="0", **environment)
        folder.mkdir()
        for name in ("began", "out"):
            (folder / name).mkdir()
        (folder / "stage.py").write_text(STAGE)
        (folder / "run.py").write_text(RUN)
        (folder / ".gitignore").write_text("/out\n/began\n")
        self.write(GRAPH)
        self.init()
        self.commit("start")

    def write(self, graph):
        stages = {
            name: {
                "cmd": " ".join(["python -m stage", name, *reads]),
                "deps": ["stage.py", *(f"out/{one}" for one in reads)],
                "outs": [f"out/{name}"],
            }
            for name, reads in graph.items()
        }
        # a loop makes the names that have an @
        runs = {name: stages.pop(name) for name in list(stages) if "@" in name}
        for name, stage in runs.items():
            kind, _, key = name.partition("@")
            stages[kind] = {"foreach": [key], "do": stage}
        (self.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))

    def repro(self, jobs, *targets, fails=False):
        return self.python("run", str(jobs), *targets, fails=fails)

    def begin(self, jobs, **environment):
        """Start it, to be ended by a signal."""
        words = [warm.folder() / "python", "-m", "run", str(jobs)]
        return subprocess.Popen(
            words, cwd=self.folder, env=self.environment | environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    @property
    def lock(self):
        path = self.folder / "dvc.lock"
        return path.read_text() if path.exists() else ""

    def until(self, reached):
        """Wait; a minute is a failure."""
        end = time.monotonic() + 60
        while not reached():
            assert time.monotonic() < end
            time.sleep(0.01)

    def free(self, name):
        (self.folder / name).touch()


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """The lock of plain `dvc repro`."""
    graph = Graph(tmp_path_factory.mktemp("plain") / "graph")
    graph.dvc("repro")
    return graph.lock


@pytest.fixture
def graph(tmp_path):
    return Graph(tmp_path / "graph")


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_the_lock_is_that_of_dvc_repro(jobs, serial, graph):
    if jobs > 1:  # they run at once, and the first in the plan ends last
        graph.environment["WAIT_slow"] = "out/quick"
    said = graph.repro(jobs)
    assert graph.lock == serial
    assert "7 stages run, 0 as they were\n" in said
    assert ("both | of both\n" in said) == (jobs > 1)
    assert "dvc.lock" in said  # DVC says what git is to track
    assert graph.dvc("status") == "Data and pipelines are up to date.\n"
    assert "0 stages run, 7 as they were\n" in graph.repro(jobs)


def test_a_new_stage_and_a_new_result_are_recorded_where_dvc_does(tmp_path):
    locks = []
    for words in (("dvc", "repro"), ("run", "2")):
        graph = Graph(tmp_path / words[0])
        graph.python(*words)
        (graph.folder / "stage.py").write_text(STAGE + "# edited\n")
        graph.write({"root": [], "new": ["root"], **GRAPH})
        graph.python(*words)
        locks.append(graph.lock)
    assert locks[0] == locks[1]
    assert list(yaml.safe_load(locks[1])["stages"])[-1] == "new"


def test_what_was_made_before_comes_from_the_run_cache(graph):
    graph.repro(2)
    lock = graph.lock
    (graph.folder / "dvc.lock").unlink()
    assert "0 stages run, 0 as they were, 7 from the run cache\n" in graph.repro(3)
    assert graph.lock == lock


def test_targets_bring_what_they_need(graph):
    assert "4 stages run, 0 as they were\n" in graph.repro(2, "both")
    assert list(yaml.safe_load(graph.lock)["stages"]) == ["root", "slow", "quick", "both"]


def test_what_takes_longest_begins_first(graph):
    graph.environment["TOLD"] = "told"
    graph.repro(1)
    order = [line.split()[0] for line in (graph.folder / "told").read_text().splitlines()]
    assert order == ["root", "train@a", "slow", "quick", "both", "after-slow", "last"]


def test_where_a_stage_fails_the_others_end_and_are_recorded(graph, serial):
    graph.environment |= {"FAIL": "quick", "WAIT_slow": "went", "WAIT_train@a": "went"}
    running = graph.begin(3)
    said = ""
    while "quick: failed" not in said:
        said += running.stdout.readline()
        assert running.poll() is None, said
    graph.free("went")
    said += running.communicate()[0]
    assert running.returncode == 1, said
    assert "quick | quick can not\n" in said
    assert "quick: failed: python -m stage quick root: exit status 3\n" in said
    assert "failed: quick; not run, since they depend on it: both, last; " in said
    recorded = list(yaml.safe_load(graph.lock)["stages"])
    assert recorded == ["root", "slow", "train@a"]
    assert not (graph.folder / "out/both").exists()
    assert "changed deps" not in graph.dvc("status", "slow", "train@a")
    del graph.environment["FAIL"]
    assert "4 stages run, 3 as they were\n" in graph.repro(2)
    assert graph.lock == serial


@pytest.mark.parametrize("jobs", [1, 3])
def test_killed_in_the_middle_it_goes_on(graph, serial, jobs):
    running = graph.begin(3, WAIT_slow="never")
    graph.until(lambda: "out/quick" in graph.lock and "out/train@a" in graph.lock)
    running.kill()
    running.communicate()
    graph.free("never")
    assert "4 stages run, 3 as they were\n" in graph.repro(jobs)
    assert graph.lock == serial


@pytest.mark.parametrize("cut", ["", '{"read": {"out/root": [{"pi'])
def test_what_a_kill_cut_off_of_dvcs_locks_stops_nothing(graph, serial, cut):
    path = graph.folder / ".dvc/tmp/rwlock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(cut)
    said = graph.repro(2)
    assert "rwlock: cut off when something was killed; it is made anew\n" in said
    assert graph.lock == serial
    assert "7 stages run" in said
    assert "made anew" not in graph.repro(1)


def test_ctrl_c_lets_end_what_runs(graph, serial):
    running = graph.begin(3, WAIT_slow="went")
    graph.until(lambda: "out/train@a" in graph.lock and "out/quick" in graph.lock)
    running.send_signal(signal.SIGINT)
    graph.free("went")
    said, _ = running.communicate()
    assert running.returncode == 1, said
    assert "repro: error: interrupted; what ended is recorded" in said
    assert list(yaml.safe_load(graph.lock)["stages"]) == ["root", "slow", "quick", "train@a"]
    assert "3 stages run, 4 as they were\n" in graph.repro(1)
    assert graph.lock == serial


def test_ctrl_c_on_a_terminal_reaches_what_runs_too_and_is_one_line(graph, serial):
    running = graph.begin(3, WAIT_slow="never")
    graph.until(lambda: "out/train@a" in graph.lock and "out/quick" in graph.lock)
    running.send_signal(signal.SIGINT)
    os.kill(int((graph.folder / "began/slow").read_text()), signal.SIGINT)
    said, _ = running.communicate()
    assert running.returncode == 1, said
    assert f"repro: error: interrupted in slow; what ended is recorded, {entry.KEPT}\n" in said
    assert "failed" not in said
    assert "4 stages run, 3 as they were\n" in graph.repro(1)
    assert graph.lock == serial


def test_a_termination_ends_what_runs(graph):
    running = graph.begin(3, WAIT_slow="never")
    graph.until(lambda: "out/train@a" in graph.lock and "out/quick" in graph.lock)
    running.terminate()
    said, _ = running.communicate()
    assert running.returncode == 1
    assert "slow: failed: python -m stage slow root: ended by SIGTERM" in said
    assert "repro: error: interrupted; failed: slow" in said


def test_each_of_several_gets_one_gpu(graph):
    graph.environment |= {"TOLD": "told", "CUDA_VISIBLE_DEVICES": "4,7", "WAIT_slow": "began/quick"}
    graph.environment["WAIT_quick"] = "began/slow"
    graph.repro(2)
    seen = dict(line.split() for line in (graph.folder / "told").read_text().splitlines())
    assert {seen["slow"], seen["quick"]} == {"4", "7"}
    (graph.folder / "stage.py").write_text(STAGE + "# edited\n")
    graph.repro(1)
    assert (graph.folder / "told").read_text().splitlines()[-1] == "last 4,7"


def test_more_jobs_than_cores_is_said(graph):
    assert f"repro: 999 jobs on {os.cpu_count()} cores: they take turns\n" in graph.repro(
        999, "root"
    )


def test_a_lock_that_dvc_did_not_write_is_left_to_dvc(graph, serial):
    graph.repro(1)
    (graph.folder / "dvc.lock").write_text("# mine\n" + graph.lock)
    (graph.folder / "stage.py").write_text(STAGE + "# edited\n")
    graph.repro(2)
    assert graph.lock.startswith("# mine\n")
    assert graph.dvc("status") == "Data and pipelines are up to date.\n"


@pytest.mark.parametrize(
    "command",
    ["python -m stage a && true", 'python -m stage "$HOME"', "python stage.py", "true", ["true"]],
)
def test_what_a_shell_must_read_is_not_started_warm(command):
    assert repro.module(command, dict(os.environ)) == []


def test_without_git_it_says_what_to_do_and_then_does_without(graph):
    (graph.folder / ".git").rename(graph.folder / "elsewhere")
    said = graph.python("run", "1", fails=True)
    assert said.startswith("repro: error: ")
    assert "is not a git repository; make it one (`git init`), or do without" in said
    assert said.count("\n") == 1
    graph.dvc("config", "core.no_scm", "true")
    assert "7 stages run, 0 as they were\n" in graph.repro(2)


def test_a_damaged_note_of_an_unfinished_run_is_passed_over(graph, serial):
    (graph.folder / ".dvc/tmp").mkdir(exist_ok=True)
    (graph.folder / ".dvc/tmp" / repro.FIRST).write_text(json.dumps(["root", "gone"]) + "{")
    graph.repro(2)
    assert graph.lock == serial


def test_it_says_which_of_how_many_and_nothing_of_those_that_are_as_they_were(graph):
    said = graph.repro(1)
    numbers = [f"({number} of 7" for number in range(1, 8)]
    begun = [line for line in said.splitlines() if line.startswith("Running stage")]
    assert [number in line for number, line in zip(numbers, begun, strict=True)] == [True] * 7
    (graph.folder / "out/slow").unlink()
    assert graph.repro(1).splitlines()[-1] == "0 stages run, 6 as they were, 1 from the run cache"
    (graph.folder / "stage.py").write_text(STAGE + "# another\n")
    assert "(1 of 7" in graph.repro(1)
    assert graph.repro(1) == "0 stages run, 7 as they were\n"
