"""How much of a run is left, in words."""

import json

import pytest

from clipcause.runtime.remaining import FILE, Remaining, told


def test_stages_are_counted_and_their_time_is_that_of_their_kind(tmp_path):
    names = ["fetch", *(f"train@{number}" for number in range(10)), "report"]
    left = Remaining(names, 2, tmp_path)
    assert left.begins("fetch") == "1 of 12"
    left.ended("fetch", 3.0)
    assert left.begins("train@0") == "2 of 12"
    assert left.begins("train@1") == "3 of 12"
    left.ended("train@0", 110.0)
    left.ended("train@1", 130.0)
    # eight of 120 seconds, two at a time, and a report that nobody has seen
    assert left.begins("train@2") == "4 of 12, at least 8 min left"
    left.ended("train@3")  # was not to be run after all
    assert left.begins("train@4") == "5 of 11, at least 7 min left"
    left.write()
    assert json.loads((tmp_path / FILE).read_text()) == {"fetch": 3.0, "train": 120.0}
    again = Remaining(["train@0"], 1, tmp_path)
    assert again.begins("train@0") == "1 of 1, about 2 min left"
    assert again.begins("prune@x").startswith("2 of 2, at least")


@pytest.mark.parametrize("stored", ["", "[1]", '{"train": "x"}'])
def test_a_note_that_says_nothing_is_none(tmp_path, stored):
    (tmp_path / FILE).write_text(stored)
    assert Remaining(["train@0"], 1, tmp_path).begins("train@0") == "1 of 1"


def test_times_are_told_as_they_are_known():
    assert [told(seconds) for seconds in (1.0, 44.0, 100.0, 600.0, 5300.0, 5400.0, 36000.0)] == [
        "10 s", "40 s", "2 min", "10 min", "88 min", "1.5 h", "10.0 h",
    ]  # fmt: skip
