"""Runs to conditions: draws of one split, and which conditions are compared with which."""

import pytest

from clipcause.config import layout, objectives
from clipcause.prune import rules
from clipcause.report import study
from clipcause.report.conditions import group
from tests import report_study

SLOTS = {"base": "dedup", "of": "none", "with": "none"}
CORE = {**SLOTS, "rule": "core", "tests": ["val"], "keep": 0.5}


def made(splits, runs):
    parsed = {name: rules.parse(entry, f"splits.{name}") for name, entry in splits.items()}
    entries = {
        name: objectives.parse(
            {"split": split, "objective": "clip", "seed": seed, "text_from": "none"}, name
        )
        for name, (split, seed) in runs.items()
    }
    return group(entries, parsed, dict.fromkeys(splits, 10), ())


def random(seed, of="core"):
    return {**SLOTS, "rule": "random", "of": of, "seed": seed}


def quota(seed):
    return {**SLOTS, "rule": "quota", "of": "core", "by": "mention", "seed": seed}


def test_draws_of_a_split_are_one_condition_that_controls_what_each_of_them_controls():
    names = ("random-core", "quota-core")
    splits = {"core": CORE}
    splits |= {f"random-core-{seed}": random(seed) for seed in range(3)}
    splits |= {f"quota-core-{seed}": quota(seed) for seed in range(3)}
    runs = {f"core-{seed}": ("core", seed) for seed in range(3)}
    runs |= {f"{name}-{seed}": (f"{name}-{seed}", seed) for name in names for seed in range(3)}
    found = made(splits, runs)
    assert set(found) == {"core", *names}
    core, drawn = found["core"], found["random-core"]
    assert core.controls == ("random-core",)
    assert core.alike == ("quota-core",)
    assert core.splits == ("core",)
    assert drawn.runs == drawn.draws == drawn.splits
    assert drawn.split == "random-core-0"
    assert drawn.seeds == (0, 1, 2)
    assert found["quota-core"].controls == ("random-core",)
    assert not found["quota-core"].alike


def test_splits_that_differ_in_more_than_their_seed_are_conditions_of_their_own():
    splits = {"core": CORE, "core-b": {**CORE, "keep": 0.25}}
    splits |= {"random-core": random(0), "random-core-b": random(1, "core-b")}
    found = made(splits, {f"{name}-0": (name, 0) for name in splits})
    assert set(found) == set(splits)
    assert not any(one.draws for one in found.values())


@pytest.mark.parametrize(
    ("splits", "name"),
    [
        (("control", "control-1"), "control"),
        (("control-9", "control-10"), "control"),
        (("one", "two"), "one"),
        (("core-1", "core-2"), "core-1"),  # `core` is another split
    ],
)
def test_the_name_of_draws_is_what_their_names_have_in_common(splits, name):
    every = {"core": CORE} | {one: random(seed) for seed, one in enumerate(splits)}
    found = made(every, {f"{one}-0": (one, 0) for one in splits})
    assert list(found) == [name]
    assert found[name].splits == splits


def test_several_runs_on_each_draw_are_all_of_the_condition():
    splits = {"core": CORE, "random-a": random(0), "random-b": random(1)}
    runs = {f"{name}-{seed}": (name, seed) for name in ("random-a", "random-b") for seed in (0, 1)}
    (one,) = made(splits, runs).values()
    assert one.name == "random"
    assert one.runs == tuple(runs)
    assert one.splits == ("random-a", "random-b")
    assert one.draws == ("random-a", "random-a", "random-b", "random-b")


def test_a_run_that_failed_is_left_out_and_named_where_others_of_its_condition_did_not(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    again = {"split": "full", "objective": "clip", "seed": 1}
    report_study.write_study(runs={**report_study.RUNS, "full-1": again})
    (layout.predictions("full-1") / "sketch.parquet").unlink()
    assert study.load().conditions["full"].runs == ("full-0",)
    said = capsys.readouterr().err
    assert "predictions/full-1/sketch.parquet is not there: full-1 is left out" in said
    assert "1 of its 2 runs; `dvc repro evaluate@full-1` makes it" in said
    (layout.predictions("full-0") / "val.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="evaluate@full-"):
        study.load()
