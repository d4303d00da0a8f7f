"""docs/imbalance.md: its tables are those of the preset's results."""

import json
from pathlib import Path

import pytest
import yaml

from benchmarks import findings

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / findings.DOCUMENT).read_text()


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_the_tables_are_those_of_the_results():
    assert findings.filled(TEXT) == TEXT, "run `python -m benchmarks.findings --write`"


def test_the_results_are_of_the_preset_as_it_is():
    preset = yaml.safe_load((ROOT / "presets/icons-imbalance.yaml").read_text())
    assert yaml.safe_load((findings.RESULTS / "params.yaml").read_text()) == preset
    measured = {path.stem for path in (findings.RESULTS / "metrics/evaluate").glob("*.json")}
    assert measured == preset["runs"].keys()


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
