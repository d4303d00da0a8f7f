import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest
import yaml

from stages import encoder, evaluate, train
from stages.artifacts import cache, dataset, layout, metrics, predictions, split
from stages.learning import zeroshot
from tests import learning_study
from tests.artifacts_samples import contents, make_dataset


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    with learning_study.made(root):
        encoder.main()
        card = {"pool": dataset.read(layout.dataset("pool")).sha256}
        split.write(layout.split("full"), np.arange(40), card=card)
        train.main("full-0")
        train.main("supervised-0")
    return root


@pytest.fixture
def here(study, monkeypatch):
    """The study, its parameters and class list put back afterwards."""
    monkeypatch.chdir(study)
    monkeypatch.setenv(cache.ENVIRONMENT, str(study / "shards"))
    kept = {path: path.read_bytes() for path in (study / "params.yaml", study / CLASSES)}
    yield study
    for path, content in kept.items():
        path.write_bytes(content)


CLASSES = "data/classes/shapes.yaml"


@pytest.mark.parametrize("name", ["full-0", "supervised-0"])
def test_metrics_follow_from_the_predictions(here, name):
    evaluate.main(name)
    table = predictions.read(layout.predictions(name), "val")
    numbers = metrics.read(layout.metrics("evaluate", name))["val"]
    assert numbers["n"] == table.num_rows == 15
    assert numbers["classes"] == 3
    right = sum(a == b for a, b in zip(table["label"], table["predicted"], strict=True))
    assert numbers["top1"] == pytest.approx(right / 15, abs=1e-6)
    assert numbers["top5"] == 1.0
    assert numbers["low"] <= numbers["top1"] <= numbers["high"]
    assert table["label"].to_pylist() == dataset.read(layout.dataset("tests/val")).labels


def test_repeated_runs_give_the_same_bytes(here):
    evaluate.main("full-0")
    first = contents(layout.predictions("full-0"))
    evaluate.main("full-0")
    assert contents(layout.predictions("full-0")) == first


def test_only_the_test_sets_own_classes_take_part(here):
    made = [one for one in learning_study.samples(12, 300, labelled=True) if one.label != "sky"]
    dataset.write(here / "data/tests/two", made, shard_size=16, max_drop_fraction=0.0)
    learning_study.change(here, tests={"two": {}})
    for name in ("full-0", "supervised-0"):
        evaluate.main(name)
        table = predictions.read(layout.predictions(name), "two")
        assert set(table["predicted"].to_pylist()) <= {"ball", "wall"}
        assert metrics.read(layout.metrics("evaluate", name))["two"]["classes"] == 2


@pytest.mark.parametrize("name", ["full-0", "supervised-0"])
def test_the_shards_of_a_test_set_are_one_test_set(here, name):
    made = learning_study.samples(15, 200, labelled=True)
    dataset.write(here / "data/tests/cut", made, shard_size=4, max_drop_fraction=0.0)
    learning_study.change(here, tests={"cut": {}})
    evaluate.main(name)
    whole, cut = (predictions.read(layout.predictions(name), test) for test in ("val", "cut"))
    for column in ("row", "label", "predicted", "rank"):
        assert cut[column].to_pylist() == whole[column].to_pylist()
    assert np.allclose(cut["probability"], whole["probability"], rtol=1e-5)


def test_a_class_of_a_test_set_alone_is_what_it_covers(here):
    path = here / CLASSES
    entries = yaml.safe_load(path.read_text())
    entries["coloured"] = {
        "name": "red ball", "names": ["red ball"], "test_set": "own", "covers": ["ball", "sky"],
    }  # fmt: skip
    entries["green"] = {**entries["wall"], "test_set": "own", "covers": ["wall"]}
    path.write_text(yaml.safe_dump(entries))
    other = {"ball": "coloured", "sky": "coloured", "wall": "green"}
    made = [
        dataclasses.replace(one, label=other[one.label or ""])
        for one in learning_study.samples(15, 200, labelled=True)
    ]
    dataset.write(here / "data/tests/own", made, shard_size=16, max_drop_fraction=0.0)
    learning_study.change(here, tests={"own": {}})
    for name in ("full-0", "supervised-0"):
        evaluate.main(name)
        own, val = (predictions.read(layout.predictions(name), test) for test in ("own", "val"))
        assert set(own["label"].to_pylist()) == {"coloured", "green"}
        if name == "supervised-0":
            # the nearest of three classes is the nearest of what covers them
            said = [other[label] for label in val["predicted"].to_pylist()]
            assert own["predicted"].to_pylist() == said
    entries["green"]["covers"] = ["walk"]
    path.write_text(yaml.safe_dump(entries))
    with pytest.raises(ValueError, match=r"green: covers 'walk'.*did you mean 'wall'"):
        evaluate.main("supervised-0")


def test_the_templates_of_the_paper_by_name(here):
    learning_study.change(here, evaluate={"templates": "openai-imagenet"})
    named = evaluate.main("full-0")
    by_name = contents(layout.predictions("full-0"))
    learning_study.change(here, evaluate={"templates": zeroshot.named("openai-imagenet")})
    assert evaluate.main("full-0") == named
    assert contents(layout.predictions("full-0")) == by_name
    learning_study.change(here, evaluate={"templates": "openai-imagnet"})
    with pytest.raises(ValueError, match=r"templates: .*did you mean 'openai-imagenet'\?"):
        evaluate.main("full-0")


def test_a_test_set_without_classes(here):
    make_dataset(here / "data/tests/plain", labels=[None, "ball", None])
    learning_study.change(here, tests={"plain": {}})
    with pytest.raises(ValueError, match="data/tests/plain: 2 of 3 images have no class"):
        evaluate.main("full-0")


@pytest.mark.parametrize("name", ["full-0", "supervised-0"])
def test_a_class_that_nobody_knows(here, name):
    made = learning_study.samples(3, 300, labelled=True)
    odd = dataset.Sample("odd", made[0].image, "png", "x", "bal", 36, 36, "made:odd")
    dataset.write(here / "data/tests/odd", [*made, odd], shard_size=16, max_drop_fraction=0.0)
    learning_study.change(here, tests={"odd": {}})
    before = contents(layout.predictions(name)) if layout.predictions(name).exists() else None
    with pytest.raises(
        ValueError, match=r"data/tests/odd: class 'bal' is not .*did you mean 'ball'"
    ):
        evaluate.main(name)
    after = contents(layout.predictions(name)) if layout.predictions(name).exists() else None
    assert after == before


def test_a_template_without_a_name(here):
    learning_study.change(here, evaluate={"templates": ["a picture"]})
    with pytest.raises(ValueError, match=r"has no \{name\}"):
        evaluate.main("full-0")


def test_an_unknown_run(here):
    with pytest.raises(ValueError, match="did you mean 'full-0'"):
        evaluate.main("full-1")


def test_accuracy_by_hand():
    table = pa.table({"rank": pa.array([1, 1, 2, 5, 6, 1], pa.int32())})
    numbers = evaluate.accuracy(table, 9)
    assert numbers["top1"] == 0.5
    assert numbers["top5"] == pytest.approx(5 / 6)
    assert (numbers["n"], numbers["classes"]) == (6, 9)
    assert json.dumps(numbers)
