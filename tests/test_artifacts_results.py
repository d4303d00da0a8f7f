"""Checkpoints, predictions, metrics and class lists."""

import math
import shutil
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clipcause.captions import classes
from clipcause.embed import checkpoint
from clipcause.evaluate import features, predictions
from clipcause.runtime import metrics
from tests.artifacts_samples import contents


def write_checkpoint(folder, weight=1.0, **changes):
    values: dict[str, Any] = {
        "model_config": {"embed_dim": 4},
        "preprocess": {"size": 32},
        "training": {"seed": 0},
        "split": {"kept": 3},
        "log": [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}],
        "files": {"vocabulary.txt": b"cat\n"},
    }
    weights = {"b": np.full((2, 3), weight, np.float32), "a": np.arange(3)}
    return checkpoint.write(folder, weights, **{**values, **changes})


def test_a_checkpoint_comes_back_and_repeats(tmp_path):
    fingerprint = write_checkpoint(tmp_path / "a")
    assert write_checkpoint(tmp_path / "b") == fingerprint
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    found = checkpoint.read(tmp_path / "a")
    assert found.fingerprint == fingerprint
    weights = found.weights()
    np.testing.assert_array_equal(weights["b"], np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(weights["a"], np.arange(3))
    assert found.model_config == {"embed_dim": 4}
    assert found.preprocess == {"size": 32}
    assert (found.card["training"], found.card["split"]) == ({"seed": 0}, {"kept": 3})
    assert found.log() == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}]
    assert found.file("vocabulary.txt") == b"cat\n"
    with pytest.raises(ValueError, match=r"no file 'vocabulary\.json' .* it has: vocabulary\.txt"):
        found.file("vocabulary.json")


def test_the_fingerprint_is_that_of_what_the_model_computes(tmp_path):
    fingerprint = write_checkpoint(tmp_path / "a")
    assert write_checkpoint(tmp_path / "b", training={"seed": 1}, log=[]) == fingerprint
    others = [
        write_checkpoint(tmp_path / "b", weight=2.0),
        write_checkpoint(tmp_path / "b", model_config={"embed_dim": 5}),
        write_checkpoint(tmp_path / "b", preprocess={"size": 64}),
        write_checkpoint(tmp_path / "b", files={"vocabulary.txt": b"dog\n"}),
    ]
    assert len({fingerprint, *others}) == 5


def test_bytes_of_weights_are_written_as_they_are(tmp_path):
    write_checkpoint(tmp_path / "a")
    content = (tmp_path / "a" / "model.safetensors").read_bytes()
    checkpoint.write(tmp_path / "b", content, model_config={}, preprocess={}, training={}, split={})
    assert (tmp_path / "b" / "model.safetensors").read_bytes() == content
    assert checkpoint.read(tmp_path / "b").log() == []


def test_a_diverged_model_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="weight 'b' is not finite"):
        write_checkpoint(tmp_path / "a", weight=math.nan)
    with pytest.raises(ValueError, match=r"card\.json is a file of every checkpoint"):
        write_checkpoint(tmp_path / "a", files={"card.json": b""})
    with pytest.raises(ValueError, match="line 2 of the log has columns"):
        write_checkpoint(tmp_path / "a", log=[{"step": 1}, {"loss": 1}])
    assert not (tmp_path / "a").exists()


def test_a_checkpoint_that_is_read_again_is_the_same(tmp_path):
    fingerprint = write_checkpoint(tmp_path / "a")
    assert checkpoint.read(tmp_path / "a", fingerprint).fingerprint == fingerprint
    shutil.rmtree(tmp_path / "a")
    write_checkpoint(tmp_path / "a", weight=2.0)
    with pytest.raises(
        ValueError, match=rf"a: its fingerprint is .* was {fingerprint[:12]}… when the stage start"
    ):
        checkpoint.read(tmp_path / "a", fingerprint)


