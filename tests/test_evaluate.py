import dataclasses
import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
import yaml

from clipcause.captions import frequency
from clipcause.config import layout
from clipcause.data import dataset
from clipcause.embed import checkpoint
from clipcause.evaluate import (
    evaluation,
    features,
    imbalance,
    neural_collapse,
    predictions,
    zeroshot,
)
from clipcause.runtime import atomic, metrics
from clipcause.runtime import shard_cache as cache
from stages import evaluate, train
from tests import learning_study
from tests.artifacts_samples import contents, make_dataset


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    with learning_study.made(root):
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
    of_class = {}
    for true, said in zip(table["label"].to_pylist(), table["predicted"].to_pylist(), strict=True):
        of_class.setdefault(true, []).append(true == said)
    shares = [sum(each) / len(each) for each in of_class.values()]
    assert numbers["mean_per_class"] == pytest.approx(sum(shares) / len(shares), abs=1e-6)
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


def listed(here, name, **changes):
    """Another list of classes, as `check` copies it."""
    entries = yaml.safe_load((here / CLASSES).read_text()) | changes
    path = here / layout.asked(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(entries))
    return entries


def test_what_is_asked_again_is_what_it_would_be_by_itself(here):
    """Each of the further questions has the answers of a study that asks it alone."""
    other = listed(here, "other", wall={"name": "a red thing", "names": ["thing"]})
    plain = ["{name}"]
    again = {
        "plain": {"templates": plain},
        "renamed": {"classes": "other"},
        "both": {"classes": "other", "templates": plain},
    }
    learning_study.change(here, evaluate={"again": again})
    evaluate.main("full-0")
    found = metrics.read(layout.metrics("evaluate", "full-0"))["val"]["again"]
    tables = {name: predictions.read(layout.predictions("full-0") / name, "val") for name in again}
    templates = learning_study.PARAMS["evaluate"]["templates"]
    for name, question in again.items():
        alone = {"again": {}, "templates": question.get("templates", templates)}
        learning_study.change(here, evaluate=alone)
        entries = other if "classes" in question else yaml.safe_load((here / CLASSES).read_text())
        kept = (here / CLASSES).read_bytes()
        (here / CLASSES).write_text(yaml.safe_dump(entries))
        evaluate.main("full-0")
        (here / CLASSES).write_bytes(kept)
        table = predictions.read(layout.predictions("full-0"), "val")
        numbers = metrics.read(layout.metrics("evaluate", "full-0"))["val"]
        assert tables[name].drop_columns("probability").equals(table.drop_columns("probability"))
        np.testing.assert_allclose(
            tables[name]["probability"].to_numpy(), table["probability"].to_numpy(), rtol=1e-5
        )
        assert found[name] == {key: numbers[key] for key in found[name]}


def test_among_all_classes_of_a_list(here):
    """Classes that no test image shows take part too: accuracy can but fall."""
    listed(
        here, "more", **{f"c{at}": {"name": f"word {at}", "names": [f"w{at}"]} for at in range(9)}
    )
    questions = {"more": {"classes": "more", "among": "list"}, "same": {"among": "list"}}
    learning_study.change(here, evaluate={"again": questions})
    evaluate.main("full-0")
    numbers = metrics.read(layout.metrics("evaluate", "full-0"))["val"]
    assert numbers["again"]["more"]["classes"] == 12
    assert numbers["again"]["more"]["top1"] <= numbers["top1"]
    assert numbers["again"]["same"] == {key: numbers[key] for key in numbers["again"]["same"]}
    more = predictions.read(layout.predictions("full-0") / "more", "val")
    own = predictions.read(layout.predictions("full-0"), "val")
    assert (more["rank"].to_numpy() >= own["rank"].to_numpy()).all()


def test_a_question_with_the_name_of_a_class_is_a_question(here):
    """What a test set of fewer classes is asked again with is not what one of all is asked with."""
    alone = evaluate.main("full-0")
    table = predictions.read(layout.predictions("full-0"), "val")
    first, *rest = sorted(learning_study.CLASSES)
    few = [one for one in learning_study.samples(9, 300, labelled=True) if one.label in rest]
    dataset.write(here / "data/tests/few", few, shard_size=16, max_drop_fraction=0.0)
    again = {first: {"templates": ["{name} in a storm, seen from far away"]}}
    learning_study.change(here, tests={"few": {}}, evaluate={"again": again})  # `few` is the first
    assert evaluate.main("full-0") != alone
    assert predictions.read(layout.predictions("full-0"), "val").equals(table)


