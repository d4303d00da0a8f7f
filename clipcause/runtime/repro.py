"""What `dvc repro` does, with independent stages side by side and warm starts.

One process does all of DVC's work with DVC's own classes, a stage at a time: it looks whether a
stage changed, takes results from the run cache, hashes, caches and records them. Only commands run
side by side, each as a process of its own (`clipcause.runtime.warm`). Their number changes nothing
but the time: `dvc.lock` is that of one after the other, and a command is told nothing of it but
which GPU is its. Threads are parameters of the study.

As with `dvc repro`, the paths of a running stage are locked, and the repository while DVC works.
"""

import heapq
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from clipcause.runtime import atomic, entry, lock_text, notices, warm
from clipcause.runtime.changes import Changes
from clipcause.runtime.engine.local import VISIBLE, gpus
from clipcause.runtime.parallel import cores
from clipcause.runtime.remaining import Remaining, kind

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.stage import PipelineStage


LONG = {"train": 20}  # how long stages take, by the first part of their names; all others 1
FIRST = "clipcause-repro.json"  # in DVC's folder for temporary files while a run is unfinished
PYTHON = ["python", "-m"]
BY_CTRL_C = (-signal.SIGINT, 128 + signal.SIGINT)  # of a process, and as a shell tells it


@dataclass(frozen=True)
class Plan:
    """The stages to look at in the order of `dvc repro`, and what each reads outputs of."""

    before: dict["PipelineStage", set["PipelineStage"]]

    @staticmethod
    def of(repo: "Repo", targets: Sequence[str]) -> "Plan":
        """What `dvc repro TARGETS` would look at; all of this folder's where there are none."""
        from dvc.dvcfile import PROJECT_FILE
        from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

        graph = get_active_graph(repo.index.graph)
        if targets:
            wanted = collect_stages(repo, targets)
        else:  # as `collect_stages` of this file, which would read it and the lock once more
            here = str(Path(PROJECT_FILE).absolute())
            wanted = [stage for stage in graph if stage.path == here]
        asked = set(plan_repro(graph, wanted))
        # of a small part of a graph, networkx gives an order that is another in each process
        return Plan({one: set(graph.successors(one)) for one in plan_repro(graph) if one in asked})

    def depend_on(self, stages: set["PipelineStage"]) -> list["PipelineStage"]:
        """What reads outputs of any of these, directly or not."""
        found = set(stages)
        for stage, before in self.before.items():
            if before & found:
                found.add(stage)
        return [stage for stage in self.before if stage in found - stages]

    def lengths(self) -> dict["PipelineStage", int]:
        """How much is to be done from each stage on, one after the other: the longest comes first
        where several could."""
        length = dict.fromkeys(self.before, 0)
        for stage in reversed(self.before):
            length[stage] += LONG.get(kind(stage.addressing), 1)
            for one in self.before[stage]:
                length[one] = max(length[one], length[stage])
        return length


@dataclass(eq=False)
class Command:
    """The command of a stage, under way."""

    stage: "PipelineStage"
    slot: int
    process: "subprocess.Popen[bytes] | warm.Running"
    held: ExitStack  # the locks of its paths
    since: float


