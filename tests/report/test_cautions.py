"""What a reader should know first: said with its number by the stage and on the page, or not at
all."""

from dataclasses import replace
from pathlib import Path

import pytest

from clipcause.report import cautions
from tests import report_study
from tests.report.pages import Page


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_study.write_study()
    return report_study.inputs()


def found_in(inputs, study):
    return cautions.found(replace(inputs, study=study, _made={}))


def test_classes_that_the_reference_lacks_are_counted_and_named(inputs):
    sources = inputs.study.sources
    lacking = replace(sources.reference)
    vars(lacking)["labels"] = [one for one in sources.reference.labels if one != "key"]
    study = replace(inputs.study, sources=replace(sources, reference=lacking))
    found = found_in(inputs, study)
    for test in ("val", "sketch"):
        (said,) = (text for text in found if f"classes of {test}" in text)
        assert said.startswith(f"The reference has no image of 1 of the 3 classes of {test} (key):")
    assert not [text for text in cautions.found(inputs) if "has no image" in text]


@pytest.mark.parametrize(("kept", "share"), [(41, "59.0\u00a0%"), (50, None), (99, None)])
def test_a_hull_split_that_lost_more_than_half_is_told_with_its_share(inputs, kept, share):
    study = inputs.study
    full = study.splits["full"]
    sizes = {"dedup": replace(full, rows=100), "hull-sketch": replace(full, rows=kept)}
    found = found_in(inputs, replace(study, splits=study.splits | sizes))
    told = [text for text in found if "Hull pruning for" in text]
    assert len(told) == (share is not None)
    if share:
        expected = f"Hull pruning for “hull-sketch” removed {share} of its base (59 of 100 rows)"
        assert told[0].startswith(expected)
        assert "says a secondary text, 6\u00a0%" in told[0]


def test_they_are_said_by_the_stage_and_on_the_page(inputs, capsys):
    report_study.reported()
    said = capsys.readouterr().err
    images = len(inputs.study.reference)
    expected = "“supervised” was trained on no row of the pool, but on the reference’s "
    assert f"analyse: {expected}{images} images" in said
    page = Page(Path("report/index.html").read_text())
    assert f"{expected}{images} images" in " ".join("".join(page.text).split())
