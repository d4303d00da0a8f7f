"""The report on a study of imbalance: what it reads, the tidy table, the plots, the page."""

import csv
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from clipcause.captions.frequency import Frequency
from clipcause.config import layout
from clipcause.config.runs import Run
from clipcause.evaluate import predictions
from clipcause.prune.rules import RULES
from clipcause.prune.rules import parse as parse_rule
from clipcause.report import (
    colours,
    conditions,
    corpora,
    factors,
    figures,
    study,
    tables,
)
from clipcause.report.colours import GREY
from clipcause.report.figures.bias import caption, numbered
from clipcause.report.sections import bias as bias_section
from clipcause.report.tables import frequency, locked_text, parts
from clipcause.report.tables import runs as tidy
from clipcause.report.tables.frequency import CORPORA
from clipcause.runtime import atomic, metrics
from tests import report_imbalance as made
from tests import report_study
from tests.artifacts_samples import contents
from tests.report.pages import Page

TOP1 = "top-1 accuracy / %"
FIGURES = {"accuracy", "bias", "frequency", "perclass", "probes", "scale", "sources", "tail"}


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """The folder of a study with its report."""
    folder = tmp_path_factory.mktemp("imbalance")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made.write()
        report_study.reported()
    return folder


@pytest.fixture
def inside(reported, monkeypatch):
    """That folder as the current one, to read in."""
    monkeypatch.chdir(reported)
    return reported


