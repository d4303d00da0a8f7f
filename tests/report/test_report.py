"""The report as a stage: the study that it reads, the tables, the page, the plots."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clipcause.config import layout
from clipcause.config.runs import Run
from clipcause.evaluate import predictions
from clipcause.prune.rules import parse as parse_rule
from clipcause.report import (
    colours,
    conditions,
    pictures,
    published,
    study,
)
from clipcause.report.sections import summary
from clipcause.report.tables.comparisons import Compared
from clipcause.stats.comparison import MCNEMAR, T_TEST, Comparison, Interval
from tests import report_study
from tests.artifacts_samples import contents
from tests.report.pages import Page
from tests.report_study import ENCODER, RUNS, SPLITS, write_study

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """The folder of a study with its report."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_study()
        report_study.reported()
    return folder


@pytest.fixture
def here(reported, tmp_path, monkeypatch):
    """A copy of that study to damage."""
    folder = tmp_path / "study"
    shutil.copytree(reported, folder)
    monkeypatch.chdir(folder)
    return folder


def rows_of(folder):
    with (folder / "report/table.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def top1(folder, run, test):
    table = predictions.read(folder / layout.predictions(run), test)
    return (table["rank"].to_numpy() == 1).astype(float)


def test_the_table_has_the_accuracies_and_drops_of_the_predictions(reported):
    rows = rows_of(reported)
    assert len(rows) == len(RUNS) * 2
    for row in rows:
        right_Q = top1(reported, row["run"], row["test"])
        assert float(row["top1"]) == pytest.approx(right_Q.mean(), abs=1e-6)
        assert int(row["n_test"]) == len(right_Q)
        assert float(row["wilson_low"]) < float(row["top1"]) < float(row["wilson_high"])
        if row["control"]:
            control_Q = top1(reported, f"{row['control']}-0", row["test"])
            assert float(row["drop"]) == pytest.approx((control_Q - right_Q).mean(), abs=1e-6)
            assert float(row["drop_low"]) <= float(row["drop"]) <= float(row["drop_high"])
    assert {row["split"] for row in rows if row["drop"]} == {"hull-sketch"}
    sizes = {row["split"]: int(row["n"]) for row in rows}
    assert sizes["hull-sketch"] == sizes["random-hull-sketch"] < sizes["full"] == 117
    assert sizes["supervised"] == 24


def test_metrics_are_those_of_the_table(reported):
    numbers = json.loads((reported / "metrics/report.json").read_bytes())
    for row in rows_of(reported):
        assert numbers["accuracy"][row["run"]][row["test"]] == pytest.approx(float(row["top1"]))
        if row["drop"]:
            assert numbers["drop"][row["split"]][row["test"]] == float(row["drop"])
    assert set(numbers) == {"accuracy", "drop", "explained", "robustness", "spearman"}


def test_the_same_artifacts_give_the_same_bytes(reported, here):
    report_study.reported()
    assert contents(here / "report") == contents(reported / "report")


def test_the_histogram_of_a_hull_split_is_that_of_the_reference(reported):
    with (reported / "report/plots/similarity.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["test"] == "sketch"]
    shares = {}
    for row in rows:
        shares.setdefault(row["data"], {})[row["similarity"]] = float(row["share"])
    assert shares["hull-sketch"] == shares["reference"]
    assert shares["full"] != shares["reference"]
    for found in shares.values():
        assert sum(found.values()) == pytest.approx(100, abs=0.01)


def test_a_split_has_one_colour_and_its_random_split_the_same(reported):
    colours = {}
    for name in ("accuracy", "binned"):
        with (reported / f"report/plots/{name}.csv").open() as stream:
            for row in csv.DictReader(stream):
                colours.setdefault(row["split"], set()).add(row["colour"])
    assert all(len(found) == 1 for found in colours.values())
    assert colours["hull-sketch"] == colours["random-hull-sketch"]
    assert colours["hull-sketch"] != colours["full"]


def test_what_is_no_split_has_no_splits_colour(reported, monkeypatch):
    monkeypatch.chdir(reported)
    found = study.load()
    taken = set(colours.colours(found).values())
    looks = colours.marks(found)
    assert looks["supervised"][0] == colours.GREY
    assert looks["CLIP"][0] not in taken


def test_figures_are_drawings(reported):
    for name in ("accuracy", "binned"):
        assert (reported / f"report/figures/{name}.svg").read_text().startswith("<svg")
        assert (reported / f"report/figures/{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_several_seeds_are_averaged_image_by_image(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    more = {f"{run[:-1]}1": {**entry, "seed": 1} for run, entry in RUNS.items() if run[-1] == "0"}
    write_study(runs={**RUNS, **more})
    report_study.reported()
    rows = {(row["split"], row["test"]): row for row in rows_of(tmp_path)}
    assert len(rows) == 8
    row = rows["hull-sketch", "sketch"]
    assert (row["run"], row["seeds"]) == ("hull-sketch-0 hull-sketch-1", "0 1")
    both = [top1(tmp_path, f"hull-sketch-{seed}", "sketch").mean() for seed in (0, 1)]
    assert float(row["top1"]) == pytest.approx(np.mean(both), abs=1e-6)
    text = "".join(Page(Path("report/index.html").read_text()).text)
    assert "seeds 0, 1" in text
    assert "supervised was trained only once" in text


def test_several_random_splits_of_one_size_are_averaged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_study()
    # of another definition: one that differed in its seed alone would be of one condition with it
    size = len(study.load_sources().splits["hull-sketch"])
    again = {**SPLITS["random-hull-sketch"], "of": "none", "keep": size, "seed": 1}
    run = {"split": "random-again", "objective": "clip", "seed": 0}
    write_study(splits={**SPLITS, "random-again": again}, runs={**RUNS, "random-again-0": run})
    report_study.reported()
    rows = {(row["split"], row["test"]): row for row in rows_of(tmp_path)}
    row = rows["hull-sketch", "val"]
    assert row["control"] == "random-hull-sketch random-again"
    controls = [top1(tmp_path, f"{control}-0", "val") for control in row["control"].split()]
    expected = np.mean(controls) - top1(tmp_path, "hull-sketch-0", "val").mean()
    assert float(row["drop"]) == pytest.approx(expected, abs=1e-6)


def test_what_is_shown_as_removed_has_the_highest_margins(here):
    found = study.load_sources()
    shown = pictures.removed(found, "hull-sketch", 3)
    margin_N = found.scores["sketch"].pool.margin
    gone = found.removed("hull-sketch").rows
    assert (margin_N[gone] > 0).all()
    assert margin_N[shown[0].row] == margin_N[gone].max()
    assert len({one.test_row for one in shown}) == 3
    for one in shown:
        assert one.row in gone
        assert one.similarity - one.threshold == pytest.approx(margin_N[one.row], abs=1e-6)
        assert one.threshold == found.scores["sketch"].test.reference_sim[one.test_row]
    # whatever is shown later has a lower margin, and a cause of its own
    everything = pictures.removed(found, "hull-sketch", 99)
    assert everything[:3] == shown
    margins = [margin_N[one.row] for one in everything]
    assert margins == sorted(margins, reverse=True)
    assert pictures.removed(found, "full", 3) == []


@pytest.mark.parametrize("count", [0, 1, 5, 10_000])
def test_the_highest_margins_are_those_of_a_sort(here, monkeypatch, count):
    found = study.load_sources()
    lost = found.removed("hull-sketch")
    both = [found.scores[test] for test in ("sketch", "val")]
    margin_N = np.max([one.pool.margin for one in both], axis=0)
    expected = sorted(lost.rows, key=lambda row: (-margin_N[row], row))[:count]
    assert pictures.highest(lost, both, count).tolist() == expected


def test_published_numbers_stand_beside_their_counterparts(here):
    found = study.load()
    theirs = published.load()
    ours = {row.name: published.counterpart(found, row.ours) for row in theirs.rows}
    assert {name: one and one.name for name, one in ours.items()} == {
        "full pool": "full",
        "Sketch-pruned": "hull-sketch",
        "R-pruned": None,
        "combined-pruned": None,
        "ImageNet classifier of equal Val accuracy": "supervised",
    }


def test_a_study_of_another_shape(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    core = {**SPLITS["hull-sketch"], "rule": "core", "keep": 0.5}
    shown = ("removed", "kept", "neighbours", "copies", "duplicates")
    write_study(
        splits={"full": SPLITS["full"], "core": core},
        runs={"one": {"split": "core", "objective": "clip", "seed": 3}},
        tests=("sketch",),
        report=dict.fromkeys(shown, 0) | {"least_per_bin": 1000},
        has_duplicates=False,
    )
    report_study.reported()
    (row,) = rows_of(tmp_path)
    assert (row["split"], row["drop"], row["control"]) == ("core", "", "")
    page = Page(Path("report/index.html").read_text())
    assert not page.images
    assert "No pruned split has a random split of its size" in "".join(page.text)
    assert json.loads(Path("metrics/report.json").read_bytes())["drop"] == {}
    # nothing to draw is a table without rows, which `dvc plots` can read
    assert Path("report/plots/binned.csv").read_text().startswith("test,split,kind,similarity,")


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("predictions/full-0/val.parquet", "evaluate@full-0"),
        ("gap/hull-sketch/sketch.parquet", "gap@hull-sketch"),
        ("similarity/clip/reference/val/card.json", "similarity@val"),
        ("splits/dedup/pool/card.json", "deduplicate"),
        ("splits/hull-sketch/pool/card.json", "prune@hull-sketch"),
        ("models/supervised/card.json", "train@supervised"),
        ("data/tests/val/manifest.parquet", "prepare@tests/val"),
        ("data/pool/manifest.parquet", "prepare@pool"),
    ],
)
def test_a_missing_artifact_is_named_with_the_stage_that_makes_it(here, path, stage):
    Path(path).unlink()
    with pytest.raises(FileNotFoundError) as caught:
        report_study.reported()
    assert path in str(caught.value)
    assert f"dvc repro {stage}`" in str(caught.value)


def test_missing_embeddings_are_named_with_their_stage(here):
    shutil.rmtree("embeddings/clip/tests/sketch")
    with pytest.raises(
        FileNotFoundError, match=r"embeddings/clip/tests/sketch.*embed@tests/sketch"
    ):
        report_study.reported()


def test_predictions_of_an_older_test_set_are_an_error(here):
    table = predictions.read(layout.predictions("full-0"), "val")
    predictions.write(layout.predictions("full-0"), "val", table.slice(1))
    with pytest.raises(ValueError, match=r"full-0/val.parquet: its 29 rows are not the 30 test im"):
        report_study.reported()


def test_a_split_of_another_pool_is_an_error(here):
    card = json.loads(Path("splits/full/pool/card.json").read_bytes()) | {"pool": "0" * 64}
    Path("splits/full/pool/card.json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match="splits/full/pool: made from another pool"):
        report_study.reported()


def test_a_failure_leaves_the_old_page(here):
    before = contents(here / "report")
    Path("data/pool/00000.tar").write_bytes(b"")
    with pytest.raises(ValueError, match=r"data/pool/00000.tar"):
        report_study.reported()
    assert contents(here / "report") == before


def test_runs_are_grouped_by_all_but_their_seed():
    rules = {name: parse_rule(entry, name) for name, entry in SPLITS.items()}
    runs = {
        "s": Run(split="none", objective="supervised", seed=0),
        "b": Run(split="hull-sketch", objective="clip", seed=1),
        "a": Run(split="hull-sketch", objective="clip", seed=0),
        "bare": Run(split="hull-sketch", objective="clip", seed=0, add_reference=False),
        "told": Run(split="hull-sketch", objective="clip", seed=2, add_reference=True),
        "r": Run(split="random-hull-sketch", objective="clip", seed=0),
    }
    sizes = {"full": 9, "hull-sketch": 5, "random-hull-sketch": 5}
    found = conditions.group(runs, rules, sizes, {"bare"})
    assert list(found) == [
        "hull-sketch",
        "hull-sketch without the reference",
        "random-hull-sketch",
        "supervised",
    ]
    assert found["hull-sketch"].runs == ("b", "a", "told")
    assert found["hull-sketch"].seeds == (1, 0, 2)
    assert found["hull-sketch"].controls == ("random-hull-sketch",)
    assert found["hull-sketch without the reference"].controls == ()
    run = Run(split="hull-sketsch", objective="clip", seed=0)
    with pytest.raises(ValueError, match="did you mean 'hull-sketch'"):
        conditions.group({"x": run}, rules, sizes, ())


def test_a_random_split_is_that_of_all_splits_of_its_base_and_size():
    empty = {"of": "none", "with": "none"}
    near = {"rule": "near", "tests": ["sketch"], "keep": 0.5, **empty}
    entries = {
        "full": {"rule": "none", "base": "dedup", **empty},
        "near": {**near, "base": "dedup"},
        "far": {**near, "base": "dedup", "rule": "far"},
        "other": {**near, "base": "all"},
        "less": {**near, "base": "dedup", "keep": 0.25},
        "half": {"rule": "random", "base": "dedup", **empty, "keep": 0.5, "seed": 0},
        "of-far": {"rule": "random", "base": "dedup", **empty, "of": "far", "seed": 1},
        "alone": {"rule": "random", "base": "dedup", **empty, "keep": 3, "seed": 0},
    }
    rules = {name: parse_rule(entry, name) for name, entry in entries.items()}
    sizes = dict.fromkeys(entries, 50) | {"full": 100, "less": 25, "alone": 3}
    assert conditions.controls(rules, sizes) == {"half": ("near", "far"), "of-far": ("far", "near")}
    runs = {name: Run(split=name, objective="clip", seed=0) for name in entries}
    found = conditions.group(runs, rules, sizes, ())
    assert found["near"].controls == found["far"].controls == ("half", "of-far")
    assert not any(found[name].controls for name in ("full", "other", "less", "half", "alone"))


def test_a_shared_random_split_stands_beside_every_split_of_its_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ranked = {**SPLITS["hull-sketch"], "keep": 0.5}  # any half of the 117 rows
    random = {"rule": "random", "base": "dedup", "of": "none", "with": "none", "seed": 0}
    splits = {
        "near": {**ranked, "rule": "near"},
        "far": {**ranked, "rule": "far"},
        "random-59": {**random, "keep": 59},
    }
    runs = {name: {"split": name, "objective": "clip", "seed": 0} for name in splits}
    write_study(splits=splits, runs=runs)
    report_study.reported()
    controls = {row["split"]: row["control"] for row in rows_of(tmp_path)}
    assert controls == {"near": "random-59", "far": "random-59", "random-59": ""}
    with Path("report/plots/accuracy.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["test"] == "val"]
    assert [row["beside"] for row in rows if row["split"] == "random-59"] == ["near", "far"]
    assert len({row["colour"] for row in rows}) == 2
    text = "".join(Page(Path("report/index.html").read_text()).text)
    assert "“near” (near: " in text
    assert "“far” (far: " in text


def test_the_checkpoint_says_whether_the_reference_was_added(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # as with `train.add_reference: false`: no run says anything, but for one
    told = {"split": "hull-sketch", "objective": "clip", "seed": 0, "add_reference": True}
    write_study(runs={**RUNS, "told": told}, add_reference=False)
    report_study.reported()
    found = study.load()
    assert list(found.conditions) == [
        "full without the reference",
        "hull-sketch",
        "hull-sketch without the reference",
        "random-hull-sketch without the reference",
        "supervised",
    ]
    bare, told = (
        found.conditions["hull-sketch without the reference"],
        found.conditions["hull-sketch"],
    )
    alone_Q = found.gaps["hull-sketch", "sketch"].alone_Q
    assert (found.similarity(bare, "sketch") == alone_Q).all()
    assert (found.similarity(told, "sketch") > alone_Q).any()
    assert bare.controls == ("random-hull-sketch without the reference",)
    assert told.controls == ()  # its random split saw no reference
    numbers = json.loads(Path("metrics/report.json").read_bytes())
    assert list(numbers["drop"]) == ["hull-sketch-without-the-reference"]


def test_a_full_pool_of_another_base_is_not_to_be_compared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_study(splits={**SPLITS, "full": {**SPLITS["full"], "base": "all"}})
    card = json.loads(Path("models/full-0/card.json").read_bytes()) | {"fingerprint": ENCODER}
    Path("models/full-0/card.json").write_text(json.dumps(card))
    report_study.reported()
    said = "“full” is also the encoder, trained on the pool before de-duplication"
    assert said in Path("report/table.md").read_text()
    assert said in Path("report/index.html").read_text()


def test_a_full_pool_of_the_same_base_needs_no_warning(reported):
    assert "not with “full”" not in (reported / "report/table.md").read_text()


def compared(value, p_holm, *, reach=0.01, runs=3):
    """A difference on some test set with an interval of twice that reach."""
    interval, covers = Interval(value, value - reach, value + reach), runs > 1
    test = T_TEST if covers else MCNEMAR
    found = Comparison(interval, p_holm / 4, 0.05, test, covers, images=9, runs=(runs, runs))
    return Compared("hull", "random", "val", found, p_holm)


def test_a_difference_is_a_fact_only_after_the_correction():
    said = summary.difference(compared(-0.02, 0.01))
    assert said == "2.0 points lower (95 % interval −3.0 to −1.0), beyond noise"
    said = summary.difference(compared(0.02, 0.2))
    assert said.startswith("2.0 points higher by its own interval alone (95 % interval +1.0 to")
    said = summary.difference(compared(0.02, 1.0, reach=0.03))
    assert said.startswith("no difference can be told (+2.0 points, 95 % interval −1.0 to +5.0)")
    said = summary.difference(compared(-0.02, 0.01, runs=1))
    assert said.endswith("(95 % interval −3.0 to −1.0 over images) in one run, which is no claim")


def test_several_differences_are_told_by_how_sure_they_are():
    found = {
        "r": compared(-0.103, 0.01),
        "val": compared(-0.051, 0.2),
        "a": compared(0.06, 0.2),
        "sketch": compared(-0.01, 1.0, reach=0.02),
        "v2": compared(-0.2, 0.001, runs=1),
    }
    assert summary.several(found) == (
        "beyond noise, accuracy is lower on r (10.3 points); by its own interval alone, accuracy "
        "is lower on val (5.1 points) and higher on a (6.0 points); on sketch no difference can be "
        "told; of one run, and no claim, on v2"
    )


def test_the_question_is_answered_where_the_study_has_what_it_needs(here):
    content = report_study.collected()
    shown = summary.view(content)
    (answer,) = shown["answers"]
    assert (answer["usual"], answer["test"]) == ("val", "sketch")
    assert [text.split("”")[0] for text in shown["told"]] == ["“hull-sketch"]
    alone = [line for line in content.lines if not line.condition.is_supervised]
    for less in (replace(content, shifts=None), replace(content, lines=alone)):
        assert summary.view(less)["answers"] == []
    question = "Does CLIP do well on other images because its training data look like them?"
    text = " ".join(Path("report/index.html").read_text().split())
    assert f"{question} From val, the usual test set, to sketch, accuracy goes from " in text
