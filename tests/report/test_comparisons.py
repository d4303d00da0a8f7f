"""How sure differences are: on the page, in the metrics, by `compare`, here and at revisions."""

import csv
import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from clipcause.__main__ import main as commands
from clipcause.config import layout
from clipcause.evaluate import predictions
from clipcause.prune import split
from clipcause.report import compare, markdown, verdicts
from clipcause.report.tables import comparisons
from clipcause.runtime import revisions
from clipcause.stats.comparison import (
    MCNEMAR,
    T_TEST,
    Comparison,
    Interval,
    analyse,
    detectable_errors,
    holm,
    pooled,
)
from clipcause.stats.comparison import compare as compared
from tests import report_study
from tests.report_study import RUNS, SPLITS, write_study
from tests.repository import Repository

ROOT = Path(__file__).parents[2]
DINO = {"split": "full", "objective": "dino", "seed": 0}
MORE = {f"{run[:-1]}1": {**entry, "seed": 1} for run, entry in RUNS.items() if run[-1] == "0"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A study with two runs a condition, but one supervised."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_study(runs={**RUNS, **MORE})
    return folder


@pytest.fixture(scope="module")
def reported(written, tmp_path_factory):
    """That study with its report."""
    folder = tmp_path_factory.mktemp("reported") / "study"
    shutil.copytree(written, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        report_study.reported()
    return folder


@pytest.fixture
def here(written, tmp_path, monkeypatch):
    """A copy of that study to damage."""
    folder = tmp_path / "study"
    shutil.copytree(written, folder)
    monkeypatch.chdir(folder)
    return folder


def change(**sections):
    """Set or add entries of sections of the parameters."""
    content = yaml.safe_load(Path("params.yaml").read_text())
    for name, entries in sections.items():
        content[name] = {**content[name], **entries}
    Path("params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def a_comparison(value, p, detectable=0.05, runs=(1, 1)):
    covers = min(runs) > 1
    interval = Interval(value, value - 0.04, value + 0.04)
    return Comparison(interval, p, detectable, T_TEST if covers else MCNEMAR, covers, 100, runs)


def right(folder, run, test):
    table = predictions.read(folder / layout.predictions(run), test)
    return table["rank"].to_numpy() == 1


def test_metrics_are_of_every_condition_with_a_random_split(reported):
    numbers = json.loads((reported / "metrics/claims.json").read_bytes())
    assert set(numbers) == {"claims", "family", "power", "labels", "predicted"}
    assert list(numbers["claims"]) == ["hull-sketch"]
    found = numbers["claims"]["hull-sketch"]["random-hull-sketch"]
    assert set(found) == {"val", "sketch"}
    for test, values in found.items():
        sides = [
            np.mean([right(reported, f"{name}-{seed}", test) for seed in (0, 1)])
            for name in ("hull-sketch", "random-hull-sketch")
        ]
        assert values["difference"] == pytest.approx(sides[0] - sides[1], abs=1e-6)
        assert values["low"] <= values["difference"] <= values["high"]
    p_M = np.array([values["p"] for values in found.values()])
    assert [one["p_holm"] for one in found.values()] == pytest.approx(holm(p_M), abs=2e-6)
    sure = sum(one["p_holm"] < 0.05 for one in found.values())
    assert numbers["family"] == {"comparisons": 2, "covering_runs": 2, "called": sure}
    assert {values["covers_runs"] for values in found.values()} == {1}
    assert {(values["runs"], values["control_runs"]) for values in found.values()} == {(2, 2)}
    assert set(numbers["power"]) == {"CLIP"}


def test_the_table_has_the_same_differences_the_other_way_round(reported):
    numbers = json.loads((reported / "metrics/claims.json").read_bytes())["claims"]
    with (reported / "report/table.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["drop"]]
    assert len(rows) == 2
    for row in rows:
        values = numbers[row["split"]][row["control"]][row["test"]]
        assert float(row["drop"]) == pytest.approx(-values["difference"])
        assert float(row["drop_low"]) == pytest.approx(-values["high"])
    note = (reported / "report/table.md").read_text()
    assert "intervals cover the choice of test images and the noise between runs." in note


def test_the_page_and_the_plot_say_it(reported):
    text = (reported / "report/index.html").read_text()
    assert '<section id="comparisons">' in text
    assert "intervals and tests cover the choice of test images and the noise between runs" in text
    assert "Holm" in text
    with (reported / "report/plots/comparisons.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["test"] for row in rows] == ["val", "sketch"]
    assert {row["kind"] for row in rows} <= {comparisons.SURE, comparisons.UNSURE}
    assert (reported / "report/figures/comparisons.png").read_bytes()[:4] == b"\x89PNG"


def test_a_study_without_random_splits_has_no_family(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = {name: entry for name, entry in SPLITS.items() if entry["rule"] != "random"}
    write_study(splits=few, runs={run: one for run, one in RUNS.items() if "random" not in run})
    report_study.reported()
    assert '<section id="comparisons">' not in Path("report/index.html").read_text()
    numbers = json.loads(Path("metrics/claims.json").read_bytes())
    none = {"comparisons": 0, "covering_runs": 0, "called": 0}
    assert numbers.pop("labels").keys() == {"hull-sketch"}  # which needs no random split
    assert numbers == {"claims": {}, "family": none, "power": {}, "predicted": {}}
    assert Path("report/plots/comparisons.csv").read_text().startswith("test,split,difference")


def test_words_say_which_are_beyond_noise_and_which_are_not():
    several = {"runs": (2, 2)}
    found = comparisons.corrected([
        ("hull", "random", "sketch", a_comparison(-0.08, 0.001, **several)),
        ("hull", "random", "val", a_comparison(0.03, 0.04, 0.07, **several)),
    ])  # fmt: skip
    assert [one.is_sure for one in found] == [True, True]
    found = comparisons.corrected([
        ("hull", "random", "sketch", a_comparison(-0.08, 0.001, **several)),
        ("hull", "random", "val", a_comparison(0.03, 0.04, 0.07, **several)),
        ("hull", "random", "r", a_comparison(0.0, 0.9, None, **several)),
    ])  # fmt: skip
    assert [one.p_holm for one in found] == pytest.approx([0.003, 0.08, 0.9])
    told = verdicts.sentences(found, "random")
    assert told[0] == (
        "Of 3 differences from random, 1 is beyond noise (p below 0.05 after Holm's correction "
        "over all 3): hull is 8.0 points lower on sketch."
    )
    assert "nothing can be told" in told[1]
    assert "smaller than 7.0 points would be missed" in told[1]
    assert told[1].endswith("one time in five before the correction; after it, larger ones too.")
    assert told[2].startswith("Both sides were trained several times")
    assert verdicts.cells(found[0]) == [
        "−8.0", "−12.0 to −4.0", "0.0010", "0.0030", "5.0", "yes",
    ]  # fmt: skip
    assert verdicts.cells(found[2])[-2:] == ["–", "no"]


def test_models_that_were_trained_once_make_no_claim():
    found = comparisons.corrected([
        ("hull", "random", "sketch", a_comparison(-0.08, 1e-9)),
        ("hull", "random", "val", a_comparison(0.03, 1e-9, runs=(1, 2))),
    ])  # fmt: skip
    assert [one.is_sure for one in found] == [False, False]
    told = verdicts.sentences(found, "random")
    assert told[0].startswith("Of 2 differences from random, none is beyond noise")
    assert "no claim" in told[-1]
    assert [verdicts.cells(one)[-1] for one in found] == ["no", "no"]
    assert verdicts.sentences(found[:1], "b")[0] == (
        "hull is 8.0 points lower on sketch than b over these images (p < 0.0001): no claim."
    )
    text = markdown.claims(found, [])
    assert text.count("no claim") == 1
    assert "beyond noise" not in text


def test_claims_are_lines_of_what_is_beyond_noise_and_what_is_not():
    found = comparisons.corrected([
        ("hull", "random", "sketch", a_comparison(-0.08, 0.001, runs=(5, 5))),
        ("hull", "random", "val", a_comparison(0.03, 0.04, runs=(5, 5))),
        ("core", "quota", "val", a_comparison(0.03, 0.9, runs=(5, 3))),
    ])  # fmt: skip
    design = [{"test": "sketch", "least": 3.21, "least_holm": 4.5, "needed": 12}]
    assert markdown.claims(found, design).splitlines() == [
        "* **hull** beside random (5 and 5 runs): beyond noise on sketch −8.0 [−12.0, −4.0]; on "
        "val no difference can be told.",
        "* **core** beside quota (5 and 3 runs): on val no difference can be told.",
        "* 1 of 3 comparisons with controls is beyond noise, over runs and test images, after "
        "Holm’s correction. Points that this design would find 8 times in 10, in brackets after "
        "the correction: sketch 3.2 (4.5). Runs a condition that would find 4.0 points so, before "
        "the correction: sketch 12.",
    ]


def test_runs_that_would_find_the_aim_are_the_least_that_do():
    rng = np.random.default_rng(0)

    def drawn(runs, seed):
        rates = 0.6 + 0.03 * np.random.default_rng(seed).standard_normal((runs, 1))
        return (rng.random((runs, 500)) < rates).astype(np.float64)

    every = [drawn(5, seed) for seed in range(9)]
    noise = pooled(every)
    assert noise is not None
    sides = list(itertools.pairwise(every))
    spreads = [analyse(a, b, noise) for a, b in sides]
    found = comparisons.needed(spreads, noise, sides)
    assert found is not None

    def least(count):
        # what images say does not change; what runs say does as the variance of their mean
        runs = np.mean([one.runs for one in spreads]) * 5 / count
        variance = runs + np.mean([one.images for one in spreads])
        freedom = 9 * (count - 1) * (variance / runs) ** 2
        return np.sqrt(variance) * detectable_errors(float(freedom))

    assert least(found) <= comparisons.AIM < least(found - 1)
    assert 5 < found < 60
    much = replace(noise, variance=1.0)
    wide = [analyse(a, b, much) for a, b in sides]
    assert comparisons.needed(wide, much, sides) is None


def test_words_of_a_single_comparison_and_of_none_beyond_noise():
    one = comparisons.corrected([("a", "b", "val", a_comparison(0.02, 0.3, runs=(2, 2)))])
    told = verdicts.sentences(one, "b")
    assert told[0] == "a is 2.0 points higher on val than b: not beyond noise (p = 0.30)."
    assert told[-1].startswith("Both sides were trained several times")
    assert "Holm" not in verdicts.method(one)
    two = comparisons.corrected([
        ("a", "b", "val", a_comparison(0.0, 1.0, None, (1, 2))),
        ("a", "b", "r", a_comparison(0.01, 0.6, None, (1, 2))),
    ])  # fmt: skip
    told = verdicts.sentences(two, "b")
    assert told[0].startswith("Of 2 differences from b, none is beyond noise")
    assert "too few test images" in told[1]
    assert "a side was trained only once" in told[2]


def test_a_small_difference_that_is_sure_has_its_digits_and_its_direction():
    a_Q = np.ones(50_000, bool)
    b_Q = np.arange(50_000) >= 20  # 20 images differ, all one way
    twice = [np.stack([one, one]) for one in (b_Q, a_Q)]
    found = compared(*twice, resamples=100, seed=0)
    one = comparisons.corrected([("a", "b", "val", found)])
    told = verdicts.sentences(one, "b")
    assert told[0] == "a is 0.04 points lower on val than b: beyond noise (p < 0.0001)."
    cells = verdicts.cells(one[0])
    assert cells[0] == "−0.04"
    assert "−0.0 " not in cells[1]
    assert cells[4] == "0.03" and cells[5] == "yes"  # noqa: PT018
    none = comparisons.corrected(
        [("a", "b", "val", compared(a_Q[None], a_Q[None], resamples=9, seed=0))]
    )
    assert "no better and no worse" in verdicts.sentences(none, "b")[0]
    assert verdicts.cells(none[0])[0] == "0.0"


def test_how_many_are_beyond_the_noise_between_runs():
    found = comparisons.corrected([
        ("a", "b", "val", a_comparison(0.2, 0.0, runs=(2, 2))),
        ("a", "b", "sketch", a_comparison(0.2, 0.0)),
        ("c", "b", "val", a_comparison(0.2, 0.9, runs=(2, 2))),
    ])  # fmt: skip
    numbers = comparisons.numbers(found)
    assert numbers["family"] == {"comparisons": 3, "covering_runs": 2, "called": 1}
    assert [one["called"] for one in numbers["claims"]["a"]["b"].values()] == [1, 0]
    assert "1 is beyond noise" in verdicts.sentences(found, "b")[0]


@pytest.mark.parametrize(
    ("p", "text"), [(0.00003, "< 0.0001"), (0.00123, "0.0012"), (0.0456, "0.046"), (0.5, "0.50")]
)
def test_p_values_have_the_digits_that_say_something(p, text):
    assert verdicts.p_value(p) == text


def test_compare_prints_table_and_sentences(here, capsys):
    before = sorted(Path().rglob("*"))
    line = compare.main(["hull-sketch", "full-0"])
    out = capsys.readouterr().out
    assert line.startswith("2 test sets, ")
    assert out.startswith("A = hull-sketch (hull-sketch-0, hull-sketch-1)\nB = full-0\n\n")
    head, val, sketch = out.split("\n\n")[1].splitlines()
    assert head.split("  ")[0] == "test"
    a = np.mean([right(here, f"hull-sketch-{seed}", "val") for seed in (0, 1)])
    b = right(here, "full-0", "val").mean()
    assert val.split()[:4] == ["val", "30", f"{100 * a:.1f}", f"{100 * b:.1f}"]
    assert sketch.startswith("sketch")
    assert "of which a side was trained only once" in " ".join(out.split())
    assert sorted(Path().rglob("*")) == before  # it writes nothing


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["hull-sketch", "random-hull-sketch"], None),
        (["full-0", "full-1"], None),
        (["full", "supervised"], "supervised was trained on no row of the pool, full on {full}:"),
        (
            ["hull-sketch", "full"],
            "Of unlike size: hull-sketch {hull} rows of the pool, full {full}. A difference is one "
            "of the number of images as well, {times} times as many. Of one size: hull-sketch with "
            "random-hull-sketch.",
        ),
    ],
)
def test_compare_says_where_sizes_are_unlike(here, capsys, words, told):
    compare.main(words)
    out = " ".join(capsys.readouterr().out.split())
    full, hull = (len(split.read(layout.split(name))) for name in ("full", "hull-sketch"))
    if told is None:
        assert "Of unlike size" not in out
        assert "no row of the pool" not in out
    else:
        assert told.format(full=full, hull=hull, times=f"{full / hull:.2f}") in out


def test_compare_takes_chosen_test_sets_only(here, capsys):
    assert compare.main(["full-0", "full-1", "--test", "val"]).startswith("1 test set, ")
    assert "sketch" not in capsys.readouterr().out.split("\n\n")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["hull-scetch", "full"],
            r"unknown run, condition or split 'hull-scetch'; .*'hull-sketch'",
        ),
        (["full", "full"], "the same run full-0, full-1 is on both sides"),
        (["full", "full-1"], "the same run full-1 is on both sides"),
        (["full", "supervised", "--test", "vall"], "unknown test set 'vall'; did you mean 'val'"),
        (["full", "dino"], "dino learns without names or captions and names no class"),
        (["full", "unused"], "no run was trained on split 'unused'"),
        (["full", "HEAD:"], "expected the name of a run, condition or split"),
        (
            ["full", "HEAD:full"],
            "not inside of a DVC repository|is not a git repository|no commits",
        ),
    ],
)
def test_compare_says_what_is_wrong(here, words, message):
    change(runs={"dino": DINO}, splits={"unused": SPLITS["full"]})
    with pytest.raises(ValueError, match=message):
        compare.main(words)