def test_a_classifier_is_not_asked_again(here):
    learning_study.change(here, evaluate={"again": {"plain": {"templates": ["{name}"]}}})
    evaluate.main("supervised-0")
    assert "again" not in metrics.read(layout.metrics("evaluate", "supervised-0"))["val"]


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ({}, "asks what is asked anyway"),
        ({"among": "own"}, "asks what is asked anyway"),
        ({"template": ["{name}"]}, "unknown parameter; .*'templates'"),
        ({"among": "lists"}, "did you mean 'list'"),
    ],
)
def test_a_question_that_is_none(here, question, problem):
    learning_study.change(here, evaluate={"again": {"x": question}})
    with pytest.raises(ValueError, match=rf"evaluate.*again.*{problem}"):
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
    labels = ["bell", "bell", "bell", "bell", "cat", "cat"]
    table = pa.table({"label": labels, "rank": pa.array([1, 1, 2, 1, 6, 5], pa.int32())})
    numbers = evaluation.accuracy(table, 9)
    assert numbers["top1"] == 0.5
    assert numbers["top5"] == pytest.approx(5 / 6)
    assert numbers["mean_per_class"] == (3 / 4 + 0 / 2) / 2
    assert (numbers["n"], numbers["classes"]) == (6, 9)
    assert json.dumps(numbers)


def mentions(counts):
    """Matches of the pool's captions: a class's first rows, as many as are given."""
    pairs = sorted((row, at) for at, count in enumerate(counts.values()) for row in range(count))
    row_M, class_M = (np.array(column) for column in zip(*pairs, strict=True))
    found = frequency.Frequency(tuple(counts), tuple(counts), np.array(list(counts.values())))
    pool = dataset.read(layout.dataset("pool")).sha256
    frequency.write(layout.frequency("shapes"), found, [(row_M, class_M)], {"pool": pool})


def test_bias_and_neural_collapse_follow_from_what_is_stored(here, capsys):
    mentions({"ball": 30, "wall": 4, "sky": 11})
    learning_study.change(
        here, evaluate={"frequency": "mention", "features": True, "resamples": 100}
    )
    evaluate.main("full-0")
    numbers = metrics.read(layout.metrics("evaluate", "full-0"))["val"]
    table = predictions.read(layout.predictions("full-0"), "val")
    place = {"ball": 0, "sky": 1, "wall": 2}
    label_Q, said_Q = (
        np.array([place[name] for name in table[column].to_pylist()])
        for column in ("label", "predicted")
    )
    # the reference, seven of each class, was added to the pool's rows
    frequency_C = np.array([37, 18, 11])
    counts_CC = np.zeros((3, 3), int)
    np.add.at(counts_CC, (label_Q, said_Q), 1)
    bias = imbalance(counts_CC, frequency_C, resamples=100)
    metrics.write(here / "expected.json", bias.numbers())
    assert numbers["imbalance"] == metrics.read(here / "expected.json")
    stored = features.read(layout.features("full-0"), "val")
    assert stored.manifest == dataset.read(layout.dataset("tests/val")).sha256
    assert stored.classes == ("ball", "sky", "wall")
    lengths = np.linalg.norm(stored.feature_QD, axis=1)
    assert not np.allclose(lengths, 1)
    assert stored.prototype_ED is not None
    nearest = (stored.feature_QD @ stored.prototype_ED.T).argmax(axis=1)
    assert nearest.tolist() == said_Q.tolist()
    collapse = neural_collapse(stored.feature_QD, label_Q, stored.prototype_ED)
    assert set(collapse.numbers()) == {"nc1", "nc2_m", "nc2nn_m", "nc2_w", "nc2nn_w"}
    for name, value in collapse.numbers().items():
        assert numbers["neural_collapse"][name] == pytest.approx(value, abs=1e-5)
    assert numbers["neural_collapse"]["with_frequency"] == pytest.approx(
        collapse.against(frequency_C), abs=1e-6
    )
    by_class = predictions.read_classes(layout.predictions("full-0"), "val")
    assert by_class["class"].to_pylist() == ["ball", "sky", "wall"]
    assert by_class["frequency"].to_pylist() == [37, 18, 11]
    assert by_class["accuracy"].to_pylist() == pytest.approx(list(bias.accuracy_C), abs=1e-6)
    assert by_class["predicted"].to_pylist() == bias.predicted_C.tolist()
    assert by_class["nc1"].to_pylist() == pytest.approx(list(collapse.by_class["nc1"]), abs=1e-5)
    assert "no known frequency" not in capsys.readouterr().err
    first = contents(layout.predictions("full-0")), contents(layout.features("full-0"))
    evaluate.main("full-0")
    assert (contents(layout.predictions("full-0")), contents(layout.features("full-0"))) == first


