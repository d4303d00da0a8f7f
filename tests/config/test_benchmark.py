"""The table of DataComp's tasks: complete, and of numbers that agree."""

import pytest

from clipcause.config import benchmark, parse
from clipcause.config.benchmark import COMPUTED, Task, chance

TASKS = benchmark.load().tasks
# pictures of each class of the test sets, as their authors publish them
LABELS = {
    "mnist": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    "vtab/svhn": [1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595],
}
TASK = {
    "name": "a", "kind": "classify", "pictures": 9, "classes": 3, "metric": "top1", "hub": ["a/b"],
}  # fmt: skip


def test_the_tasks_are_38_and_each_is_somewhere_else():
    assert len(TASKS) == 38
    assert len({task.name for task in TASKS.values()}) == 38
    places = [place for task in TASKS.values() for place in task.hub]
    assert len(set(places)) == len(places)
    assert all(place.count("/") == 1 for place in places)


def test_where_each_fact_was_read_is_stated():
    fields = {"kind", "pictures", "classes", "metric", "by_shares", "chance"}
    owners = {place.split("/")[0] for task in TASKS.values() for place in task.hub}
    assert set(benchmark.load().read) == fields | owners


def test_a_guess_has_one_in_as_many_classes_or_pictures():
    for task in TASKS.values():
        if task.metric in ("top1", "mean_per_class"):
            assert chance(task) == 1 / (task.classes or 0)
        elif task.metric == "mean_r1":
            assert chance(task) == 1 / (task.pictures or 0)
        else:
            assert chance(task) == task.chance
            assert task.metric not in COMPUTED
            assert task.note
    assert sum(task.metric in COMPUTED for task in TASKS.values()) == 33
    assert chance(TASKS["misc/winogavil"]) == 0.205


def test_by_shares_is_the_sum_of_the_labels_squared_shares():
    for key, count in LABELS.items():
        assert TASKS[key].pictures == sum(count)
        assert TASKS[key].classes == len(count)
        found = sum((one / sum(count)) ** 2 for one in count)
        assert TASKS[key].by_shares == pytest.approx(found, abs=5e-7)
    # by Cauchy and Schwarz never below that of even classes
    for task in TASKS.values():
        assert task.by_shares is None or task.by_shares > 1 / (task.classes or 0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"metric": "top3"}, r"here\.metric: 'top3' is not valid; did you mean 'top1'\?"),
        ({"classes": None}, "classes are missing, of which top1 is"),
        ({"chance": 0.1}, "chance of top1 follows from classes or pictures"),
        ({"pictures": None}, "note is missing: why pictures"),
        ({"metric": "jaccard"}, "note is missing: why pictures, or the chance level"),
        ({"hub": []}, r"here\.hub: .*at least 1"),
    ],
)
def test_entries_that_say_too_little_or_too_much(changed, message):
    with pytest.raises(ValueError, match=message):
        parse(TASK | changed, Task, "here")
