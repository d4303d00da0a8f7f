"""What `benchmarks.study` says of a study's time."""

import pytest

from benchmarks import study


def test_times_in_which_no_stage_works_and_the_longest_chain():
    lines = [
        (0.5, "Running stage 'fetch':"),
        (3.0, "fetch: all is here (2.0 s)"),
        (3.1, "Running stage 'train@a':"),
        (3.2, "Running stage 'train@b':"),
        (8.0, "train@a | train a: models/a (4.0 s)"),
        (9.0, "train@b | train b: models/b (5.5 s)"),
        (9.1, "train@b | a line that is no end"),
    ]
    found = study.worked(lines)
    assert found == [("fetch", 1.0, 3.0), ("train@a", 4.0, 8.0), ("train@b", 3.5, 9.0)]
    seconds = {one.stage: one.end - one.start for one in found}
    needs = {"fetch": set(), "train@a": {"fetch"}, "train@b": {"fetch"}, "report": {"train@a"}}
    path, total = study.longest(needs, seconds)
    assert (path, total) == (["fetch", "train@b"], 7.5)
    one = study.Measured("x", 10.0, found, path, total)
    assert one.idle == pytest.approx(10 - 2 - 5.5)
    assert "| 10 | 1.00 | 12 | 2 (25 %) | 8 |" in one.row(one)


def test_items_are_replaced_and_other_parameters_changed():
    content = {"train": {"threads": 1, "clip": {"shift": 1, "eps": 2}}, "runs": {"a": {}, "b": {}}}
    changes = {"train": {"clip": {"shift": 3}}, "runs": {"c": {}}}
    assert study.merged(content, changes) == {
        "train": {"threads": 1, "clip": {"shift": 3, "eps": 2}},
        "runs": {"c": {}},
    }
