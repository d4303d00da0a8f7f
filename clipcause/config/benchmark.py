"""DataComp's 38 tasks: which test sets there are, what each is judged by, and what a guess has.

The table is ``datacomp.yaml`` beside this file, which says where each fact was read. A test set of
a study is one of the tasks if its data set is read from a place that the task names, or if its
entry of `tests` says so, ``benchmark: TASK``; ``benchmark: none`` says that it is none.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from clipcause.config import Strict, layout, parse, places, unknown, yaml12

FILE = Path(__file__).parent / "datacomp.yaml"
HUB = re.compile(r"hf://datasets/([^/@]+/[^/@]+)")
OfClasses = Literal["top1", "mean_per_class"]
MEAN_R1 = "mean_r1"
COMPUTED = (*get_args(OfClasses), MEAN_R1)  # by `evaluate`
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=1)]


class Task(Strict):
    """A test set, what is asked of it, and what it is judged by.

    ``hub``: the data sets of the Hugging Face hub, ``OWNER/NAME``, that have it, the benchmark's
    own first. ``metric``: the benchmark's main one. ``top1`` and ``mean_per_class`` are those of
    `evaluate`; ``mean_r1`` is the mean of R@1 in both directions; `evaluate` has no others.
    ``by_shares``: top-1 of a guess that is drawn by the labels' own shares, where it is not
    1/classes. ``chance``: of other metrics, as the benchmark states it.
    """

    name: str
    kind: Literal["classify", "retrieval", "other"]
    pictures: Count | None
    classes: Count | None = None
    metric: Literal[OfClasses, "mean_r1", "f1_macro", "worst_group", "worst_group_top5", "jaccard"]
    by_shares: Share | None = None
    chance: Share | None = None
    hub: Annotated[list[str], Field(min_length=1)]
    note: str = Field("", description="why something is not known")

    @model_validator(mode="after")
    def _complete(self) -> "Task":
        if self.metric in COMPUTED and self.chance is not None:
            raise ValueError(f"chance of {self.metric} follows from classes or pictures")
        if self.metric in get_args(OfClasses) and self.classes is None:
            raise ValueError(f"classes are missing, of which {self.metric} is")
        if (self.pictures is None or chance(self) is None) and not self.note:
            raise ValueError("note is missing: why pictures, or the chance level, are not known")
        return self


class Source(Strict):
    """Where something was read, and when that was last changed."""

    source: str
    date: str


class Benchmark(Strict):
    """Its tasks by its own keys, and where each field, and each owner's names, were read."""

    name: str
    read: dict[str, Source]
    tasks: dict[str, Task]


def chance(task: Task) -> float | None:
    """What a guess has on average that takes no picture for another: each class, or each caption
    and each picture, alike. None where no source says it.

    Of the mean per class it is 1/classes however uneven the guess. R@1 is 1/pictures both ways: of
    all captions an image owns its own, and the mean over images is that of one in as many.
    """
    if task.metric in get_args(OfClasses) and task.classes:
        return 1 / task.classes
    if task.metric == MEAN_R1 and task.pictures:
        return 1 / task.pictures
    return task.chance


@cache
def load() -> Benchmark:
    """The table of this package."""
    return parse(yaml12.load(FILE.read_bytes(), FILE.name), Benchmark, FILE.name)


def of(test: str, content: Mapping[str, Any], where: str) -> str | None:
    """The task that a test set of a study is; None where it is none.

    Raises ``ValueError`` with the nearest name for a task that there is not.
    """
    entry = content["tests"][test] or {}
    if (named := entry.get("benchmark")) is not None:
        if named != layout.NONE and named not in load().tasks:
            raise unknown("task", named, load().tasks, f"{where}: tests.{test}.benchmark")
        return None if named == layout.NONE else named
    name = layout.test(test)
    data = content["datasets"].get(name) or {}
    data = places.resolved(data, content, f"{where}: datasets.{name}")
    # most studies have no test set of the hub, and need no table
    if found := HUB.match(str(data.get("place"))):
        for key, task in load().tasks.items():
            if found[1] in task.hub and task.kind == entry.get("task", "classify"):
                return key
    return None


def metric(test: str, content: Mapping[str, Any], where: str) -> str:
    """What a test set is judged by: what its entry says, else its task's main metric, else top-1,
    or of captions the mean of R@1.

    Raises as ``of`` does.
    """
    entry, task = content["tests"][test] or {}, of(test, content, where)
    if "metric" in entry:
        return entry["metric"]
    if task:
        return load().tasks[task].metric
    return MEAN_R1 if entry.get("task") == "retrieval" else "top1"


def check(content: Mapping[str, Any], where: str) -> None:
    """Raise ``ValueError`` where a test set names a task that there is not, or one that asks for
    something else, or is judged by something else than its task."""
    for test in content["tests"]:
        if (key := of(test, content, where)) is None:
            continue
        task, entry = load().tasks[key], content["tests"][test] or {}
        asked, place = entry.get("task", "classify"), f"{where}: tests.{test}"
        if "benchmark" in entry and task.kind != asked:
            raise ValueError(
                f"{place}: task is {asked}, but {key} of {load().name} is of kind {task.kind}"
            )
        if (named := entry.get("metric")) not in (None, task.metric):
            raise ValueError(
                f"{place}.metric: {named}, but {load().name}'s main metric of {key} is "
                f"{task.metric}; leave metric out, or say benchmark: none"
            )