def table(folder, name):
    with (folder / f"report/{name}.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_tidy_table_has_every_run_with_its_factors_and_numbers(inside):
    rows = {row["run"]: row for row in table(inside, "runs")}
    assert list(rows) == list(made.RUNS)
    # which splits one is from comes before its rule
    first = ["split.base", "split.of", "split.with", "split.rule"]
    assert [name for name in rows["dino"] if name.startswith("split.")][:4] == first
    for name, row in rows.items():
        found = metrics.read(layout.metrics("evaluate", name))["balanced"]
        for path, value in factors.flat(found).items():
            assert float(row[path]) == pytest.approx(value, abs=1e-6)
        assert row["split"] == made.RUNS[name]["split"]
        assert row["split.rule"] == made.SPLITS[row["split"]]["rule"]
        assert int(row["reference_rows"]) == 0
    assert rows["clip-half-0"]["split.share"] == "0.5"
    assert rows["sup-trim-8-1"]["split.tail"] == "8"
    assert rows["sup-trim-8-1"]["split.most"] == "1"
    assert rows["clip-half-0"]["split.tail"] == ""
    assert rows["template"]["captions.kind"] == "template"
    assert rows["drawn"]["vocabulary.size"] == "8"
    assert rows["sup-frozen-half"]["text_from"] == "clip-0"
    assert rows["dino-16"]["prototypes"] == "16"
    # the text tower learnt from the labelled rows, which have all rows of the classes
    assert rows["sup-frozen-trim-4-0"]["text_rows_of_trimmed"] == str(
        sum(sorted(filter(None, made.natural_counts()))[:4])
    )
    assert rows["sup-trim-4-0"]["text_rows_of_trimmed"] == ""
    assert int(rows["clip-half-0"]["rows"]) < int(rows["clip-half-0"]["base_rows"])
    # what classifies nothing has no accuracy
    assert rows["dino"]["top1"] == rows["dino"]["imbalance.corr_acc"] == ""


def test_without_metrics_the_accuracies_are_those_of_the_predictions(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = {"one": {"split": "full", "objective": "clip", "seed": 0}}
    made.write(runs=runs, splits={"full": made.SPLITS["full"]}, measured=False)
    shutil.rmtree("frequency")
    report_study.reported()
    (row,) = table(tmp_path, "runs")
    ranks = predictions.read(layout.predictions("one"), "balanced")["rank"].to_numpy()
    assert float(row["top1"]) == pytest.approx((ranks == 1).mean(), abs=1e-6)
    # nothing of what the study lacks is drawn or named
    figures = {path.stem for path in Path("report/figures").iterdir()}
    assert figures == {"accuracy", "binned", "density", "matrix"}
    text = Path("report/index.html").read_text()
    for anchor in ("frequency", "bias", "scale", "tail", "perclass", "probes"):
        assert f'id="{anchor}"' not in text
        head = Path(f"report/plots/{anchor}.csv").read_text()
        one = tables.load()[anchor]
        assert head == ",".join([*one.columns, *one.looks]) + "\n"


def test_runs_that_differ_by_more_than_their_seed_are_conditions_of_their_own(inside):
    found = study.load()
    assert list(found.conditions)[:3] == ["full", "labelled", "labelled, template captions"]
    assert found.conditions["labelled"].runs == ("clip-0", "clip-1")
    assert "supervised on labelled, vocabulary 8" in found.conditions
    assert "supervised on half, frozen head of clip-0, vocabulary 8" in found.conditions
    assert list(found.unnamed) == ["DINO on labelled", "DINO on labelled, 16 prototypes"]
    # several factors, one condition: names are different, and all of the runs are in one
    runs = [run for one in found.every.values() for run in one.runs]
    assert sorted(runs) == sorted(made.RUNS)


def test_names_say_every_factor():
    def named(**values):
        entry = {"split": "s", "objective": "clip", "seed": 0, **values}
        return factors.title(Run.model_validate(entry))

    assert named() == "s"
    assert named(epochs=2.0) == "s, 2 epochs"
    assert named(samples_seen=20_000) == "s, 20,000 samples seen"
    assert named(captions={"pieces": ["title", "tags"]}) == "s, captions of title + tags"
    assert named(captions={"prepend_class": True}) == "s, captions of caption, class name first"
    assert named(captions={"kind": "template", "templates": ["a {name}", "the {name}"]}) == (
        "s, template captions (one of 2)"
    )
    several = named(captions={"kind": "template", "templates": "openai-imagenet", "synonyms": True})
    assert several == "s, template captions (openai-imagenet), with synonyms"
    assert named(text="initialised", text_from="t") == "s, initialised text tower of t"
    drawn = {"objective": "supervised", "vocabulary": {"size": 50, "weights": "uniform"}}
    assert named(**drawn) == "supervised on s, vocabulary 50 (uniform weights)"
    drawn["vocabulary"] = {"size": 50, "scope": "global"}
    assert named(**drawn) == "supervised on s, vocabulary 50 (global)"
    assert named(objective="dino", prototypes=1024) == "DINO on s, 1,024 prototypes"


def test_a_study_that_adds_no_reference_to_any_run_does_not_repeat_it():
    rules = {"full": parse_rule(made.SPLITS["full"], "full")}
    run = Run(split="full", objective="clip", seed=0)
    assert list(conditions.group({"a": run}, rules, {"full": 9}, {"a"})) == ["full"]
    other = Run(split="full", objective="clip", seed=0, add_reference=True)
    both = conditions.group({"a": run, "b": other}, rules, {"full": 9}, {"a"})
    assert list(both) == ["full", "full without the reference"]


def test_kinds_say_the_text_tower_only_where_nothing_else_tells_two_apart(inside):
    found = study.load()
    kinds = found.models
    assert kinds["labelled"] == kinds["half"] == "CLIP"
    assert kinds["supervised on half, frozen head of clip-0, vocabulary 8"] == (
        "supervised, frozen head, vocabulary 8"
    )
    looks = colours.marks(found)
    assert len(set(looks.values())) == len(looks) == len(set(kinds.values()))
    assert [kind for kind, (colour, _) in looks.items() if colour == GREY] == ["supervised"]


def test_curves_are_the_counts_in_falling_order(inside):
    rows = table(inside, "plots/frequency")
    label = [row for row in rows if (row["panel"], row["corpus"]) == (CORPORA, "pool, by label")]
    counts = [int(row["count"]) for row in label]
    assert counts == sorted(made.natural_counts(), reverse=True)
    assert [int(row["rank"]) for row in label] == list(range(1, len(made.CLASSES) + 1))
    mention = {
        row["class"]: int(row["count"])
        for row in rows
        if (row["panel"], row["corpus"]) == (CORPORA, "pool, by mention")
    }
    assert mention["c00"] == made.natural_counts()[0] + 8  # 40 rows mention five classes in turn
    assert mention["c05"] == made.natural_counts()[5]
    # a split by label has the labels of its rows; its base stands beside it
    panel = "trimmed tail (0-shot), of labelled, by label"
    own = {row["corpus"] for row in rows if row["panel"] == panel}
    assert own == {"labelled", "trim-4-0", "trim-8-0"}
    trimmed = [
        int(row["count"]) for row in rows if (row["panel"], row["corpus"]) == (panel, "trim-4-0")
    ]
    base = [
        int(row["count"]) for row in rows if (row["panel"], row["corpus"]) == (panel, "labelled")
    ]
    assert sum(count == 0 for count in trimmed) == sum(count == 0 for count in base) + 4


def test_counts_of_splits_against_a_loop(inside):
    found = study.load()
    known = Frequency(made.CLASSES, made.CLASSES, np.zeros(len(made.CLASSES), np.int64))
    pool = found.sources.pool
    splits = {name: found.sources.splits[name] for name in ("half", "similar")}
    label, unlisted = corpora.by_label(pool, known, splits)
    mention = corpora.by_mention(layout.frequency("c"), known, splits)
    assert unlisted == 0
    for name, one in splits.items():
        for at, key in enumerate(made.CLASSES):
            rows = one.rows.tolist()
            assert label[name].count_C[at] == sum(pool.labels[row] == key for row in rows)
            assert mention[name].count_C[at] == sum(key in pool.captions[r] for r in rows)


def test_labels_that_are_not_listed_are_counted(inside):
    found = study.load()
    some = Frequency(("c00", "c03"), ("a", "b"), np.zeros(2, np.int64))
    count, unlisted = corpora.by_label(found.sources.pool, some, {})
    natural = made.natural_counts()
    assert count[""].count_C.tolist() == [natural[0], natural[3]]
    assert unlisted == sum(natural) - natural[0] - natural[3]


def test_sources_are_joined_by_class_id_and_never_by_position():
    one = Frequency(("a", "b", "c", "d"), ("a", "b", "c", "d"), np.array([1, 2, 3, 4]))
    turned = Frequency(("d", "c", "b", "a"), ("d", "c", "b", "a"), np.array([9, 8, 7, 6]))
    flat = Frequency(one.classes, one.names, np.array([5, 5, 5, 5]))
    rows = frequency.agreement({"one": one, "turned": turned, "flat": flat})
    assert {(row.first, row.second): row.spearman for row in rows} == {
        ("one", "one"): 1.0, ("one", "turned"): 1.0,
        ("turned", "one"): 1.0, ("turned", "turned"): 1.0,
    }  # fmt: skip
    other = Frequency(("a", "b", "c"), ("a", "b", "c"), np.array([1, 2, 3]))
    with pytest.raises(ValueError, match=r"1 have no count .first .*d"):
        frequency.agreement({"one": one, "other": other})


def test_the_matrix_is_that_of_scipy(inside):
    rows = table(inside, "plots/frequency")
    by_id = {}
    for row in rows:
        by_id.setdefault((row["panel"], row["corpus"]), {})[row["class"]] = int(row["count"])
    mention, label = (by_id[CORPORA, f"pool, by {name}"] for name in ("mention", "label"))
    expected = stats.spearmanr([mention[k] for k in made.CLASSES], [label[k] for k in made.CLASSES])
    found = {(row["first"], row["second"]): row for row in table(inside, "plots/sources")}
    value = float(found["pool, by mention", "pool, by label"]["spearman"])
    assert value == pytest.approx(expected.statistic, abs=1e-4)
    # the reference has as many rows of every class, which is no order
    assert not any("reference, by label" in key for key in found)


def test_scale_curves_end_with_the_whole_set(inside):
    rows = table(inside, "plots/scale")
    line = [row for row in rows if (row["kind"], row["measure"]) == ("CLIP", TOP1)]
    assert {row["split"]: float(row["share"]) for row in line} == {
        "half": 0.5, "quarter": 0.25, "labelled": 1.0,
    }  # fmt: skip
    seeds = [f"clip-half-{seed}" for seed in (0, 1)]
    top1 = [metrics.read(layout.metrics("evaluate", run))["balanced"]["top1"] for run in seeds]
    (half,) = [row for row in line if row["split"] == "half"]
    assert float(half["value"]) == pytest.approx(100 * np.mean(top1), abs=1e-3)
    assert float(half["low"]) == pytest.approx(100 * min(top1), abs=1e-3)
    assert half["seeds"] == "2"
    # the pool is no scale of anything, and a vocabulary without shares has no line
    assert {row["kind"] for row in rows} == {
        "CLIP", "supervised", "supervised, frozen head, vocabulary 8",
    }  # fmt: skip


def test_tail_curves_have_the_trimmed_classes_and_the_rest(inside):
    rows = table(inside, "plots/tail")
    assert {row["shots"] for row in rows} == {"0-shot", "1-shot"}
    for row in rows:
        rule = made.SPLITS[row["split"]]
        assert (int(row["tail"]), row["shots"]) == (rule["tail"], f"{rule['most']}-shot")
    (one,) = [
        row
        for row in rows
        if (row["split"], row["kind"], row["group"]) == ("trim-8-1", "supervised", "trimmed")
    ]
    found = metrics.read(layout.metrics("evaluate", "sup-trim-8-1"))["balanced"]["imbalance"]
    assert float(one["value"]) == pytest.approx(100 * found["trimmed"], abs=1e-3)


def mixed_runs():
    """CLIP on shares and on trimmed tails, with the reference and without it."""
    return {
        f"{split}-{added}": {
            "split": split, "objective": "clip", "seed": 0, "add_reference": bool(added),
        }
        for split in ("labelled", "half", "quarter", "trim-4-0")
        for added in (0, 1)
    }  # fmt: skip


def test_runs_with_the_reference_are_on_lines_of_their_own_and_on_no_tail(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made.write(runs=mixed_runs())
    inputs = report_study.inputs()
    lines: dict[str, dict[str, parts.Scaled]] = {}
    for row in parts.scaled(inputs):
        if row.measure == TOP1:
            lines.setdefault(row.kind, {})[row.split] = row
    kinds = ("CLIP", "CLIP, with the reference")
    assert set(lines) == set(kinds)
    assert all(set(line) == {"half", "quarter", "labelled"} for line in lines.values())
    own = {name: len(rows) for name, rows in inputs.study.splits.items()}
    for added, kind in enumerate(kinds):
        for split, row in lines[kind].items():
            assert row.rows == own[split] + added * 2 * len(made.CLASSES)
            numbers = metrics.read(layout.metrics("evaluate", f"{split}-{added}"))["balanced"]
            assert row.value == pytest.approx(100 * numbers["top1"], abs=1e-3)
    assert {row.kind for row in parts.trimmed(inputs)} == {"CLIP"}
    shown = bias_section.tail(report_study.collected())
    assert shown is not None
    assert shown["left_out"] == ["trim-4-0"]


def test_a_tail_of_runs_with_the_reference_alone_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = {"one": {"split": "trim-4-0", "objective": "clip", "seed": 0, "add_reference": True}}
    made.write(runs=runs)
    assert parts.trimmed(report_study.inputs()) == []
    shown = bias_section.tail(report_study.collected())
    assert shown is not None
    assert (shown["panels"], shown["left_out"]) == ([], ["trim-4-0"])


def test_what_text_towers_saw_of_the_trimmed_classes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    taken = {"objective": "clip", "seed": 0, "text": "frozen"}
    names = ("labelled", "half", "trim-8-0", "trim-4-1")
    runs: dict[str, Any] = {name: {"split": name, "objective": "clip", "seed": 0} for name in names}
    runs["added"] = {"split": "trim-8-0", "objective": "clip", "seed": 0, "add_reference": True}
    runs["everything"] = {"split": "all", "objective": "clip", "seed": 0}
    runs["theirs"] = {"split": "none", "objective": "checkpoint", "path": "x"}
    for given in (*names, "added", "everything", "theirs"):
        runs[f"from-{given}"] = {"split": "trim-4-0", "text_from": given, **taken}
    runs["whole"] = {"split": "labelled", "text_from": "half", **taken}  # nothing is trimmed
    made.write(runs=runs)
    inputs = report_study.inputs()
    sources = inputs.study.sources
    trimmed = sources.splits["trim-4-0"].card["trimmed"]
    assert len(trimmed) == 4
    labels = sources.pool.labels
    expected = {
        f"from-{name}": sum(labels[row] in trimmed for row in sources.splits[name].rows.tolist())
        for name in names
    }
    assert expected["from-labelled"] == 3 + 2 + 2 + 2 > expected["from-trim-4-1"] > 0
    expected["from-added"] = 2 * 4  # the reference's rows
    expected["from-everything"] = sum(label in trimmed for label in labels)
    seen = locked_text.seen(inputs)
    # what a published model saw is not known, which is no zero
    assert {run: n for (run, _), n in seen.items()} == expected | {"from-theirs": None}
    every = [line.factors for line in tidy.lines(inputs)]
    rows = {one["run"]: one.get("text_rows_of_trimmed") for one in every}
    assert {run: int(count) for run, count in rows.items() if count} == expected
    content = report_study.collected()
    shown = bias_section.tail(content)
    assert shown is not None
    assert [row.cells[0] for row in shown["towers"]] == [*expected, "from-theirs"]
    told = [row.cells[2] for row in shown["towers"]]
    assert told == [*map(str, expected.values()), "not known"]
    assert rows["from-theirs"] is None


def test_an_encoder_that_is_in_no_table_has_seen_the_whole_pool(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    splits = {
        name: entry for name, entry in made.SPLITS.items() if name in ("labelled", "trim-4-0")
    }
    runs = {
        "whole-0": {"split": "all", "objective": "clip", "seed": 0, "add_reference": False},
        "one": {"split": "trim-4-0", "objective": "clip", "seed": 0, "text": "frozen",
                "text_from": "whole-0"},
    }  # fmt: skip
    made.write(runs=runs, splits=splits, encoder="whole-0")
    inputs = report_study.inputs()
    assert "whole-0" not in inputs.study.runs
    trimmed = inputs.study.splits["trim-4-0"].card["trimmed"]
    count = sum(label in trimmed for label in inputs.study.sources.pool.labels)
    assert locked_text.seen(inputs) == {("one", "whole-0"): count}
    (layout.model("whole-0") / "card.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"whole-0/card.json: .*dvc repro train@whole-0"):
        locked_text.seen(inputs)


def test_text_towers_of_classes_by_mention(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    by = {**made.LABEL, "by": "mention"}
    splits = {
        "full": made.SPLITS["full"],
        "trim": {"rule": "trim_tail", "base": "full", "tail": 22, "most": 0, **by},
    }
    runs = {
        "tower": {"split": "full", "objective": "clip", "seed": 0},
        "one": {"split": "trim", "objective": "clip", "seed": 0, "text": "frozen",
                "text_from": "tower"},
    }  # fmt: skip
    made.write(runs=runs, splits=splits)
    inputs = report_study.inputs()
    trimmed, pool = inputs.study.splits["trim"].card["trimmed"], inputs.study.sources.pool
    count = sum(any(key in caption for key in trimmed) for caption in pool.captions)
    assert count > sum(label in trimmed for label in pool.labels)
    assert locked_text.seen(inputs) == {("one", "tower"): count}


def test_a_text_tower_of_another_split_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entry = {"objective": "clip", "seed": 0}
    runs = {
        "tower": {"split": "labelled", **entry},
        "one": {"split": "trim-4-0", **entry, "text": "frozen", "text_from": "tower"},
    }
    made.write(runs=runs)
    path = layout.model("tower") / "card.json"
    atomic.write_json(path, atomic.read_json(path) | {"split": {"pool": "another"}})
    with pytest.raises(ValueError, match="tower: trained on another split than labelled"):
        locked_text.seen(report_study.inputs())


def test_bars_of_the_plot_of_bias_are_explained(inside):
    said = " ".join(caption([])).replace("\u00a0", " ")  # a number and its sign are kept together
    assert "95 % bootstrap interval" in said
    shown = " ".join("".join(Page((inside / "report/index.html").read_text()).text).split())
    assert "Bars: the 95 % bootstrap interval of one seed's corr_acc, or the least and" in shown


def test_accuracy_by_class_is_a_mean_over_seeds(inside):
    rows = table(inside, "plots/perclass")
    mine = [row for row in rows if row["condition"] == "labelled"]
    tables = [
        predictions.read_classes(layout.predictions(f"clip-{seed}"), "balanced").to_pylist()
        for seed in (0, 1)
    ]
    expected = {
        both[0]["class"]: 100 * np.mean([one["accuracy"] for one in both])
        for both in zip(*tables, strict=True)
    }
    classes = {row["class"]: row for row in mine if row["role"] == "class"}
    assert {key: float(row["accuracy"]) for key, row in classes.items()} == pytest.approx(
        expected, abs=1e-3
    )
    # a class without a row stands at the left edge, with its frequency as it is
    assert (classes["c23"]["frequency"], classes["c23"]["shown"]) == ("0.0", "0.5")
    means = [row for row in mine if row["role"] == "mean"]
    sizes = [int(row["name"].split()[0]) for row in means]
    assert sum(sizes) == len(made.CLASSES)
    rarest = sorted(classes.values(), key=lambda row: (float(row["frequency"]), row["class"]))
    some = rarest[: sizes[0]]
    middle = math.exp(np.mean([math.log(float(row["shown"])) for row in some]))
    assert float(means[0]["shown"]) == pytest.approx(middle, abs=1e-3)
    assert float(means[0]["accuracy"]) == pytest.approx(
        np.mean([float(row["accuracy"]) for row in some]), abs=1e-3
    )


def test_probes_stand_by_their_model(inside):
    rows = table(inside, "plots/probes")
    assert {(row["probe"], row["kind"]) for row in rows} == {("dino", "DINO"), ("clip-0", "CLIP")}
    assert [row["shots"] for row in rows if row["probe"] == "dino"] == ["1", "2"]
    for row in rows:
        assert float(row["high"]) - float(row["value"]) == pytest.approx(2.0, abs=1e-3)


def test_the_page_has_all_parts_and_asks_the_other_question(inside):
    text = (inside / "report/index.html").read_text()
    page = Page(text)
    assert "Why is CLIP robust to a long tail of classes?" in text
    for anchor in ("frequency", "bias", "scale", "tail", "perclass", "probes"):
        assert anchor in page.ids
    assert len(set(page.ids)) == len(page.ids)
    shown = "".join(page.text)
    assert "DINO on labelled, 16 prototypes" in shown
    assert "corr_acc is lowest for “" in shown
    assert "and highest for “" in shown
    assert "No pruned split has a random split" not in shown
    # splits of classes have no histogram, and the page says so
    assert "9 further splits are not drawn here" in shown
    assert all(found.get("aria-label") for tag, found in page.tags if found.get("role") == "img")
    assert not [tag for tag, _ in page.tags if tag in ("link", "iframe", "object")]
    assert not [found for tag, found in page.tags if tag == "script" and "src" in found]
    assert {path.stem for path in Path("report/figures").iterdir()} >= FIGURES


def test_the_same_study_gives_the_same_bytes(reported, tmp_path, monkeypatch):
    folder = tmp_path / "again"
    shutil.copytree(reported, folder)
    monkeypatch.chdir(folder)
    report_study.reported()
    assert contents(folder / "report") == contents(reported / "report")


def test_every_rule_has_words():
    two = {"of": "a", "with": "b"}
    scored = {"tests": ["val"], "keep": 3}
    more = {
        "hull": {"tests": ["val"]},
        **dict.fromkeys(("near", "far", "core"), scored),
        "random": {"keep": 3, "seed": 0},
        **dict.fromkeys(("union", "intersection", "difference"), two),
        "trim_tail": {"by": "label", "tail": 3, "most": 0, "seed": 0},
        "scale": {"by": "mention", "share": 0.5, "seed": 0},
        "match": {"by": "label", "to": "reference", "seed": 0},
        "quota": {"of": "a", "by": "mention", "seed": 0},
        "threshold": {"above": 0.7},
        "classes": {"by": "label", "take": 10, "seed": 0},
        "balance": {"by": "mention", "most": 10, "seed": 0},
        "domain": {"domain": "style", "drop": "second"},
        "where": {"column": "similarity", "least": 0.3},
        "given": {"file": "medium.npy"},
        "distinct_captions": {},
        "signal": {"signal": "clip", "stays": "highest", "keep": 3},
    }
    said = {}
    for rule in RULES.models:
        entry = {"rule": rule, "base": "labelled", **made.NONE, **more.get(rule, {})}
        said[rule] = parse_rule(entry, rule).sentence()
    assert len(set(said.values())) == len(said)
    assert said["trim_tail"] == ("the 3 rarest classes by label cut to at most 0 rows each, seed 0")


def test_seventy_runs_on_many_splits_stay_readable(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shares = [round(0.02 * number, 2) for number in range(1, 43)]
    scale = {"rule": "scale", "base": "labelled", **made.LABEL}
    splits = {name: made.SPLITS[name] for name in ("full", "labelled")}
    splits |= {f"scale-{share}": {**scale, "share": share} for share in shares}
    runs: dict[str, Any] = {
        f"clip-{name}": {"split": name, "objective": "clip", "seed": 0} for name in splits
    }
    runs |= {
        f"drawn-{name}": {"split": name, "objective": "supervised", "seed": 0, **made.DRAWN}
        for name in list(splits)[1:28]
    }
    assert len(runs) > 70
    made.write(runs=runs, splits=splits)
    Path("report").mkdir()
    report_study.reported()
    text = Path("report/index.html").read_text()
    assert len(text) < 2_000_000
    shown = "".join(Page(text).text)
    assert f"Table of {len(runs)} conditions" in shown
    assert f"{len(runs) - 1} further conditions are not drawn here" in shown
    assert json.loads(Path("metrics/report.json").read_bytes())["accuracy"].keys() == runs.keys()


def test_points_of_the_plot_of_bias_have_a_key(inside):
    content = report_study.collected()
    (figure,) = figures.load()["bias"].files(content).values()
    below = " ".join(figure["title"]["subtitle"])
    page = Path("report/index.html").read_text()
    for at, name in numbered(content.rows("bias")).items():
        assert f"{at}: {name}" in below
        assert f"<b>{at}</b>&nbsp;{name}" in page