def test_a_split_of_several_conditions_is_not_guessed(here):
    change(runs={
        "one": {"split": "random-hull-sketch", "objective": "supervised", "seed": 0},
        "full-0": {"split": "full", "objective": "supervised", "seed": 0},
        "full-1": {"split": "full", "objective": "supervised", "seed": 1},
    })  # fmt: skip
    # a split with one condition, whatever that is called
    assert compare.sides("full", "supervised")[0].runs == ("full-0", "full-1")
    assert compare.sides("random-hull-sketch", "one")[0].runs == (
        "random-hull-sketch-0",
        "random-hull-sketch-1",
    )
    change(runs={"two": {"split": "full", "objective": "dino", "seed": 0}})
    with pytest.raises(ValueError, match="several conditions were trained on split 'full'; name "):
        compare.sides("full", "supervised")


def test_a_run_that_was_not_evaluated_is_named_with_its_stage(here):
    (layout.predictions("full-1") / "val.parquet").unlink()
    made = "where full-1 was never evaluated on val, `dvc repro evaluate@full-1` does it"
    with pytest.raises(
        FileNotFoundError, match=f"`dvc checkout` brings what was made here; {made}"
    ):
        compare.main(["full", "supervised"])


def test_what_the_repository_keeps_is_said_where_predictions_are_missing(here):
    (layout.predictions("full-1") / "val.parquet").unlink()
    config = Path(".dvc/config")
    config.parent.mkdir(exist_ok=True)
    config.write_text((Path(__file__).parents[2] / config).read_text())
    message = "`dvc pull -r published --allow-missing` what the repository keeps"
    with pytest.raises(FileNotFoundError, match=message):
        compare.main(["full", "supervised"])