class Reproduction:
    """One run of a plan, by at most ``jobs`` commands at a time."""

    def __init__(
        self, repo: "Repo", plan: Plan, jobs: int, holds: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._repo, self._plan = repo, plan
        self._jobs, self._slots = jobs, list(range(jobs))
        self._gpus = gpus() if jobs > 1 else []
        self._prefixed = jobs > 1
        self._running: dict[Future[int], Command] = {}
        self._pool = ThreadPoolExecutor(jobs)  # of threads that wait for them
        self._server: warm.Server | None = None
        self._changes = Changes(plan.before, holds)
        self._lock = Lock(repo, [stage.addressing for stage in plan.before])
        self._failed: set[PipelineStage] = set()
        self._interrupted: set[PipelineStage] = set()
        self._stopped = False
        self._remaining: Remaining | None = None  # until a stage has to be run
        self.same = self.restored = self.made = 0

    def all(self) -> None:
        """Bring every stage up to date.

        Where one fails, those that run end and are recorded, and no other begins: a ``ValueError``
        says what failed and what depends on it. So does a first SIGINT to this process alone; a
        second one, or SIGTERM, ends what runs. Ctrl-C on a terminal reaches what runs by itself.
        """
        lengths = self._plan.lengths()
        rank = {stage: (-lengths[stage], number) for number, stage in enumerate(lengths)}
        ready: list[tuple[tuple[int, int], PipelineStage]] = []
        sorter = TopologicalSorter(self._plan.before)
        sorter.prepare()
        with self._ending(), self._repo.scm_context(), self._repo.lock:
            forget_cut_locks(Path(self._repo.tmp_dir))
            while True:
                for stage in sorter.get_ready():
                    heapq.heappush(ready, (rank[stage], stage))
                if ready and self._slots and not self._failed and not self._stopped:
                    stage = heapq.heappop(ready)[1]
                    if self._begun(stage):
                        sorter.done(stage)
                elif self._running:
                    sorter.done(*self._ended())
                else:
                    break
        if self._failed or self._stopped:
            raise ValueError(self._what_is_left())
        self._lock.complete()

    def _expected(self) -> Remaining:
        """What is likely to be run: the stages that look changed now, and what depends on them."""
        changed = {stage for stage in self._plan.before if self._looks_changed(stage)}
        names = [one.addressing for one in (*changed, *self._plan.depend_on(changed))]
        return Remaining(names, self._jobs, Path(self._repo.tmp_dir))

    def _looks_changed(self, stage: "PipelineStage") -> bool:
        """For what is said of the rest: an error is one when the stage is reached."""
        from dvc.exceptions import DvcException

        try:
            return self._changes.of(stage)
        except (DvcException, OSError, ValueError):
            return True

    def _begun(self, stage: "PipelineStage") -> bool:
        """Look at a stage and start its command; whether it is up to date without."""
        with self._failing(stage), ExitStack() as held:
            if stage.frozen or stage.is_import or not stage.cmd:  # this project has none
                stage.reproduce()
                stage.dump(update_pipeline=False)
                return True
            if not self._changes.of(stage):
                if self._remaining:
                    self._remaining.ended(stage.addressing)
                self.same += 1
                return True
            self._changes.forget(stage)
            held.enter_context(locked(stage))
            stage.remove_outs(ignore_remove=False, force=False)
            if self._was_cached(stage):
                self._record(stage)
                if self._remaining:
                    self._remaining.ended(stage.addressing)
                self.restored += 1
                return True
            stage.save_deps()
            self._remaining = self._remaining or self._expected()
            left = self._remaining.begins(stage.addressing)
            text = f"Running stage '{stage.addressing}' ({left}):\n> {stage.cmd}"
            print(text, flush=True)
            slot = self._slots.pop(0)
            process = self._start(stage, slot)
            command = Command(stage, slot, process, held.pop_all(), time.monotonic())
            self._running[self._pool.submit(process.wait)] = command
        return False

    def _was_cached(self, stage: "PipelineStage") -> bool:
        from dvc.stage.cache import RunCacheNotFoundError

        try:
            self._repo.stage_cache.restore(stage)
        except RunCacheNotFoundError:
            return False
        return True

    def _start(self, stage: "PipelineStage", slot: int) -> "subprocess.Popen[bytes] | warm.Running":
        from dvc.stage.run import get_executable, prepare_kwargs

        given = prepare_kwargs(stage)
        environment, folder = given["env"] | {entry.REPRO: "1"}, Path(given["cwd"])
        if self._gpus:
            environment[VISIBLE] = self._gpus[slot % len(self._gpus)]
        words = module(stage.cmd, environment)
        # a stage that is the only one to be run would not wait for the server to import
        if words and self._server is None and self.made and warm.possible():
            with suppress(OSError):
                self._server = warm.Server()
        with ExitStack() as opened:
            streams = [0, 1, 2]
            if self._prefixed:
                out, into = os.pipe()
                opened.callback(os.close, into)
                streams = [0, into, into]
                Thread(target=pass_on, args=(out, stage.addressing), daemon=True).start()
            if words and self._server is not None and self._server.ready:
                return self._server.run(words, folder, environment, streams)
            commands = [stage.cmd] if isinstance(stage.cmd, str) else list(stage.cmd or ())
            shell = [get_executable() or "/bin/sh", "-c", " && ".join(commands)]
            stdin, stdout, stderr = streams
            return subprocess.Popen(
                shell, cwd=folder, env=environment,
                stdin=stdin, stdout=stdout, stderr=stderr,
            )  # fmt: skip

    def _ended(self) -> list["PipelineStage"]:
        """Wait until a command ends, or several do; the stages that are up to date by it."""
        self._repo.lock.unlock()
        try:
            done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        finally:
            self._repo.lock.lock()
        commands = {self._running.pop(future): future.result() for future in done}
        good = []
        for command in sorted(commands, key=lambda one: one.slot):
            heapq.heappush(self._slots, command.slot)
            with self._failing(command.stage), command.held:
                code = commands[command]
                if self._stopped and code in BY_CTRL_C:
                    self._interrupted.add(command.stage)
                    continue
                if code:
                    raise ValueError(f"{command.stage.cmd}: {status(code)}")
                self._changes.forget(command.stage)
                self._record(command.stage)
                if self._remaining:
                    seconds = time.monotonic() - command.since
                    self._remaining.ended(command.stage.addressing, seconds)
                self.made += 1
                good.append(command.stage)
        return good

    def _record(self, stage: "PipelineStage") -> None:
        """As DVC does when a command has ended."""
        kept = [out for out in stage.outs if not out.is_metric and not out.is_plot]
        stage.save(run_cache=all(out.use_cache for out in kept))
        stage.commit()
        self._lock.record(stage)

    @contextmanager
    def _failing(self, stage: "PipelineStage") -> Generator[None]:
        """An error of a stage is its failure, and said at once."""
        from dvc.exceptions import DvcException

        try:
            yield
        except (DvcException, OSError, ValueError) as error:
            notices.line(f"{stage.addressing}: failed: {error}")
            self._failed.add(stage)

    def _what_is_left(self) -> str:
        said = []
        if self._stopped:
            within = [one.addressing for one in self._plan.before if one in self._interrupted]
            said.append(f"interrupted{' in ' if within else ''}{', '.join(within)}")
        if self._failed:
            failed = [one.addressing for one in self._plan.before if one in self._failed]
            said.append(f"failed: {', '.join(failed)}")
            if after := [one.addressing for one in self._plan.depend_on(self._failed)]:
                said.append(f"not run, since they depend on it: {', '.join(after)}")
        kept = entry.KEPT if self._interrupted else "and the same command goes on from there"
        return "; ".join([*said, f"what ended is recorded, {kept}"])

    @contextmanager
    def _ending(self) -> Generator[None]:
        """Signals ask to stop; whatever happens, no command is left behind."""

        def stop(number: int, _: object) -> None:
            if self._stopped or number == signal.SIGTERM:
                for command in list(self._running.values()):
                    command.process.send_signal(signal.SIGTERM)
            elif sys.stderr.isatty():
                os.write(2, b"\n")  # after the ^C that the terminal shows
            self._stopped = True

        numbers = [one for one in (signal.SIGINT, signal.SIGTERM) if heeded(one)]
        before = {one: signal.signal(one, stop) for one in numbers}
        try:
            yield
        finally:
            for command in self._running.values():
                command.process.send_signal(signal.SIGKILL)
            self._pool.shutdown()
            if self._remaining:
                self._remaining.write()
            if self._server is not None:
                self._server.close()
            for number, handler in before.items():
                signal.signal(number, handler)


class Lock:
    """`dvc.lock` of this folder."""

    def __init__(self, repo: "Repo", plan: list[str]) -> None:
        """A run that did not end is gone on with: what it recorded is put in order too."""
        self._repo, self._plan = repo, plan
        self._path, self._note = Path("dvc.lock"), Path(repo.tmp_dir, FIRST)
        there = list(lock_text.entries(self._text()) or {})
        with suppress(OSError, ValueError):
            first = json.loads(self._note.read_text())
            known = [one for one in first if one in there]
            if known == first and lock_text.in_order(there, first, plan) == there:
                there = first
        self._first = there
        self._note.write_text(json.dumps(there))

    def _text(self) -> str:
        return self._path.read_text() if self._path.exists() else ""

    def record(self, stage: "PipelineStage") -> None:
        """Write a stage's entry."""
        from dvc.stage.serialize import to_lockfile
        from dvc.utils.serialize import dumps_yaml

        text, name = self._text(), stage.name
        block = dumps_yaml({"stages": to_lockfile(stage)}).removeprefix("stages:\n")
        if name not in self._plan or lock_text.entries(text) is None:
            stage.dump(update_pipeline=False)
            return
        renewed = lock_text.renewed(text, name, block, self._first, self._plan)
        if renewed != text:
            with atomic.file(self._path) as temporary:
                temporary.write_text(renewed)
            self._repo.scm_context.track_file(str(self._path))

    def complete(self) -> None:
        """The run has ended."""
        self._note.unlink()


def locked(stage: "PipelineStage") -> AbstractContextManager[None]:
    """DVC's locks of the paths of a stage."""
    from dvc.rwlock import rwlock

    repo = stage.repo
    paths = [[one.fs_path for one in items] for items in (stage.deps, stage.outs)]
    hardlink = repo.config["core"].get("hardlink_lock", False)
    return rwlock(repo.tmp_dir, repo.fs, " ".join(sys.argv), *paths, hardlink)


def forget_cut_locks(folder: Path) -> None:
    """Remove DVC's list of locked paths where a process was killed while it wrote it.

    DVC itself stops at such a file. What it said is lost either way, and the process that wrote it
    is gone; another one would write it anew before it goes on. To be called with the repository
    locked.
    """
    from dvc.lock import make_lock
    from dvc.rwlock import RWLOCK_FILE, RWLOCK_LOCK

    path = folder / RWLOCK_FILE
    with make_lock(str(folder / RWLOCK_LOCK), tmp_dir=str(folder)):
        try:
            json.loads(path.read_text())
        except FileNotFoundError:
            return
        except ValueError:
            notices.line(f"{path}: cut off when something was killed; it is made anew")
            path.unlink()


def module(command: Any, environment: Mapping[str, str]) -> list[str]:
    """The words after `python -m` of a command that is nothing else, and of this Python."""
    with suppress(ValueError):
        words = shlex.split(command) if isinstance(command, str) else []
        python = shutil.which(PYTHON[0], path=environment.get("PATH"))
        here = python and Path(python).parent.resolve() == Path(sys.executable).parent.resolve()
        if here and words[:2] == PYTHON and shlex.join(words) == command:
            return words[2:]
    return []


def pass_on(out: int, name: str) -> None:
    """Say the lines of a command's output, each after the stage's name."""
    with os.fdopen(out, errors="replace") as lines:
        for line in lines:
            sys.stdout.write(f"{name} | {line.rstrip()}\n")
            sys.stdout.flush()


def heeded(number: signal.Signals) -> bool:
    """Whether a signal is not ignored, as Ctrl-C is in the background of a script."""
    return signal.getsignal(number) is not signal.SIG_IGN


def status(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit status {code}"
    with suppress(ValueError):
        return f"ended by {signal.Signals(-code).name}"
    return f"ended by signal {-code}"


@contextmanager
def told() -> Generator[None]:
    """What DVC says of a project that it cannot work with, as a line."""
    from dvc.exceptions import DvcException
    from dvc.scm import SCMError

    try:
        yield
    except SCMError as error:
        raise ValueError(
            f"{error}; make it one (`git init`), or do without: `dvc config core.no_scm true`"
        ) from error
    except DvcException as error:
        raise ValueError(str(error)) from error


def run(targets: Sequence[str], jobs: int, holds: Callable[[str], bool] = lambda _: False) -> str:
    """Bring the stages of this folder up to date, those that ``targets`` need or all; what was
    done, in a line. ``holds`` is that of ``Changes``."""
    from dvc.repo import Repo

    if jobs > cores():
        notices.line(f"repro: {jobs} jobs on {cores()} cores: they take turns")
    with told(), Repo(_wait_for_lock=True) as repo:
        with repo.lock:
            plan = Plan.of(repo, targets)
        run = Reproduction(repo, plan, jobs, holds)
        run.all()
    said = f"{run.made} stages run, {run.same} as they were"
    return f"{said}, {run.restored} from the run cache" if run.restored else said
