"""Parameters are read as DVC reads them: what `dvc params diff` shows is what a stage takes."""

import json
import math
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import load_yaml

from clipcause import config
from clipcause.captions import synonyms
from clipcause.captions.classes import ClassNames
from clipcause.config import yaml12
from tests.repository import Repository

# how people and tools spell a value, and what it is
SPELLINGS = {
    "5e-5": 5e-05,
    "5e-05": 5e-05,
    "5.0e-05": 5e-05,
    "0.00005": 5e-05,
    "5E-5": 5e-05,
    "+.5e-4": 5e-05,
    "1e-8": 1e-08,
    "1e5": 100000.0,
    ".5": 0.5,
    "1_000": 1000,
    "012": 12,
    "0o12": 10,
    "0x1f": 31,
    "1:30": "1:30",
    "no": "no",
    "on": "on",
    "true": True,
    "~": None,
    ".inf": math.inf,
    "'5e-5'": "5e-5",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_value_is_what_dvc_shows(tmp_path: Path, spelling: str):
    path = tmp_path / "params.yaml"
    path.write_text(f"train:\n  rate: {spelling}\n")
    found = config.read(path)["train"]["rate"]
    shown = load_yaml(str(path))["train"]["rate"]
    assert (found, type(found)) == (shown, type(shown))
    assert (found, type(found)) == (SPELLINGS[spelling], type(SPELLINGS[spelling]))


@pytest.mark.parametrize("said", ["5e-5", "5.0e-5", "0.00005", "1e-8", "0.25", "3", "true"])
def test_a_value_that_dvc_sets_is_the_value_that_was_said(tmp_path: Path, said: str):
    path = tmp_path / "params.yaml"
    path.write_text("train: {rate: 0.0015}\n")
    apply_overrides(str(path), [f"train.rate={said}"])
    found = config.read(path)["train"]["rate"]
    meant = yaml12.load(said, "said")
    assert (found, type(found)) == (meant, type(meant))


def test_dvc_sets_a_value_below_a_key_with_a_slash_from_above_it(tmp_path: Path):
    path = tmp_path / "params.yaml"
    path.write_text("datasets: {pool: {raw: a}, tests/val: {raw: b, source: folder}}\n")
    said = ["datasets={tests/val: {raw: /data/val}}", "+datasets={tests/more: {raw: c}}"]
    apply_overrides(str(path), said)
    assert config.read(path)["datasets"] == {
        "pool": {"raw": "a"},
        "tests/val": {"raw": "/data/val", "source": "folder"},
        "tests/more": {"raw": "c"},
    }


@pytest.mark.parametrize(
    "spelling", [*SPELLINGS, "'no'", "''", "'a: b'", "[1, '2', 3.0]", "{a: 1e-8}"]
)
def test_a_value_that_is_said_on_a_line_is_read_as_the_same_by_dvc(tmp_path: Path, spelling: str):
    meant = yaml12.load(spelling, "said")
    path = tmp_path / "params.yaml"
    path.write_text(f"rate: {yaml12.line(meant)}\n")
    found = load_yaml(str(path))["rate"]
    assert (found, type(found)) == (meant, type(meant))
    assert "\n" not in yaml12.line({"long": "word " * 100})


def test_params_diff_shows_what_stages_take(tmp_path: Path):
    """By DVC's command, for the table's finite spellings at once, from one commit to the next."""
    known = {f"v{at}": text for at, text in enumerate(SPELLINGS) if text not in (".inf", "~")}
    repository = Repository(tmp_path / "study")
    repository.folder.mkdir()
    repository.init()
    path = repository.folder / "params.yaml"
    path.write_text("train:\n" + "".join(f"  {name}: other\n" for name in known))
    repository.commit("start")
    path.write_text("train:\n" + "".join(f"  {name}: {text}\n" for name, text in known.items()))
    shown = json.loads(repository.dvc("params", "diff", "--all", "--json"))["params.yaml"]
    taken = config.read(path)["train"]
    assert shown.keys() == {f"train.{name}" for name in known}
    for name in known:
        new = shown[f"train.{name}"]["new"]
        assert (new, type(new)) == (taken[name], type(taken[name]))


def test_a_key_that_comes_twice_is_named_with_its_line():
    with pytest.raises(ValueError, match=r"^p\.yaml: line 2: 'a' comes twice$"):
        yaml12.load("a: 1\na: 2\n", "p.yaml")


def test_what_is_no_yaml_says_where():
    with pytest.raises(ValueError, match=r"^p\.yaml: not valid YAML: line 2, column \d+: [^\n]+$"):
        yaml12.load("a: [1, 2\n", "p.yaml")


def test_a_class_list_that_is_written_is_read_with_the_same_words():
    words = ["no", "on", "5e-5", "0o17", "1:30", "1_000", "2020-01-01", "~", "cat: dog", "# x", "a"]
    known = {f"n0000000{i}": ClassNames(name=word, names=[word]) for i, word in enumerate(words)}
    again = yaml12.load(synonyms.content(known, "a test"), "list.yaml")
    assert [entry["names"] for entry in again.values()] == [[word] for word in words]
