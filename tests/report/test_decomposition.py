"""The report's parts on what explains accuracy: data of the plots by brute force, words, limits."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clipcause.config import layout
from clipcause.config.report import Report
from clipcause.evaluate import predictions
from clipcause.report import study
from clipcause.report.inputs import Inputs
from clipcause.report.seen import Seen
from clipcause.report.tables import byfrequency, decomposition, robustness
from clipcause.search import gap
from clipcause.stats.statistics import wilson
from tests import report_study
from tests.report_study import REPORT, RUNS, SPLITS, write_study

FREQUENCIES = {"cat": 0, "key": 7, "sun": 64}


def write_classes(runs=RUNS, tests=("val", "sketch"), frequencies=None):
    """Class frequencies as `evaluate` writes them; a supervised run has others."""
    for number, run in enumerate(runs):
        for test in tests:
            known = frequencies or {key: n + number for key, n in FREQUENCIES.items()}
            columns: list[list[Any]] = [
                list(known),
                list(known),
                list(known.values()),
                [10] * 3,
                [0.5] * 3,
                [10] * 3,
            ]
            columns += [[None] * 3] * 5
            table = pa.table(columns, schema=predictions.CLASSES_SCHEMA)
            predictions.write_classes(layout.predictions(run), test, table)


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_study()
        write_classes()
        report_study.reported()
    return folder


@pytest.fixture
def inside(reported, monkeypatch):
    monkeypatch.chdir(reported)
    return reported


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(**more):
    return Report.model_validate(REPORT | more)


def loaded(**more):
    return Inputs(study.load(), settings(**more))


def rows_of(name):
    with Path(f"report/plots/{name}.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def answers(run, test):
    table = predictions.read(layout.predictions(run), test)
    return table["label"].to_pylist(), table["rank"].to_numpy() == 1


def test_accuracy_by_frequency_is_that_of_the_images_of_such_classes(inside):
    labels, right = answers("hull-sketch-0", "sketch")
    # 1, 8 and 65 rows: the run is the second
    edges = {"cat": ("1", "2"), "key": ("8", "16"), "sun": ("64", "128")}
    found = [
        row for row in rows_of("byfrequency")
        if (row["split"], row["test"]) == ("hull-sketch", "sketch")
    ]  # fmt: skip
    assert {(row["from"], row["below"]) for row in found} == set(edges.values())
    for row in found:
        name = next(key for key, edge in edges.items() if edge == (row["from"], row["below"]))
        mine = [hit for label, hit in zip(labels, right, strict=True) if label == name]
        low, high = wilson(int(sum(mine)), len(mine))
        assert int(row["images"]) == len(mine)
        assert float(row["accuracy"]) == pytest.approx(100 * np.mean(mine), abs=1e-3)
        assert [float(row["low"]), float(row["high"])] == pytest.approx(
            [100 * low, 100 * high], abs=1e-3
        )


def test_classes_without_rows_have_a_bin_of_their_own(inside):
    rows = [row for row in rows_of("byfrequency") if row["split"] == "full"]
    assert ("0", "1", "0.5") in {(row["from"], row["below"], row["frequency"]) for row in rows}


def test_bins_of_frequency_begin_at_powers_of_two():
    values = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 7.99, 8, 2**20 - 1, 2**20], dtype=np.float64)
    assert byfrequency.frequency_bin(values).tolist() == [-1, 0, 0, 0, 1, 1, 2, 2, 3, 19, 20]


def test_the_grid_has_every_image_once_or_counts_it_as_left_out():
    rng = np.random.default_rng(0)
    one = Seen(
        rng.uniform(0.3, 1.0, 200),
        2.0 ** rng.integers(0, 8, 200) - 1,
        (rng.random(200) < 0.5).astype(np.float64),
        np.arange(200),
    )
    rows, (cells, images) = byfrequency.grid(one, 0.2, 9, ("val", "full"))
    assert sum(row.images for row in rows) + images == 200
    assert cells > 0
    for row in rows:
        is_in = (one.similarity_Q >= row.similarity_from - 1e-12) & (
            one.similarity_Q < row.similarity_to
        )
        low, below = row.frequency_from, row.frequency_below
        assert one.frequency_Q is not None
        is_in &= (one.frequency_Q >= low) & (one.frequency_Q < below)
        assert row.images == is_in.sum() >= 9
        assert row.accuracy == pytest.approx(100 * one.correct_Q[is_in].mean(), abs=1e-3)


def test_differences_are_those_of_the_table(inside):
    with Path("report/table.csv").open(newline="") as stream:
        expected = {
            (row["split"], row["test"]): -100 * float(row["drop"])  # split minus random
            for row in csv.DictReader(stream)
            if row["drop"]
        }
    found = {
        (row["split"], row["test"]): float(row["points"])
        for row in rows_of("explained")
        if row["kind"] == decomposition.OBSERVED
    }
    assert found
    for at, value in found.items():
        assert value == pytest.approx(expected[at], abs=1e-3)


def test_images_whose_similarity_stayed_are_counted(inside):
    before, after = (
        gap.read(layout.gap(name), "sketch")["similarity"].to_numpy()
        for name in ("random-hull-sketch", "hull-sketch")
    )
    (row,) = (
        row for row in rows_of("explained")
        if row["kind"] == decomposition.KEPT and row["test"] == "sketch"
    )  # fmt: skip
    assert int(row["images"]) == (np.abs(before - after) <= 1e-9).sum()


def test_robustness_is_measured_on_the_classes_that_both_sets_have(inside):
    found = {
        (row["split"], row["kind"]): row for row in rows_of("robustness") if row["test"] == "sketch"
    }
    classes = set(answers("full-0", "sketch")[0])
    odds = {}
    for name, run in (("full", "full-0"), ("supervised", "supervised")):
        labels, right = answers(run, "val")
        usual = np.mean([hit for label, hit in zip(labels, right, strict=True) if label in classes])
        shifted = answers(run, "sketch")[1].mean()
        odds[name] = [np.clip(value, 1 / 60, 59 / 60) for value in (usual, shifted)]
    logit = {name: [np.log(p / (1 - p)) for p in pair] for name, pair in odds.items()}
    line = logit["full"][0] - logit["supervised"][0] + logit["supervised"][1]
    expected = answers("full-0", "sketch")[1].mean() - 1 / (1 + np.exp(-line))
    row = found["full", "split"]
    assert float(row["rho"]) == pytest.approx(100 * expected, abs=1e-3)
    assert float(row["low"]) <= float(row["rho"]) <= float(row["high"])
    assert row["line"] == "slope 1"
    assert float(found["supervised", "supervised"]["rho"]) == 0
    assert sum(row["kind"] == "line" for row in rows_of("robustness")) == 2


def test_the_page_says_what_the_line_is_and_what_not_to_conclude(inside):
    text = " ".join(Path("report/index.html").read_text().split())
    for anchor in ("frequencies", "explained", "robustness"):
        assert f'<section id="{anchor}">' in text
    assert "an assumption (equal odds lost), not a fit" in text
    assert "not that similarity is its cause" in text
    assert "draw classes with all their images" in text
    assert Path("report/figures/robustness.png").exists()
    # three classes are too few for a variance between them
    assert "No interval: fewer than 10 classes." in text


def test_metrics_are_few_and_leave_out_what_is_not_defined(inside):
    found = json.loads(Path("metrics/report.json").read_text())
    assert set(found["robustness"]) == {"full", "hull-sketch", "random-hull-sketch"}
    assert set(found["robustness"]["full"]) == {"sketch"}
    assert all(set(tests) <= {"val", "sketch"} for tests in found["explained"].values())


def test_without_frequencies_similarity_is_left(empty):
    write_study()
    found = report_study.collected()
    assert not found.rows("byfrequency")
    assert not found.rows("grid")
    assert {row["of"] for row in found.rows("logistic")} == {"similarity"}


def test_one_frequency_for_all_classes_is_no_column(empty):
    write_study()
    write_classes(frequencies=dict.fromkeys(FREQUENCIES, 5))
    found = loaded()
    assert {row.of for row in decomposition.logistic_rows(found)} == {"similarity"}
    assert byfrequency.rows(found)


def test_the_usual_test_set_is_the_first_or_one_by_name(empty):
    write_study()
    found = study.load()
    assert robustness.usual_of(found, settings()) == "val"
    named = settings(in_distribution="sketch")
    assert robustness.usual_of(found, named) == "sketch"
    shifts = robustness.shifts(Inputs(found, named))
    assert shifts is not None
    assert set(shifts.measured) == {"val"}
    with pytest.raises(ValueError, match=r"report.in_distribution.*'sketch'"):
        robustness.usual_of(found, settings(in_distribution="sketches"))


def test_a_single_test_set_has_no_shift_and_without_supervised_models_no_line(empty):
    write_study(tests=("sketch",))
    found = report_study.collected()
    assert found.shifts is None
    assert json.loads(Path("metrics/report.json").read_text())["robustness"] == {}
    write_study(runs={name: run for name, run in RUNS.items() if name != "supervised"})
    without = loaded()
    assert {row.line for row in robustness.rows(without)} == {"none"}
    assert {row.rho for row in robustness.rows(without)} == {None}
    assert robustness.numbers(without) == {}


def test_three_supervised_models_have_a_fitted_line(empty):
    splits = SPLITS | {
        f"half-{at}": {"rule": "random", "base": "dedup", "of": "none", "with": "none", "seed": at,
                       "keep": 10 * at}
        for at in (1, 5)
    }  # fmt: skip
    runs = RUNS | {
        f"s-{at}": {"split": f"half-{at}", "objective": "supervised", "seed": 0} for at in (1, 5)
    }
    write_study(splits=splits, runs=runs, add_reference=False)
    inputs = loaded()
    found = inputs.of(robustness.shifts)
    assert found is not None
    assert found.supervised == 3
    one = found.measured["sketch"]
    supervised = [name for name in found.conditions if robustness.is_supervised(inputs.study, name)]
    rows = {row.split: row for row in robustness.rows(inputs)}
    x, y = (np.array([getattr(rows[name], axis) for name in supervised]) for axis in "xy")
    assert one.slope is not None
    assert one.slope.value == pytest.approx(np.polyfit(x, y, 1)[0], rel=1e-3)