def test_without_a_frequency_there_is_no_bias_and_the_table_is_blank(here):
    learning_study.change(here, evaluate={"frequency": "none", "features": False})
    evaluate.main("full-0")
    numbers = metrics.read(layout.metrics("evaluate", "full-0"))["val"]
    assert "imbalance" not in numbers
    assert "with_frequency" not in numbers["neural_collapse"]
    by_class = predictions.read_classes(layout.predictions("full-0"), "val")
    assert by_class["frequency"].null_count == 3
    assert by_class["accuracy"].null_count == by_class["nc2_w"].null_count == 0
    with pytest.raises(ValueError, match="no features were stored"):
        features.read(layout.features("full-0"), "val")


def test_equal_frequencies_are_said_and_give_no_correlation(here, capsys):
    learning_study.change(here, evaluate={"frequency": "label"})
    evaluate.main("supervised-0")
    numbers = metrics.read(layout.metrics("evaluate", "supervised-0"))["val"]
    assert "corr_acc" not in numbers["imbalance"]
    assert numbers["imbalance"]["classes"] == 3
    assert numbers["neural_collapse"]["with_frequency"] == {}
    assert "val: corr_acc and corr_pred not defined" in capsys.readouterr().err


def copied(here, name, entry, split_card=None):
    """A run ``name`` whose model is that of full-0."""
    folder = layout.model(name)
    shutil.copytree(layout.model("full-0"), folder)
    if split_card is not None:
        card = atomic.read_json(folder / checkpoint.CARD)
        atomic.write_json(folder / checkpoint.CARD, {**card, "split": split_card})
    learning_study.change(here, runs={name: entry})


def test_the_classes_that_a_split_trimmed_and_the_rest(here):
    entry = {"split": "trimmed", "objective": "clip", "seed": 0}
    copied(here, "trimmed-0", entry, {"trimmed": ["sky", "of no test"]})
    evaluate.main("trimmed-0")
    bias = metrics.read(layout.metrics("evaluate", "trimmed-0"))["val"]["imbalance"]
    table = predictions.read_classes(layout.predictions("trimmed-0"), "val")
    ball, sky, wall = table["accuracy"].to_pylist()
    assert bias["trimmed"] == pytest.approx(sky, abs=1e-6)
    assert bias["rest"] == pytest.approx((ball + wall) / 2, abs=1e-6)
    assert bias["trimmed_classes"] == 1
    assert bias["low"]["rest"] <= bias["rest"] <= bias["high"]["rest"]


def test_a_published_model_is_tested_like_any_run(here):
    entry = {"split": "none", "objective": "checkpoint", "path": str(layout.model("full-0"))}
    learning_study.change(here, runs={"theirs": entry}, evaluate={"frequency": "label"})
    train.main("theirs")
    evaluate.main("theirs")
    evaluate.main("full-0")
    theirs, own = (predictions.read(layout.predictions(run), "val") for run in ("theirs", "full-0"))
    assert theirs.equals(own)
    numbers = metrics.read(layout.metrics("evaluate", "theirs"))["val"]
    assert numbers["top1"] == metrics.read(layout.metrics("evaluate", "full-0"))["val"]["top1"]
    assert "imbalance" not in numbers  # what it has seen of a class is not known


def test_a_self_supervised_run_has_features_alone(here):
    copied(here, "dino-0", {"split": "all", "objective": "dino", "seed": 0})
    learning_study.change(here, evaluate={"features": True})
    assert evaluate.main("dino-0").startswith("nc1 val ")
    numbers = metrics.read(layout.metrics("evaluate", "dino-0"))["val"]
    assert numbers.keys() == {"n", "classes", "neural_collapse"}
    assert numbers["neural_collapse"].keys() == {"nc1", "nc2_m", "nc2nn_m"}
    evaluate.main("full-0")
    other = metrics.read(layout.metrics("evaluate", "full-0"))["val"]["neural_collapse"]
    assert numbers["neural_collapse"].items() <= other.items()
    assert not list(layout.predictions("dino-0").glob("*.parquet"))
    by_class = predictions.read_classes(layout.predictions("dino-0"), "val")
    assert by_class["accuracy"].null_count == by_class["nc2_w"].null_count == 3
    assert by_class["n"].to_pylist() == [5, 5, 5]
    assert features.read(layout.features("dino-0"), "val").prototype_ED is None
