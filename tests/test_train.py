import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from open_clip.model import CLIPTextCfg, CLIPVisionCfg

from clipcause.config import layout, section
from clipcause.config.train import TEXT, VISION, Train
from clipcause.data import dataset
from clipcause.embed import checkpoint
from clipcause.prune import split
from clipcause.runtime import code
from clipcause.runtime.imports import transitive
from clipcause.train import runs
from stages import train
from tests import learning_study
from tests.artifacts_samples import contents

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study with its encoder and its splits, made once."""
    root = tmp_path_factory.mktemp("study")
    with learning_study.made(root):
        pool = dataset.read(layout.dataset("pool"))
        card = {"pool": pool.sha256, "pool_rows": len(pool)}
        split.write(layout.split("half"), np.arange(0, 40, 2), card=card)
        split.write(layout.split("empty"), np.array([], int), card=card)
        train.main("full-0")
    return root


@pytest.fixture
def here(study, tmp_path, monkeypatch):
    return learning_study.enter_copy(study, tmp_path, monkeypatch)


def states(root):
    return list((root / "shards").glob("*.state"))


def test_the_encoder_is_a_run_and_a_run_is_repeatable(here):
    first = contents(layout.model("full-0")), contents(layout.curves("full-0"))
    assert "clip on 40 rows" in train.main("full-0")
    assert (contents(layout.model("full-0")), contents(layout.curves("full-0"))) == first
    card = checkpoint.read(layout.model("full-0")).card
    assert card["split"] == dict(split.read(layout.split("all")).card)
    assert "code" not in card["training"]
    assert not states(here)


def test_another_split_is_another_model(here):
    assert "clip on 20 rows" in train.main("half-0")
    stored = checkpoint.read(layout.model("half-0"))
    assert stored.card["split"] == dict(split.read(layout.split("half")).card)
    assert stored.log()[-1]["samples"] == learning_study.OPTIMISER["samples_seen"]


def test_a_recipe_says_what_differs(here):
    before = checkpoint.read(layout.model("full-0")).card["training"]
    learning_study.change(here, train={"reference_caption": "one {name}"})
    train.main("full-0")
    after = checkpoint.read(layout.model("full-0")).card["training"]
    different = {name for name in before.keys() | after.keys() if before[name] != after[name]}
    assert different == {"parameters", "reference_captions"}


def test_a_run_without_the_reference(here):
    entry = {"split": "half", "objective": "clip", "seed": 0, "add_reference": False}
    learning_study.change(here, runs={"alone": entry})
    train.main("alone")
    card = checkpoint.read(layout.model("alone")).card
    assert card["training"]["reference"] == "none"


def test_a_supervised_run_learns_the_reference(here):
    train.main("supervised-0")
    stored = checkpoint.read(layout.model("supervised-0"))
    assert stored.file("classes.json") == b'["ball", "sky", "wall"]'
    assert stored.log()[-1]["samples"] == 320
    assert stored.card["training"]["rows"] == 0


def test_a_supervised_run_needs_labels(here):
    entry = {"split": "half", "objective": "supervised", "seed": 0}
    learning_study.change(here, runs={"wrong": entry})
    with pytest.raises(ValueError, match="20 of the split's 20 rows have no class"):
        train.main("wrong")


def test_nothing_to_train_on(here):
    entry = {"split": "empty", "objective": "clip", "seed": 0, "add_reference": False}
    learning_study.change(here, runs={"wrong": entry})
    with pytest.raises(ValueError, match="nothing to train on"):
        train.main("wrong")
    assert not layout.model("wrong").exists()
    assert not layout.curves("wrong").exists()


def test_a_run_that_fails_leaves_no_curve(here, monkeypatch):
    def failing(*arguments, watch, **settings):
        watch({"step": 1, "samples": 16, "loss": 1.0, "scale": 14.0, "lr": 0.1})
        assert (
            layout.curves("half-0") / "plots/metrics/loss.tsv"
        ).read_text() == "step\tloss\n1\t1.0\n"
        raise ValueError("training diverged")

    monkeypatch.setattr(runs.loop, "train", failing)
    with pytest.raises(ValueError, match="training diverged"):
        train.main("half-0")
    assert not layout.curves("half-0").exists()


def test_all_code_of_training_is_in_a_runs_state(monkeypatch):
    """Of half a run that is kept: what it was made by is named by all that a run imports."""
    assert {
        "augment", "clip", "dino", "distributed", "feed", "locked_text", "loop", "objective",
        "order", "reading", "state", "step", "streams", "supervised", "texts", "training_set",
        "views", "vocabulary",
    } <= {path.stem for path in transitive("clipcause.train.runs", ROOT)}  # fmt: skip


def test_a_state_of_other_code_is_not_gone_on_with(here, monkeypatch):
    given = []
    whole = runs.loop.train
    monkeypatch.setattr(
        runs.loop, "train", lambda *a, **by: given.append(by["code"]) or whole(*a, **by)
    )
    train.main("half-0")
    assert given == [code.of("clipcause.train.runs")]
    assert "code" not in checkpoint.read(layout.model("half-0")).card["training"]


def test_the_towers_keys_are_those_of_open_clip():
    for known, config in ((VISION, CLIPVisionCfg), (TEXT, CLIPTextCfg)):
        assert known == {field.name for field in dataclasses.fields(config)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"vision_cfg": {"widht": 4}},
            r"train\.model\.vision_cfg: .*'widht'; did you mean 'width'",
        ),
        ({"text_cfg": {"head": 2}}, r"train\.model\.text_cfg: .*'head'; did you mean 'heads'"),
    ],
)
def test_an_unknown_key_of_a_tower(here, change, message):
    model = {**learning_study.PARAMS["train"]["model"], **change}
    learning_study.change(here, train={"model": model})
    with pytest.raises(ValueError, match=message):
        section("train", Train)


def test_a_reference_caption_names_the_class(here):
    learning_study.change(here, train={"reference_caption": "a class"})
    with pytest.raises(ValueError, match=r"train\.reference_caption: .*no {name}"):
        section("train", Train)


def test_a_split_of_another_pool(here):
    split.write(layout.split("half"), np.arange(4), card={"pool": "0" * 64, "pool_rows": 40})
    with pytest.raises(ValueError, match="make the split again"):
        train.main("half-0")


def test_unknown_names_say_which_was_meant(here):
    with pytest.raises(ValueError, match="did you mean 'full-0'"):
        train.main("ful-0")
    learning_study.change(here, train={"objectve": 1})
    with pytest.raises(ValueError, match="unknown parameter"):
        train.main("full-0")


def test_a_reference_label_that_is_no_class(here):
    (here / "data/classes/shapes.yaml").write_text("ball: {name: ball, names: [ball]}\n")
    with pytest.raises(ValueError, match="label 'sky' is not in the list of classes"):
        train.main("half-0")


def test_a_published_model_is_a_run(here):
    train.main("half-0")
    made = checkpoint.read(layout.model("half-0"))
    entry = {"split": "none", "objective": "checkpoint", "path": str(layout.model("half-0"))}
    learning_study.change(here, runs={"theirs": entry})
    assert train.main("theirs").startswith("models/theirs, checkpoint, fingerprint ")
    stored = checkpoint.read(layout.model("theirs"))
    assert stored.fingerprint == made.fingerprint
    assert stored.card["split"] == {}
    training = {"objective": "checkpoint", "path": str(layout.model("half-0"))}
    assert stored.card["training"] == training
    assert layout.curves("theirs").is_dir()


def test_streams_serve_the_encoder_and_every_objective(here, capsys):
    """No column of a whole data set is read where data are streamed."""
    streamed = {"data": "stream", "streams": 2, "shuffle": 8}
    learning_study.change(here, train=streamed)
    with pytest.MonkeyPatch.context() as patch:
        for column in ("table", "captions", "labels"):
            patch.delattr(dataset.Manifest, column)
        assert "clip on 40 rows" in train.main("full-0")
        assert "clip on 20 rows" in train.main("half-0")
        train.main("supervised-0")
    stored = checkpoint.read(layout.model("supervised-0"))
    assert stored.file("classes.json") == b'["ball", "sky", "wall"]'
    recipe = checkpoint.read(layout.model("half-0")).card["training"]["parameters"]
    assert {name: recipe[name] for name in streamed} == streamed
    learning_study.change(here, train={"streams": 8})
    with pytest.raises(ValueError, match=r"train\.streams is 8, and only 5 shards have rows"):
        train.main("half-0")


def test_recipes_have_only_what_is_on(here):
    """Checkpoints that were made before a parameter existed keep fitting."""
    parameters = section("train", Train).deciding()
    assert set(parameters) == {
        "device", "image_size", "merges", "model", "precision", "reference_caption", "threads"
    }  # fmt: skip
    assert "name" not in parameters["model"]


PUBLISHED: dict[str, Any] = {"split": "none", "objective": "checkpoint", "path": "there"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({**PUBLISHED, "path": "none"}, "path is missing: objective checkpoint names it"),
        ({**PUBLISHED, "objective": "pretrained"}, "path is for runs of checkpoint alone"),
        ({"split": "none", "objective": "pretrained", "model": "ViT-B-32"}, "pretrained is miss"),
        ({**PUBLISHED, "split": "all"}, "split is all, and a checkpoint run learns from no split"),
        (
            {**PUBLISHED, "epochs": 2.0},
            "epochs is for runs of clip and .*siglip and .*dino and .*sup",
        ),
        ({"split": "half", "objective": "clip"}, "seed is missing"),
        ({"split": "half", "objective": "clip", "seed": 0, "path": "x"}, "path is for runs of che"),
        ({"split": "half", "objective": "clip", "seed": 0, "donor": "x"}, "called text_from now"),
        ({"split": "half", "objective": "clip", "seed": 0, "reuse": "encoder"}, r"encoder\.run"),
    ],
)
def test_entries_that_cannot_be(here, entry, message):
    learning_study.change(here, runs={"x": entry})
    with pytest.raises(ValueError, match=message):
        train.main("x")
