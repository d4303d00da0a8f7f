"""``python -m clipcause tasks [STUDY] [--run RUN …]``: a study's test sets beside DataComp's tasks.

A line a task: the test set that it is, or where the hub has it; its main metric, and what a guess
has. Of the runs, by default the first that was evaluated, every test set by that metric, and the
mean over those at hand; it is no average of DataComp, which is over all 38 tasks.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from clipcause.check import parameters
from clipcause.check.command import where
from clipcause.config import FILE, benchmark, layout, unknown
from clipcause.config.benchmark import COMPUTED, MEAN_R1, Benchmark
from clipcause.runtime import metrics
from clipcause.runtime.columns import aligned

BLANK = "–"
Numbers = Mapping[str, Mapping[str, Any]]  # of a run, by test set


def main(*words: str) -> str:
    """Print a study's test sets beside the tasks of DataComp."""
    parser = argparse.ArgumentParser(prog="python -m clipcause tasks", description=__doc__)
    parser.add_argument("study", nargs="?", default="", help="by name or file; of this folder")
    parser.add_argument("--run", nargs="+", default=[], help="the first that was evaluated")
    said = parser.parse_args(words)
    path = (where(said.study) if said.study else Path()) / FILE
    content = parameters.check(path, here=False)
    runs, tests = evaluated(said.run, content, path), by_task(content, str(path))
    table = benchmark.load()
    print(aligned([_head("task", "at hand, or where", runs), *_rows(table, tests, runs)], left=3))
    print("\n".join(["", *remarks(table, tests, runs)]))
    if own := [test for test in content["tests"] if test not in tests.values()]:
        asked = {test: benchmark.metric(test, content, str(path)) for test in own}
        head = [f"not of {table.name}", *_head("", "", runs)[2:]]
        print(f"\n{aligned([head, *_own(asked, runs)], left=2)}")
    return f"{path}: {len(tests)} of {table.name}'s {len(table.tasks)} tasks are at hand"


def evaluated(named: Sequence[str], content: Mapping[str, Any], path: Path) -> dict[str, Numbers]:
    """What `evaluate` measured of the runs that are named, or of the first of which it did.

    Raises ``ValueError`` for a run that there is not, ``FileNotFoundError`` for one that was not
    evaluated.
    """
    files = {run: path.parent / layout.metrics("evaluate", run) for run in content["runs"]}
    for run in named:
        if run not in files:
            raise unknown("run", run, files, f"{path}: runs")
        if not files[run].exists():
            raise FileNotFoundError(f"{files[run]}: not found; `dvc repro evaluate@{run}` makes it")
    chosen = named or [run for run in files if files[run].exists()][:1]
    return {run: metrics.read(files[run]) for run in chosen}


def by_task(content: Mapping[str, Any], where: str) -> dict[str, str]:
    """By task, the test set that it is. Raises ``ValueError`` where two are the same."""
    found: dict[str, str] = {}
    for test in content["tests"]:
        if (key := benchmark.of(test, content, where)) is None:
            continue
        if key in found:
            raise ValueError(
                f"{where}: tests.{test}: {key} is tests.{found[key]} already; say benchmark: none "
                "in one of them"
            )
        found[key] = test
    return found


def value(of: Mapping[str, Any], metric: str) -> float | None:
    """A metric of what `evaluate` measured on a test set; None where it did not."""
    if metric != MEAN_R1:
        return of.get(metric)
    ways = [of[way]["r1"] for way in ("image_to_text", "text_to_image") if way in of]
    return mean(ways) if ways else None


def remarks(
    table: Benchmark, tests: Mapping[str, str], runs: Mapping[str, Numbers]
) -> Iterator[str]:
    """What the table does not say: means, what other pictures a test set has, what is not known."""
    for run, numbers in runs.items():
        values = {
            key: value(numbers.get(test, {}), table.tasks[key].metric)
            for key, test in tests.items()
        }
        known = {key: one for key, one in values.items() if one is not None}
        guesses = [one for key in known if (one := benchmark.chance(table.tasks[key])) is not None]
        if known:
            yield (
                f"{run}: mean {mean(known.values()):.4f} over {len(known)} of {len(table.tasks)} "
                f"tasks, of a guess {mean(guesses):.4f}; it is not {table.name}'s average, which "
                "is over all of them"
            )
    for key, test in tests.items():
        seen = {numbers[test]["n"] for numbers in runs.values() if test in numbers}
        for number in sorted(seen - {table.tasks[key].pictures}):
            yield f"{test}: {number:,} pictures, where the task has {table.tasks[key].pictures:,}"
    absent = sorted({one.metric for one in table.tasks.values()} - {*COMPUTED})
    number = sum(one.metric in absent for one in table.tasks.values())
    yield (
        f"{number} of {len(table.tasks)} tasks have a metric that is not computed here: "
        f"{', '.join(absent)}"
    )


def _head(first: str, second: str, runs: Mapping[str, Numbers]) -> list[str]:
    return [first, second, "metric", "pictures", "classes", "chance", "by shares", *runs]


def _rows(
    table: Benchmark, tests: Mapping[str, str], runs: Mapping[str, Numbers]
) -> Iterator[list[str]]:
    for key, task in table.tasks.items():
        test = tests.get(key)
        facts = [_whole(task.pictures), _whole(task.classes), _share(benchmark.chance(task))]
        values = [value(of.get(test, {}), task.metric) if test else None for of in runs.values()]
        yield [
            task.name, test or task.hub[0], task.metric, *facts,
            _share(task.by_shares), *map(_share, values),
        ]  # fmt: skip


def _own(asked: Mapping[str, str], runs: Mapping[str, Numbers]) -> Iterator[list[str]]:
    for test, metric in asked.items():
        every = [of.get(test, {}) for of in runs.values()]
        first = next(filter(None, every), {})
        number = first.get("n" if metric == MEAN_R1 else "classes")
        values = [value(of, metric) for of in every]
        facts = [_whole(first.get("n")), _whole(first.get("classes"))]
        yield [test, metric, *facts, _share(number and 1 / number), "", *map(_share, values)]


def _whole(number: int | None) -> str:
    return BLANK if number is None else f"{number:,}"


def _share(number: float | None) -> str:
    return BLANK if number is None else f"{number:.4f}"