def test_a_changed_or_missing_file_is_named(tmp_path):
    write_checkpoint(tmp_path / "a")
    (tmp_path / "a" / "vocabulary.txt").write_bytes(b"dog\n")
    with pytest.raises(ValueError, match=r"the files have fingerprint .* a file was changed"):
        checkpoint.read(tmp_path / "a")
    (tmp_path / "a" / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors: not found"):
        checkpoint.read(tmp_path / "a")
    with pytest.raises(FileNotFoundError, match=r"card\.json: not found"):
        checkpoint.read(tmp_path / "missing")


def table(**changes):
    values = {
        "row": [0, 3],
        "label": ["cat", "dog"],
        "predicted": ["cat", "cat"],
        "probability": np.array([0.5, 0.25], np.float32),
        "rank": np.array([1, 2], np.int32),
    }
    return pa.table({**values, **changes}, schema=predictions.SCHEMA)


def test_predictions_come_back(tmp_path):
    predictions.write(tmp_path / "run", "sketch", table())
    assert predictions.read(tmp_path / "run", "sketch").equals(table())
    with pytest.raises(ValueError, match="unknown test set 'sketsh'; did you mean 'sketch'"):
        predictions.read(tmp_path / "run", "sketsh")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": ["cat", None]}, "label is missing in 1 of 2 rows"),
        ({"row": [3, 0]}, "rows do not ascend"),
        (
            {"probability": np.array([0.5, np.nan], np.float32)},
            r"probability is not in \[0, 1\] in 1 rows, first in row 3",
        ),
        ({"rank": np.array([1, 0], np.int32)}, "rank is below 1 in 1 rows, first in row 3"),
        ({"rank": np.array([1, 1], np.int32)}, "rank 1 and prediction do not fit in 1 rows"),
    ],
)
def test_impossible_predictions_are_not_written(tmp_path, changes, message):
    with pytest.raises(ValueError, match=rf"sketch\.parquet: {message}"):
        predictions.write(tmp_path, "sketch", table(**changes))
    assert list(tmp_path.iterdir()) == []


def class_table(**changes):
    values = {
        "class": ["cat", "dog"],
        "name": ["cat, tabby", 'a "dog"'],
        "frequency": [3, None],
        "n": [5, 6],
        "accuracy": [0.2, 1 / 3],
        "predicted": [4, 7],
        "nc1": [1.5, None],
    }
    empty = {name: [None, None] for name in predictions.CLASSES_SCHEMA.names}
    return pa.table({**empty, **values, **changes}, schema=predictions.CLASSES_SCHEMA)


def test_the_table_of_classes_comes_back(tmp_path):
    predictions.write_classes(tmp_path, "val", class_table())
    assert (tmp_path / "val.classes.csv").read_text() == (
        "class,name,frequency,n,accuracy,predicted,nc1,nc2_m,nc2nn_m,nc2_w,nc2nn_w\n"
        'cat,"cat, tabby",3,5,0.2,4,1.5,,,,\n'
        'dog,"a ""dog""",,6,0.333333,7,,,,,\n'
    )
    found = predictions.read_classes(tmp_path, "val")
    assert found.equals(class_table(accuracy=[0.2, 0.333333]))
    with pytest.raises(ValueError, match="unknown test set 'vall'; did you mean 'val'"):
        predictions.read_classes(tmp_path, "vall")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class": ["dog", "cat"]}, "class ids are missing or do not ascend"),
        ({"class": ["cat", "cat"]}, "class ids are missing or do not ascend"),
        ({"nc1": [1.0, math.nan]}, "nc1 is not finite; what is not defined is blank"),
    ],
)
def test_impossible_tables_of_classes_are_not_written(tmp_path, changes, message):
    with pytest.raises(ValueError, match=rf"val\.classes\.csv: {message}"):
        predictions.write_classes(tmp_path, "val", class_table(**changes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("frequency", "count", "columns are"),
        (",4,", ",four,", "invalid literal"),
        (",4,", ",", "a line has not 11 cells"),
    ],
)
def test_a_damaged_table_of_classes(tmp_path, old, new, message):
    predictions.write_classes(tmp_path, "val", class_table())
    path = tmp_path / "val.classes.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=rf"val\.classes\.csv: {message}"):
        predictions.read_classes(tmp_path, "val")