def test_predictions_of_an_older_test_set_are_an_error(here):
    table = predictions.read(layout.predictions("full-1"), "val")
    predictions.write(layout.predictions("full-1"), "val", table.slice(1))
    with pytest.raises(ValueError, match="rows of the 30 and 29 test images differ"):
        compare.main(["full", "supervised"])
    (layout.predictions("full-1") / "val.parquet").write_bytes(b"no table")
    with pytest.raises(ValueError, match=r"^predictions/full-1/val.parquet: not a readable"):
        compare.main(["full", "supervised"])


def test_images_that_are_not_here_are_the_same_where_both_locks_say_so(here, tmp_path):
    """As those of a published study in a clone."""

    def place(name, md5):
        folder = tmp_path / name
        shutil.copytree(here, folder, ignore=lambda _, names: {"data"} & set(names))
        outs = [{"path": "data/tests/val", "md5": md5}, {"path": "splits/full"}]
        (folder / "dvc.lock").write_text(yaml.safe_dump({"stages": {"prepare": {"outs": outs}}}))
        known = compare.Place(revisions.Workspace(folder))
        return compare.Side(name, known, ("full-0",))

    one, other, another = place("one", "a.dir"), place("two", "a.dir"), place("three", "b.dir")
    compare.check_images(one, other, "val")
    with pytest.raises(FileNotFoundError, match=r"three/data/tests/val|one/data/tests/val"):
        compare.check_images(one, another, "val")
    (tmp_path / "two/dvc.lock").unlink()
    with pytest.raises(FileNotFoundError, match="whether the images of val are the same"):
        compare.check_images(one, other, "val")


