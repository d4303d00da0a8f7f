"""Which test sets a probe answers, and with which of its classes."""

import dataclasses

import numpy as np
import pytest
import yaml

from clipcause.config import layout
from clipcause.data import dataset
from clipcause.embed import models
from clipcause.evaluate import linear_probes, predictions, probes
from clipcause.evaluate.probing import Linear
from clipcause.prune import split
from clipcause.runtime import metrics
from stages import probe
from tests import learning_study

ENTRY = {"run": "any", "data": "reference", "split": "none", "regularisation": [0.01]}
COLOURED = {"ball": "coloured", "sky": "coloured", "wall": "green"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A study with a model, and with classes of one test set alone in its list."""
    root = tmp_path_factory.mktemp("study")
    with learning_study.made(root):
        clip = models.create(learning_study.LAYER_NORM, None, image_size=32, seed=0)
        learning_study.store(clip, layout.model("any"))
        path = layout.classes("shapes")
        entries = yaml.safe_load(path.read_text())
        only = {"names": ["some"], "test_set": "own"}
        entries["coloured"] = {**only, "name": "warm", "covers": ["sky", "ball"]}
        entries["green"] = {**only, "name": "green", "names": ["green"], "covers": ["wall"]}
        path.write_text(yaml.safe_dump(entries))
        pool = learning_study.samples(21, 100, labelled=True)
        dataset.write(layout.dataset("pool"), pool, shard_size=8, max_drop_fraction=0.0)
        put("own", COLOURED)
        put("foreign", {"ball": "car", "sky": "bus", "wall": "bus"})
    return root


@pytest.fixture
def here(root, monkeypatch):
    learning_study.enter(root, monkeypatch)
    kept = (root / "params.yaml").read_bytes()
    yield root
    (root / "params.yaml").write_bytes(kept)


def put(test, other):
    """Write the images of `val` as a test set whose labels have other names."""
    made = [
        dataclasses.replace(one, label=other[str(one.label)])
        for one in learning_study.samples(15, 200, labelled=True)
    ]
    dataset.write(layout.dataset(layout.test(test)), made, shard_size=16, max_drop_fraction=0.0)


def stated(here, tests, **changes):
    learning_study.change(here, probes={"some": {**ENTRY, **changes}}, tests=tests)
    probe.main("some")
    return metrics.read(layout.metrics("probe", "some"))["tests"]


def said(test):
    return predictions.read(probes.predictions(layout.probes("some"), None, 0), test)


def test_a_class_of_a_test_set_alone_is_what_it_covers(here, capsys):
    numbers = stated(here, {"own": {}})
    assert (numbers["own"]["n"], numbers["own"]["left_out"]) == (15, 0)
    assert "left out" not in capsys.readouterr().err
    # the nearest of three classes is the nearest of what covers them
    own, val = said("own"), said("val")
    assert own["predicted"].to_pylist() == [COLOURED[one] for one in val["predicted"].to_pylist()]
    assert set(own["label"].to_pylist()) == {"coloured", "green"}
    assert max(own["rank"].to_pylist()) <= 2
    assert numbers["own"]["all"]["top1"] >= numbers["val"]["all"]["top1"]


def test_a_class_of_which_a_part_was_not_learnt_is_left_out(here, capsys):
    manifest = dataset.read(layout.dataset("pool"))
    rows = [row for row, label in enumerate(manifest.labels) if label != "sky"]
    split.write(layout.split("two"), rows, card={"pool": manifest.sha256})
    numbers = stated(here, {"own": {}}, data="pool", split="two")
    assert (numbers["own"]["n"], numbers["own"]["left_out"]) == (5, 10)
    error = capsys.readouterr().err
    assert "tests/own: 10 of 15 images have a class that the probe's rows do not have" in error
    assert "tests/val: 5 of 15 images" in error


def test_a_test_set_of_other_classes_is_counted_and_skipped(here, capsys, monkeypatch):
    encoded, original = [], linear_probes.features

    def watched(*arguments):
        encoded.append(arguments[-1])
        return original(*arguments)

    monkeypatch.setattr(linear_probes, "features", watched)
    numbers = stated(here, {"foreign": {}})
    assert numbers["foreign"] == {"n": 0, "left_out": 15}
    assert numbers["val"]["n"] == 15
    assert encoded == ["reference", "val"]
    assert (
        "data/tests/foreign: none of its 2 classes is among the 3 of the probe's rows (ball and "
        "others): all 15 images are left out\n"
    ) in capsys.readouterr().err
    folder = probes.predictions(layout.probes("some"), None, 0)
    assert [path.stem for path in folder.iterdir()] == ["val"]


def test_no_test_set_that_can_be_answered_is_an_error_before_encoding(here, monkeypatch):
    monkeypatch.delattr(linear_probes, "features")
    content = yaml.safe_load((here / "params.yaml").read_text())
    del content["tests"]["val"]
    (here / "params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match="none of 1 test sets has a class that is among the 3 of"):
        stated(here, {"foreign": {}})


def test_the_nearest_of_the_covered_classes_counts():
    linear = Linear(np.diag([1.0, 2.0, 3.0]), np.array([0.0, 0.5, 0.0]), 0.1, 0)
    feature_QD = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [2.0, 0.1, 0.5]], np.float32)
    images = linear_probes.Labelled(np.array([2, 5, 7]), ["both", "both", "mid"], feature_QD)
    test = linear_probes.Test(images, {"both": ["low", "high"], "mid": ["mid"]})
    table = linear_probes.answers(linear, ["high", "low", "mid"], test)
    # scores of high, low, mid: 1 0.5 0; 0 0.5 3; 2 0.7 1.5
    assert table["predicted"].to_pylist() == ["both", "mid", "both"]
    assert table["rank"].to_pylist() == [1, 2, 2]
    away = np.array([0.0 - 1.0, 3.0 - 0.5, 2.0 - 1.5])
    assert np.allclose(table["probability"], 1 / (1 + np.exp(away)), rtol=1e-6)
