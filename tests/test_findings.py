"""README, docs/imbalance.md, docs/similarity.md: their tables are those of the studies' results."""

import json
from pathlib import Path

import pytest
import yaml

from benchmarks import curation_findings, findings, shares_findings, similarity_findings

ROOT = Path(__file__).parents[1]
FINDINGS = [findings, similarity_findings, curation_findings, shares_findings]


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("made", FINDINGS)
def test_the_tables_are_those_of_the_results(made):
    text = (ROOT / made.DOCUMENT).read_text()
    name = made.__name__
    assert made.filled(text) == text, f"run `python -m {name} --write`"


@pytest.mark.parametrize("made", FINDINGS)
def test_the_results_are_of_the_study_as_it_is(made):
    study = yaml.safe_load((made.RESULTS / "params.yaml").read_text())
    measured = {path.stem for path in (made.RESULTS / "metrics/evaluate").glob("*.json")}
    assert measured == study["runs"].keys()


def test_a_cell_is_a_mean_and_its_range():
    assert findings.cell([0.5], percent=True) == "50.0"
    assert findings.cell([0.2, 0.4, 0.6], percent=True) == "40.0 [20.0, 60.0]"
    assert findings.cell([-0.5], percent=False) == "−0.50"
    assert findings.cell([], percent=True) == "–"


def test_seeds_of_a_model_are_not_those_of_one_with_a_longer_name(tmp_path):
    for name, value in (("name-0", 1), ("name-1", 2), ("name-tags-0", 3), ("name-10", 4)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"x": value}))
    assert sorted(one["x"] for one in findings.seeds(tmp_path, "name")) == [1, 2, 4]
    with pytest.raises(FileNotFoundError, match=r"nam-\*\.json: not found"):
        findings.seeds(tmp_path, "nam")


def test_a_column_without_a_number_is_left_out():
    shown = findings.markdown(["a", "b", "c"], [["x", "–", "1"], ["y", "–", "–"]])
    assert shown.splitlines() == ["| a | c |", "| --- | ---: |", "| x | 1 |", "| y | – |"]
