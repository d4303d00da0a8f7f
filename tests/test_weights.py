"""weights: what a model that others trained is read from is watched, and its hash is stated."""

import hashlib
import json
from pathlib import Path

import pytest
import yaml

from clipcause.check import graph, names
from clipcause.config import layout, read, weights
from clipcause.embed import checkpoint, weight_hashes
from stages import evaluate, train
from stages import weights as stage
from tests import clones, learning_study
from tests.repository import Repository

ROOT = Path(__file__).parents[1]
THEIRS = {"split": "none", "objective": "checkpoint", "text_from": "weights/mine"}


@pytest.fixture
def here(tmp_path):
    with learning_study.made(tmp_path):
        train.main("full-0")
        layout.model("full-0").rename("outside")
        content = yaml.safe_load(Path("params.yaml").read_text())
        content["weights"] = {"mine": "outside"}
        content["runs"]["theirs"] = THEIRS
        Path("params.yaml").write_text(yaml.safe_dump(content))
        yield tmp_path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_hashes_of_a_folder_are_those_of_its_files(here):
    assert stage.main("mine").startswith("models/weights/mine: ")
    noted = json.loads((layout.weights("mine") / "card.json").read_text())["sha256"]
    files = [path for path in Path("outside").iterdir() if not path.name.startswith(".")]
    assert noted == {path.name: digest(path) for path in files}
    (here / "alone.pt").write_bytes(b"weights")
    assert weight_hashes.hashes(here / "alone.pt") == {"alone.pt": digest(here / "alone.pt")}


def test_a_run_is_read_from_there_and_its_card_has_the_hash(here):
    stage.main("mine")
    train.main("theirs")
    stored, given = checkpoint.read(layout.model("theirs")), checkpoint.read(Path("outside"))
    assert stored.fingerprint == given.fingerprint
    assert stored.card["read"] == {checkpoint.WEIGHTS: digest(Path("outside/model.safetensors"))}
    assert stored.card["training"] == {"objective": "checkpoint", "text_from": "weights/mine"}
    assert evaluate.main("theirs")


def test_files_that_were_changed_since_are_not_read(here):
    stage.main("mine")
    noted = layout.weights("mine") / "card.json"
    noted.write_text(noted.read_text().replace(digest(Path("outside/model.safetensors")), "0" * 64))
    with pytest.raises(ValueError, match=r"weights\.mine: model\.safetensors is another than"):
        train.main("theirs")
    assert not layout.model("theirs").exists()


@pytest.mark.parametrize("path", ["nowhere", "empty"])
def test_nothing_to_read_is_told(tmp_path, path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=path):
        weight_hashes.hashes(tmp_path / path)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"objective": "checkpoint", "text_from": "weights/mnie"}, "text_from: weights: .*'mine'"),
        ({"objective": "checkpoint", "text_from": "full-0"}, "takes no text tower"),
        (
            {"objective": "checkpoint", "text_from": "none", "path": "/a/b"},
            r"runs\.theirs\.path: DVC does not see when /a/b changes; write "
            r"`weights: \{theirs: /a/b\}`, and in the run `text_from: weights/theirs`",
        ),
        (
            {"objective": "checkpoint", "text_from": "weights/mine", "path": "/a/b"},
            "text_from is weights/mine, which is its path: leave one",
        ),
        (
            {"objective": "pretrained", "model": "ViT-B-32", "pretrained": "./a.pt"}
            | {"text_from": "none"},
            r"runs\.theirs\.pretrained: DVC does not see when \./a\.pt changes",
        ),
    ],
)
def test_a_run_that_names_no_weights_of_the_section(entry, message):
    content = read(ROOT / "params.yaml")
    content["weights"] = {"mine": "/models/mine.pt"}
    content["runs"] = {"theirs": {"split": "none"} | entry}
    with pytest.raises(ValueError, match=message):
        names.check_runs(content, ROOT / "params.yaml")


@pytest.mark.parametrize("path", ["", "none", 3, "s3://bucket/model.pt"])
def test_an_entry_is_a_path(path):
    with pytest.raises(ValueError, match=r"params: weights\.mine: .* no (path|file)"):
        weights.check({"weights": {"mine": path}}, "params")


def test_the_name_of_what_is_not_used_is_no_entry():
    with pytest.raises(ValueError, match=r"weights\.none: the name is taken"):
        weights.check({"weights": {"none": "/models/mine.pt"}}, "params")


def test_dvc_sees_that_weights_were_replaced(tmp_path):
    """From the file to the run, and no other run."""
    clones.copy(tmp_path / "clone")
    repository = Repository(tmp_path / "clone/studies/tiny")
    repository.run("git", "init", "-q", tmp_path / "clone")
    repository.commit("start")
    outside = tmp_path / "mine.safetensors"
    outside.write_bytes(b"first")
    file = repository.folder / "params.yaml"
    content = yaml.safe_load(file.read_text())
    content["weights"] = {"mine": str(outside)}
    theirs = {"split": "none", "objective": "pretrained", "model": "ViT-S-16"}
    content["runs"]["theirs"] = theirs | {"text_from": "weights/mine"}
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    repository.dvc("repro", "-q", "weights@mine")
    assert "up to date" in repository.dvc("status", "weights@mine")
    outside.write_bytes(b"other")
    assert "mine.safetensors" in repository.dvc("status", "weights@mine")
    repository.dvc("repro", "-q", "weights@mine")
    card = repository.folder / layout.weights("mine") / "card.json"
    assert digest(outside) in card.read_text()
    stages = graph.expand(graph.read(ROOT / "dvc.yaml"), content)
    after = {name for name, read_by in graph.before(stages).items() if "weights@mine" in read_by}
    assert after == {"train@theirs", "analyse"}  # which reads all models
