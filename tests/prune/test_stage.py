"""The prune stage on a small pool, and the parameters of splits."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from clipcause.config import layout
from clipcause.data import dataset
from clipcause.prune import rules, split
from clipcause.runtime import metrics
from clipcause.search import scores
from stages import prune
from tests.artifacts_samples import contents, make_dataset

SLOTS = {"base": "dedup", "of": "none", "with": "none"}
SPLITS = {
    "full": {"rule": "none"},
    "hull-sketch": {"rule": "hull", "tests": ["sketch"], "delta": 0.0},
    "combined": {"rule": "hull", "tests": ["sketch", "r"], "delta": 0.0},
    "near-sketch": {"rule": "near", "tests": ["sketch"], "keep": 3},
    "far-sketch": {"rule": "far", "tests": ["sketch"], "keep": 4},
    "core": {"rule": "core", "tests": ["sketch", "r"], "keep": 0.5},
    "random-core": {"rule": "random", "of": "core", "seed": 0},
    "random-3": {"rule": "random", "keep": 3, "seed": 1},
    "both": {"rule": "union", "of": "hull-sketch", "with": "core"},
    "common": {"rule": "intersection", "of": "hull-sketch", "with": "core"},
    "rest": {"rule": "difference", "of": "full", "with": "core"},
    "duplicates": {"rule": "difference", "of": "all", "with": "dedup", "base": "all"},
}
# the pool has 10 rows, of which 3, 5 and 9 are duplicates
DEDUP = [0, 1, 2, 4, 6, 7, 8]
MARGIN = {
    "sketch": [0.1, -0.1, 0, 9, -0.2, 9, 0.3, -0.3, -0.1, 9],
    "r": [-0.1, 0.2, 0, 9, -0.2, 9, 0.3, -0.3, -0.1, 9],
}
MAX_SIM = {
    "sketch": [0.8, 0.5, 0.5, 1, 0.1, 1, 0.9, 0.5, 0.2, 1],
    "r": [0.2, 0.95, 0.2, 1, 0.2, 1, 0.2, 0.2, 0.6, 1],
}
EXPECTED = {
    "full": DEDUP,
    "hull-sketch": [1, 2, 4, 7, 8],
    "combined": [2, 4, 7, 8],
    "near-sketch": [1, 4, 8],  # by (similarity, row): 4, 8, 1, 2, 7, 0, 6
    "far-sketch": [0, 2, 6, 7],
    "core": [0, 1, 6, 8],  # 0.5 of 7 rows is 3.5, rounded to 4: .95, .9, .8, .6
    "both": [0, 1, 2, 4, 6, 7, 8],
    "common": [1, 8],
    "rest": [2, 4, 7],
    "duplicates": [3, 5, 9],
}


def write_parameters(tests=("sketch", "r"), **changes):
    items = {name: {**SLOTS, **item} for name, item in SPLITS.items()}
    content = {
        "reference": "reference",
        "encoder": {"name": "clip", "run": "full-0"},
        "tests": {test: {} for test in tests},
        "splits": {**items, **changes},
    }
    Path("params.yaml").write_text(yaml.safe_dump(content))


def write_scores(pool, test):
    test_scores = scores.TestScores(
        row=np.arange(2),
        reference_sim=np.zeros(2),
        reference_row=np.zeros(2, np.int64),
        pool_sim=np.zeros(2),
        pool_row=np.zeros(2, np.int64),
    )
    pool_scores = scores.PoolScores(
        max_sim=np.array(MAX_SIM[test], np.float32),
        nearest=np.zeros(10, np.int32),
        margin=np.array(MARGIN[test], np.float32),
    )
    card = {"encoder": "e" * 64, "pool": pool, "reference": "r" * 64, "test": test[0] * 64}
    scores.write(layout.similarity("clip", "reference", test), pool_scores, test_scores, card)


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pool = make_dataset(layout.dataset("pool"), 10).sha256
    card = {"pool": pool, "pool_rows": 10}
    split.write(layout.split("all"), np.arange(10), card=card)
    split.write(layout.split("dedup"), np.array(DEDUP), card=card)
    for test in MARGIN:
        write_scores(pool, test)
    write_parameters()
    return pool


def test_a_base_that_is_almost_empty_says_where_its_rows_went(house):
    split.write(layout.split("dedup"), [0], card={"pool": house, "pool_rows": 10})
    write_parameters(x={**SLOTS, **SPLITS["hull-sketch"]})
    with pytest.raises(
        ValueError, match=r"none of the base's 1 rows; 9 of the pool's 10 went before"
    ):
        prune.main("x")


def made(*names):
    for name in names:
        prune.main(name)
    return split.read(layout.split(names[-1]))


@pytest.mark.parametrize("name", EXPECTED)
def test_every_rule_by_hand(house, name):
    needed = {"both", "common", "rest"} & {name} and ("full", "hull-sketch", "core")
    assert made(*needed, name).rows.tolist() == EXPECTED[name]


def test_random_has_the_size_of_the_other_split(house):
    found = made("core", "random-core")
    assert len(found) == 4
    assert set(found.rows.tolist()) <= set(DEDUP)
    assert len(made("random-3")) == 3


def test_the_card_says_where_a_split_comes_from(house):
    found = made("combined")
    assert found.card == {
        "pool": house,
        "pool_rows": 10,
        "rule": "hull",
        "parameters": {**SLOTS, **SPLITS["combined"]},
        "base": "dedup",
        "base_rows": 7,
        "kept": 4,
        "removed": 3,
        "share_of_base": 0.571429,
        "share_of_pool": 0.4,
        "encoder": "e" * 64,
        "reference": "r" * 64,
        "removed_per_test": {"sketch": 2, "r": 2},
    }
    assert metrics.read(layout.metrics("prune", "combined")) == {
        "kept": 4,
        "removed": 3,
        "share_of_base": 0.571429,
        "share_of_pool": 0.4,
        "removed_per_test": {"sketch": 2, "r": 2},
    }


def test_bytes_repeat(house):
    made("core")
    before = contents(layout.split("core"))
    made("core")
    assert contents(layout.split("core")) == before


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"rule": "hul", "tests": ["r"]}, r"splits\.x: unknown rule 'hul'; did you mean 'hull'"),
        ({"tests": ["r"]}, r"splits\.x: rule is missing"),
        (
            {"rule": "hull", "tests": ["skecth"]},
            r"splits\.x\.tests: unknown test set 'skecth'; did you mean 'sketch'",
        ),
        ({"rule": "hull", "tests": ["a"]}, "unknown test set 'a'; known: r, sketch"),
        ({"rule": "hull", "tests": []}, r"splits\.x\.tests: .*at least 1 item"),
        ({"rule": "hull", "tests": ["r", "r"]}, "a test set comes twice"),
        (
            {"rule": "hull", "tests": ["r"], "dleta": 0.1},
            r"dleta: unknown parameter; did you mean 'delta'",
        ),
        (
            {"rule": "hull", "tests": ["r"], "of": "core"},
            r"x\.of: 'core' is not valid; .*'none'|none",
        ),
        ({"rule": "none", "base": "dedupe"}, "unknown split 'dedupe'; did you mean 'dedup'"),
        ({"rule": "near", "tests": ["r"]}, r"x\.keep: missing"),
        ({"rule": "near", "tests": ["r"], "keep": 1.0}, "less than 1"),
        ({"rule": "near", "tests": ["r"], "keep": 0}, "greater than"),
        ({"rule": "near", "tests": ["r"], "keep": 8}, "keep 8 is more than the 7 rows of the base"),
        ({"rule": "near", "tests": ["r"], "keep": 0.01}, "of 7 rows of the base keeps nothing"),
        ({"rule": "random", "seed": 0}, "either keep or of"),
        ({"rule": "random", "seed": 0, "keep": 1, "of": "core"}, "either keep or of"),
        ({"rule": "random", "seed": 0, "of": "croe"}, "unknown split 'croe'; did you mean 'core'"),
        ({"rule": "random", "seed": 0, "of": "x"}, "cannot refer to itself"),
        ({"rule": "union", "of": "core"}, "names two splits"),
        (
            {"rule": "hull", "tests": ["r"], "delta": -2.0},
            r"splits\.x: hull keeps none of the base's 7 rows",
        ),
    ],
)
def test_bad_parameters_are_named_and_leave_nothing(house, item, message):
    write_parameters(x={**SLOTS, **item})
    with pytest.raises(ValueError, match=message):
        prune.main("x")
    assert not layout.split("x").exists()
    assert not layout.metrics("prune", "x").exists()


def test_an_unknown_split_is_named(house):
    with pytest.raises(ValueError, match="unknown split 'cor'; did you mean 'core'"):
        prune.main("cor")


def test_names_of_other_stages_are_taken(house):
    write_parameters(dedup={**SLOTS, "rule": "none"})
    with pytest.raises(ValueError, match=r"splits\.dedup: the name is taken"):
        prune.main("dedup")


def test_circles_are_found(house):
    assert list(rules.load_all()) == sorted(SPLITS)
    write_parameters(
        x={**SLOTS, "rule": "random", "seed": 0, "of": "y"},
        y={**SLOTS, "rule": "union", "of": "core", "with": "x"},
    )
    with pytest.raises(ValueError, match="refers to itself: x -> y -> x"):
        rules.load_all()


def test_scores_and_splits_of_another_pool_are_errors(house):
    made("core")
    make_dataset(layout.dataset("pool"), 11)
    with pytest.raises(
        ValueError, match=r"splits/dedup/pool: made from pool manifest .* make the split"
    ):
        prune.main("full")
    pool = dataset.read(layout.dataset("pool"), shards=False).sha256
    for base in ("all", "dedup"):
        split.write(layout.split(base), np.arange(5), card={"pool": pool})
    with pytest.raises(ValueError, match=r"splits\.core: .*sketch: made with another pool"):
        prune.main("core")
    with pytest.raises(ValueError, match=r"splits\.random-core: splits/core/pool: made from pool"):
        prune.main("random-core")


def test_scores_of_fewer_rows_are_an_error(house):
    short = {name: values[:9] for name, values in (("m", MARGIN["r"]), ("s", MAX_SIM["r"]))}
    pool_scores = scores.PoolScores(
        max_sim=np.array(short["s"], np.float32),
        nearest=np.zeros(9, np.int32),
        margin=np.array(short["m"], np.float32),
    )
    test_scores = scores.read(layout.similarity("clip", "reference", "r")).test
    card = {"encoder": "e" * 64, "pool": house, "reference": "r" * 64, "test": "r" * 64}
    scores.write(layout.similarity("clip", "reference", "r"), pool_scores, test_scores, card)
    with pytest.raises(ValueError, match=r"reference/r: 9 pool rows, the pool has 10"):
        prune.main("combined")


def test_scores_that_are_not_there_are_named(house):
    write_parameters(tests=("sketch", "val"), x={**SLOTS, "rule": "hull", "tests": ["val"]})
    with pytest.raises(
        ValueError, match=r"clip/reference: unknown test set 'val'; known: r, sketch"
    ):
        prune.main("x")


def test_the_command_fails_with_one_line(house):
    root = Path(prune.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "stages.prune"]
    done = subprocess.run([*command, "cor"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr == (
        "prune cor: error: params.yaml: splits: unknown split 'cor'; did you mean 'core'?\n"
    )
    done = subprocess.run([*command, "core"], capture_output=True, text=True, env=environment)
    assert done.stdout.startswith("prune core: 4 of 7 rows kept (57.1% of dedup)")
