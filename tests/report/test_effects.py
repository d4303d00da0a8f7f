"""The figure `effects`: differences from random controls beside the supervised classifier."""

from dataclasses import replace

import pytest
from PIL import Image

from clipcause.prune.rules.hull import Hull
from clipcause.report import analysis, examples, figures, markdown, replicate
from clipcause.report.tables import accuracy, comparisons, decomposition, effects
from tests.report.test_comparisons import a_comparison
from tests.report_study import RUNS, collected, inputs, reported, write_study


def test_a_line_per_condition_and_test_set_in_points_from_the_control(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_study()
    found = effects.rows(inputs())
    assert [row.line for row in found] == ["hull-sketch on val", "hull-sketch on sketch"]
    cells = {line.condition.name: line.cells for line in accuracy.lines(inputs())}
    for row in found:
        control = cells["random-hull-sketch"][row.test].top1.value
        labelled = 100 * (cells["supervised"][row.test].top1.value - control)
        assert row.supervised == pytest.approx(labelled, abs=1e-3)
        assert row.low <= row.difference <= row.high
    content = collected()
    one = figures.load()["effects"]
    (panel,) = one.panels(content)
    assert panel.spec["data"]["values"] == content.rows("effects")
    assert list(one.files(content)) == ["effects"]


def test_without_a_supervised_run_there_is_no_tick(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_study(runs={name: run for name, run in RUNS.items() if name != "supervised"})
    assert {row.supervised for row in effects.rows(inputs())} == {None}
    assert list(figures.load()["effects"].files(collected())) == ["effects"]


def test_a_hull_split_is_compared_with_labels_and_with_what_similarity_predicts(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_study()
    found = inputs()
    labelled = comparisons.beside_labels(found)
    assert [(one.name, one.other, one.test) for one in labelled] == [
        ("hull-sketch", "supervised", "val"),
        ("hull-sketch", "supervised", "sketch"),
    ]
    cells = {line.condition.name: line.cells for line in accuracy.lines(found)}
    for one in labelled:
        apart = cells["hull-sketch"][one.test].top1.value - cells["supervised"][one.test].top1.value
        assert one.found.difference.value == pytest.approx(apart)
    stored = analysis.claims(found)
    assert list(stored["labels"]["hull-sketch"]["supervised"]) == ["val", "sketch"]
    predicted = decomposition.predicted(found)
    assert predicted
    for (name, test), one in predicted.items():
        leaf = stored["predicted"][name][test]
        assert leaf["difference"] == pytest.approx(leaf["predicted"] - leaf["seen"])
        beside = stored["claims"][name]["random-hull-sketch"][test]
        assert leaf["seen"] == pytest.approx(-beside["difference"])
        assert (leaf["runs"], leaf["control_runs"], leaf["called"]) == (1, 1, 0)
        assert one.excess.value == leaf["difference"]
    claims = [one.at for one in replicate.parsed(stored)]
    assert ("hull-sketch", "supervised", "sketch") in claims
    assert ("hull-sketch", replicate.SEEN, next(iter(predicted))[1]) in claims


def hull(**changed):
    slots = {"base": "dedup", "of": "none", "with": "none"}
    return Hull.model_validate({"rule": "hull", "tests": ["sketch"], **slots} | changed)


@pytest.mark.parametrize(
    ("changed", "share", "removed"),
    [
        ({"base": "all"}, 0.2,
         "20.0\u00a0% of the pool that are nearer to an image of sketch than the labelled "
         "reference is"),
        ({"base": "near"}, 0.00049,
         "less than 0.1\u00a0% of the split “near” that are nearer to an image of sketch than the "
         "labelled reference is"),
        ({"delta": 0.05}, 0.2,
         "20.0\u00a0% of the de-duplicated pool that are more similar to an image of sketch than "
         "its nearest image of the labelled reference + 0.05 in cosine similarity"),
        ({"delta": -0.1, "scores": "dino"}, 0.2,
         "20.0\u00a0% of the de-duplicated pool that are more similar to an image of sketch than "
         "its nearest image of the labelled reference − 0.1 in cosine similarity, measured by the "
         "scores “dino”"),
    ],
)  # fmt: skip
def test_what_was_removed_is_a_share_of_the_base_by_the_hulls_own_threshold(
    changed, share, removed
):
    assert markdown._removed(hull(**changed), share) == removed


def test_a_hull_that_removes_nothing_answers_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_study()
    content = collected()
    for line in content.lines:
        if line.condition.name == "hull-sketch":
            content.lines[content.lines.index(line)] = replace(line, removed=0.0)
    assert markdown.answer(content).startswith(
        "**Nothing was removed.** No image of the de-duplicated pool is nearer to an image of "
        "sketch than the labelled reference is"
    )


def compared(value, p, other="random", runs=(5, 5)):
    found = a_comparison(value, p, runs=runs)
    return comparisons.corrected([("hull-sketch", other, "sketch", found)])[0]


@pytest.mark.parametrize(
    ("beside", "labelled", "answer"),
    [
        (
            compared(-0.08, 0.001),
            [compared(0.2, 0.001, "supervised")],
            "**In part.** Without the 9.0\u00a0% of the de-duplicated pool that are nearer to an "
            "image of sketch than the labelled reference is, accuracy on sketch is 8.0 points "
            "lower [4.0, 12.0] than after as many rows at random were left out (5 and 5 runs; "
            "beyond noise), and 20.0 points higher [16.0, 24.0] than that of a classifier that "
            "learnt from the labelled reference alone (5 runs).",
        ),
        (compared(-0.08, 0.001), [compared(0.02, 0.4, "supervised")], "**Yes.** Without"),
        (compared(-0.03, 0.2), [], "**These runs do not show it.** Without"),
        (compared(0.08, 0.001), [], "**No.** Without"),
        (
            compared(-0.0003, 0.9),
            [compared(0.0002, 0.9, "supervised")],
            "**These runs do not show it.** Without the 9.0\u00a0% of the de-duplicated pool that "
            "are nearer to an image of sketch than the labelled reference is, accuracy on sketch "
            "is the same to a tenth of a point [−4.0, +4.0] as after as many rows at random were "
            "left out (5 and 5 runs; not beyond noise), and the same to a tenth of a point "
            "[−4.0, +4.0] as that of a classifier that learnt",
        ),
        (compared(-0.08, 0.001, runs=(1, 5)), [], "**No claim: a side has one run.** Without"),
    ],
)  # fmt: skip
def test_the_answer_is_one_sentence_of_the_claims(beside, labelled, answer):
    said = markdown.answered(beside, markdown._removed(hull(), 0.09), labelled)
    assert said.startswith(answer)
    assert ("not beyond noise" in said) == (not beside.is_sure or "Yes" in answer)


def test_a_study_of_a_hull_has_an_answer_and_pictures_of_what_it_lost(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_study(report={"examples": 2})
    reported()
    assert (tmp_path / "report/answer.md").read_text().startswith("**No claim: a side has one run")
    with Image.open(tmp_path / "report/figures/pruned.png") as sheet:
        pair = 2 * examples.SIDE + examples.GAP
        assert sheet.width in {n * (pair + 2 * examples.GAP) + 2 * examples.GAP for n in (1, 2)}
        assert len(sheet.getcolors(1 << 20) or []) > 10