def test_features_come_back(tmp_path):
    feature_QD = np.arange(6, dtype=np.float32).reshape(2, 3)
    with features.writing(tmp_path / "run") as out:
        out.add("val", "abc", feature_QD, np.eye(3), ["cat", "cat", "dog"])
        out.add("plain", "abd", feature_QD, None, [])
    found = features.read(tmp_path / "run", "val")
    assert np.array_equal(found.feature_QD, feature_QD)
    assert found.prototype_ED is not None
    assert np.array_equal(found.prototype_ED, np.eye(3))
    assert (found.classes, found.manifest) == (("cat", "cat", "dog"), "abc")
    assert features.read(tmp_path / "run", "plain").prototype_ED is None
    with pytest.raises(ValueError, match="unknown test set 'vall'; did you mean 'val'"):
        features.read(tmp_path / "run", "vall")
    (tmp_path / "run" / "val.npy").write_bytes(b"")
    with pytest.raises(ValueError, match=r"val\.npy: not a readable array"):
        features.read(tmp_path / "run", "val")
    (tmp_path / "run" / "val.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"val\.npy: not found"):
        features.read(tmp_path / "run", "val")


def test_features_that_were_not_stored_say_so(tmp_path):
    with features.writing(tmp_path / "run"):
        pass
    with pytest.raises(ValueError, match=r"no features were stored; set evaluate\.features"):
        features.read(tmp_path / "run", "val")


def test_impossible_features_leave_nothing(tmp_path):
    with (
        pytest.raises(ValueError, match="val: features are not finite"),
        features.writing(tmp_path / "run") as out,
    ):
        out.add("val", "abc", np.full((2, 3), np.nan), None, [])
    with (
        pytest.raises(ValueError, match="val: 3 prototypes of 1 class ids"),
        features.writing(tmp_path / "run") as out,
    ):
        out.add("val", "abc", np.eye(3), np.eye(3), ["cat"])
    assert list(tmp_path.iterdir()) == []


def test_metrics_are_sorted_and_rounded(tmp_path):
    numbers = {"b": {"y": np.float32(0.1), "x": np.int64(3)}, "a": -1e-9}
    metrics.write(tmp_path / "m.json", numbers)
    text = '{\n "a": 0.0,\n "b": {\n  "x": 3,\n  "y": 0.1\n }\n}\n'
    assert (tmp_path / "m.json").read_text() == text
    assert metrics.read(tmp_path / "m.json") == {"a": 0.0, "b": {"x": 3, "y": 0.1}}


@pytest.mark.parametrize("bad", [math.nan, math.inf, "3", None, True, [1]])
def test_a_metric_that_is_not_a_finite_number_is_named(tmp_path, bad):
    with pytest.raises(ValueError, match=r"m\.json: sketch\.top1 is "):
        metrics.write(tmp_path / "m.json", {"sketch": {"top1": bad}})
    assert list(tmp_path.iterdir()) == []


def test_classes_keep_the_order_of_the_file(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "dog: {name: dog, names: [dog, puppy], negatives: [hot dog]}\n"
        "cat:\n  name: cat\n  names: [cat]\n"
    )
    found = classes.read(path)
    assert list(found) == ["dog", "cat"]
    assert found["dog"].names == ["dog", "puppy"]
    assert found["cat"].negatives == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat: {name: a, names: [x]}\ncat: {name: b, names: [y]}", "'cat' comes twice"),
        ("a: {name: cat, names: [x]}\nb: {name: cat, names: [y]}", "a and b are both named 'cat'"),
        ("a: {name: a, names: [x]}\nb: {name: b, names: [x]}", "'x' is a name of a and of b"),
        ("a: {name: a, names: [x, x]}", "'x' is a name of a and of a"),
        ("a: {name: a, names: [x], negatives: [x]}", "a: 'x' is in names and in negatives"),
        ("a: {name: a, names: []}", "at least one entry in names"),
        ("a: {name: a, nams: [x]}", "unknown parameter; did you mean 'names'"),
        ("1: {name: a, names: [x]}", "class id 1 is not text"),
        ("true: {name: a, names: [x]}", "class id True is not text"),
        ("[a]", "expected a mapping"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_bad_class_list_is_named(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"c\.yaml: .*{message}" + r"[\s\S]*"):
        classes.read(path)


def test_a_class_list_in_another_encoding_is_named(tmp_path):
    (path := tmp_path / "c.yaml").write_bytes("a: {name: Größe, names: [x]}".encode("latin-1"))
    with pytest.raises(ValueError, match=r"c\.yaml: not UTF-8"):
        classes.read(path)


def test_a_missing_class_list_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"c\.yaml: not found"):
        classes.read(tmp_path / "c.yaml")