def test_compare_reads_revisions_through_dvc(here, capsys):
    """A run's predictions in the DVC cache, another's in git; the workspace has changed since."""
    made = Repository(Path.cwd(), PYTHONPATH=str(ROOT))
    made.init()
    made.dvc("add", "-q", "predictions/full-0", "data/tests/sketch")
    made.run("git", "add", "-A", "params.yaml", "predictions", "data/tests", ".dvc")
    made.run("git", "commit", "-q", "-m", "first")
    better = predictions.read(layout.predictions("hull-sketch-0"), "val")
    predictions.write(layout.predictions("full-0"), "val", better)

    compare.main(["full-0", "HEAD:full-0"])
    out = capsys.readouterr().out
    assert "B = HEAD:full-0" in out
    assert compare.main(["HEAD:full", "main:hull-sketch-0"]).startswith("2 test sets")
    assert compare.main(["full-1", "HEAD:full-1"]) == "2 test sets, 0 beyond noise"
    assert "Both have the same images right." in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"HEAD:params.yaml: unknown run.*'fulll'; did you mean"):
        compare.main(["full", "HEAD:fulll"])
    with pytest.raises(ValueError, match="nowhere"):
        compare.main(["full", "nowhere:full"])

    change(runs={"new": {"split": "full", "objective": "clip", "seed": 7}})
    with pytest.raises(ValueError, match="unknown run, condition or split 'new'"):
        compare.main(["full", "HEAD:new"])
    change(tests={"other": {}})
    compare.main(["full-0", "HEAD:full-0"])
    assert "Only of full-0, and not compared: other" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"HEAD:params.yaml: tests: unknown test set 'other'"):
        compare.main(["full-0", "HEAD:full-0", "--test", "other"])

    done = made.python("clipcause", "compare", "full-1", "HEAD:full-1")
    assert done.splitlines()[-1] == "compare: 2 test sets, 0 beyond noise"

    # other images under the same name
    shutil.rmtree("data/tests/val")
    shutil.copytree("data/tests/sketch", "data/tests/val")
    with pytest.raises(
        ValueError, match=r"val: its images are not the same: 30 .*, 30 .*, \d in both"
    ):
        compare.main(["full-0", "HEAD:full-0"])
    for path in Path(".dvc/cache/files/md5").rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(FileNotFoundError, match="not in the DVC cache"):
        compare.main(["full-0", "HEAD:full-0", "--test", "sketch"])


def test_another_command_is_an_error_in_one_line(capsys):
    with pytest.raises(SystemExit) as stopped:
        commands(["compar", "a", "b"])
    assert stopped.value.code == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "did you mean 'compare'?" in error
