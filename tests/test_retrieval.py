"""Retrieval: ranks in both directions, against a search through all pairs."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from clipcause.config import layout, parse, study
from clipcause.config.datasets import Test as Entry
from clipcause.config.datasets import check_tests
from clipcause.data import dataset
from clipcause.data.sources.union import CAPTIONED
from clipcause.evaluate import ranks as artifact
from clipcause.evaluate import retrieval
from clipcause.runtime import atomic, metrics
from clipcause.runtime import shard_cache as cache
from stages import evaluate, prepare, train
from tests import learning_study
from tests.artifacts_samples import contents

# few directions, so that many pairs are equally near
CORNERS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0.8, 0], [0.6, 0, 0.8]])


def by_hand(image_QD, text_TD, text_Q):
    """Sort every gallery by (similarity, place), and look for the first right item."""
    of_text, of_image = [], []
    for q, image in enumerate(image_QD):
        order = sorted(range(len(text_TD)), key=lambda t: (-(image @ text_TD[t]), t))
        of_text.append(order.index(text_Q[q]) + 1)
    for t, text in enumerate(text_TD):
        order = sorted(range(len(image_QD)), key=lambda q: (-(image_QD[q] @ text), q))
        of_image.append(next(n for n, q in enumerate(order, 1) if text_Q[q] == t))
    return of_text, of_image


@given(
    arrays.arrays(np.int64, st.integers(1, 9), elements=st.integers(0, 4)),
    arrays.arrays(np.int64, st.integers(1, 5), elements=st.integers(0, 4)),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_ranks_are_those_of_a_sorted_gallery(images, texts, block, random):
    # every text has an image
    texts = texts[: len(images)]
    text_Q = [*range(len(texts))] + [
        random.randrange(len(texts)) for _ in range(len(images) - len(texts))
    ]
    random.shuffle(text_Q)
    text_Q = np.array(text_Q, np.int64)
    image_QD, text_TD = CORNERS[images], CORNERS[texts]
    found = retrieval.ranks(image_QD, text_TD, text_Q, block)
    of_text, of_image = by_hand(
        np.rint(image_QD * 2**24), np.rint(text_TD * 2**24), text_Q.tolist()
    )
    assert found.of_text_Q.tolist() == of_text
    assert found.of_image_T.tolist() == of_image


def unit(seed: int, rows: int, dimensions: int = 24) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(rows, dimensions)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_blocks_change_nothing():
    image_QD, text_TD = unit(0, 60), unit(1, 50)
    text_Q = np.concatenate([np.arange(50), np.arange(10)])
    whole = retrieval.ranks(image_QD, text_TD, text_Q)
    of_text, of_image = by_hand(
        np.rint(image_QD.astype(np.float64) * 2**24),
        np.rint(text_TD.astype(np.float64) * 2**24),
        text_Q.tolist(),
    )
    assert whole.of_text_Q.tolist() == of_text
    assert whole.of_image_T.tolist() == of_image
    for block in (1, 7, 50):
        some = retrieval.ranks(image_QD, text_TD, text_Q, block)
        assert all(np.array_equal(a, b) for a, b in zip(some, whole, strict=True))


def test_a_model_that_tells_nothing_apart_is_at_chance():
    same_QD = np.tile(unit(0, 1), (100, 1))
    found = retrieval.ranks(same_QD, same_QD, np.arange(100))
    assert found.of_text_Q.tolist() == found.of_image_T.tolist() == [*range(1, 101)]
    numbers = retrieval.summary(found)["image_to_text"]
    assert (numbers["r1"], numbers["r10"], numbers["median_rank"]) == (0.01, 0.1, 50.5)


def test_equal_captions_are_one_text_and_each_of_its_images_is_right():
    texts, text_Q = retrieval.distinct(["red ball", "blue sky", "red ball"])
    assert (texts, text_Q.tolist()) == (["red ball", "blue sky"], [0, 1, 0])
    ball, sky = [1.0, 0.0], [0.0, 1.0]
    # the first image of the ball looks like the sky, the second like the ball
    found = retrieval.ranks(np.array([sky, [0.6, 0.8], ball]), np.array([ball, sky]), text_Q)
    assert found.of_text_Q.tolist() == [2, 1, 1]
    assert found.of_image_T.tolist() == [1, 2]
    numbers = retrieval.summary(found)
    assert (numbers["n"], numbers["captions"]) == (3, 2)
    assert numbers["image_to_text"]["r1"] == 2 / 3
    assert numbers["text_to_image"]["r1"] == 1 / 2
    ends = numbers["text_to_image"]
    # Wilson's interval of 1 of 2, by hand: (.5 +- 1.96 * sqrt(.125 + .24) / ...) as tables have it
    assert (ends["low"]["r1"], ends["high"]["r1"]) == pytest.approx((0.0945, 0.9055), abs=1e-4)


@pytest.mark.parametrize("bad", [np.full((1, 2), np.nan), np.array([[1.0, 1.0]])])
def test_vectors_that_are_not_of_length_one_are_an_error(bad):
    with pytest.raises(ValueError, match="vectors of images are not of length one, or not finite"):
        retrieval.ranks(bad, np.array([[1.0, 0.0]]), np.array([0]))
    with pytest.raises(ValueError, match="vectors of captions"):
        retrieval.ranks(np.array([[1.0, 0.0]]), bad, np.array([0]))


def test_a_text_without_an_image_is_an_error():
    with pytest.raises(ValueError, match="2 texts, but the images have 1"):
        retrieval.ranks(np.array([[1.0, 0.0]]), np.eye(2), np.array([0]))


def test_an_image_without_a_text_is_an_error():
    with pytest.raises(ValueError, match="2 images, but the texts have 1"):
        retrieval.ranks(np.eye(2), np.eye(2), np.array([0, 1]), image_P=np.array([0, 0]))


GOOD = {"row": [0, 1, 2], "caption_index": [0, 0, 0], "caption": [0, 1, 0]}
GOOD |= {"image_to_text": [1, 2, 1], "text_to_image": [1, 3, 1]}
# two captions of the first image, the second also that of the last
SEVERAL = {"row": [0, 0, 2], "caption_index": [0, 1, 0], "caption": [0, 1, 1]}
SEVERAL |= {"image_to_text": [2, 2, 1], "text_to_image": [1, 3, 3]}


def stored(folder, **changes):
    table = pa.table(GOOD | changes, schema=artifact.SCHEMA)
    artifact.write(folder, "pairs", table)
    return artifact.read(folder, "pairs")


def test_the_artifact_comes_back_as_it_was_written(tmp_path):
    assert stored(tmp_path).to_pydict() == GOOD
    assert stored(tmp_path, **SEVERAL).to_pydict() == SEVERAL
    with pytest.raises(ValueError, match="unknown retrieval test set 'pears'; did you mean 'pair"):
        artifact.read(tmp_path, "pears")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"row": [0, 2, 1]}, "rows do not ascend"),
        ({"image_to_text": [1, 0, 1]}, "image_to_text is below 1 in 1 rows, first in row 1"),
        ({"text_to_image": [0, 3, 0]}, "text_to_image is below 1"),
        ({"text_to_image": [1, 3, 2]}, "text_to_image differs within a caption .* row 2"),
        ({"caption": [2, 1, 2]}, "caption is not the first line that has it"),
        ({"caption": [0, 0, 1]}, "caption is not the first line that has it .* row 2"),
        ({"caption": [0, 1, 9]}, "caption is not the first line that has it .* row 2"),
        ({"image_to_text": [1, None, 1]}, "image_to_text is missing in 1 of 3 rows"),
        ({"caption": [-1, 1, 1]}, "caption is not the first line that has it in 1 rows.* row 0"),
        (SEVERAL | {"image_to_text": [2, 1, 1]}, "image_to_text differs within a row .* row 0"),
        (SEVERAL | {"caption_index": [0, 2, 0]}, "captions of a row are not counted from 0"),
        (SEVERAL | {"caption_index": [0, 0, 0]}, "captions of a row are not counted from 0"),
        ({"caption_index": [1, 0, 0]}, "captions of a row are not counted from 0"),
    ],
)
def test_an_artifact_that_contradicts_itself_is_an_error(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        stored(tmp_path, **changes)


def test_a_retrieval_set_needs_captions():
    good = {"source": "folder", "raw": "mine"}
    content = {"datasets": {"tests/mine": good}, "tests": {"mine": {"task": "retrieval"}}}
    check_tests(content, "p.yaml", CAPTIONED)
    content["datasets"]["tests/mine"] = good | {"source": "imagefolder"}
    with pytest.raises(ValueError, match="task retrieval needs images with captions"):
        check_tests(content, "p.yaml", CAPTIONED)
    with pytest.raises(ValueError, match=r"tests\.mine\.task: 'retreival' is not valid; did you"):
        parse({"task": "retreival"}, Entry, "tests.mine")


def test_sets_are_told_apart_by_their_task(tmp_path):
    path = tmp_path / "params.yaml"
    tests = {"a": {}, "b": {"task": "retrieval"}, "c": {"task": "classify"}}
    path.write_text(yaml.safe_dump({"tests": tests}))
    assert study.suite(path) == ["a", "b", "c"]
    assert (study.to_classify(path), study.to_retrieve(path)) == (["a", "c"], ["b"])
    path.write_text(yaml.safe_dump({"tests": {"a": {"task": "clasify"}}}))
    with pytest.raises(ValueError, match=r"tests\.a\.task: unknown task 'clasify'; did you mean"):
        study.to_classify(path)


def test_a_folder_of_captions_is_a_retrieval_set_and_no_test_of_classes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for number, caption in enumerate(["a red ball", "a green wall"]):
        (tmp_path / f"mine/{number}.png").write_bytes(learning_study.picture("ball", number))
        (tmp_path / f"mine/{number}.txt").write_text(caption)
    entry = {"source": "folder", "raw": "mine"}
    (tmp_path / "data/classes").mkdir(parents=True)
    (tmp_path / "data/classes/shapes.yaml").write_text("ball: {name: ball, names: [ball]}\n")
    content = learning_study.PARAMS | {
        "prepare": {"image_size": 32, "shard_size": 10, "max_drop_fraction": 0.0},
        "datasets": {"tests/classes": entry, "tests/pairs": entry},
        "tests": {"classes": {}, "pairs": {"task": "retrieval"}},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    prepare.main("tests/pairs")
    assert dataset.read(layout.dataset("tests/pairs")).captions == ["a red ball", "a green wall"]
    with pytest.raises(ValueError, match=r"2 of 2 images have no class, .* or set its task to"):
        prepare.main("tests/classes")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    with learning_study.made(root):
        pairs = learning_study.samples(15, 300, labelled=False)
        # the captions of two images are the same
        pairs.append(dataclasses.replace(pairs[0], key="copy"))
        dataset.write(layout.dataset("tests/pairs"), pairs, shard_size=6, max_drop_fraction=0.0)
        learning_study.change(root, tests={"pairs": {"task": "retrieval"}})
        learning_study.change(root, evaluate={"features": True})
        train.main("full-0")
        train.main("supervised-0")
    return root


@pytest.fixture
def here(trained, monkeypatch):
    monkeypatch.chdir(trained)
    monkeypatch.setenv(cache.ENVIRONMENT, str(trained / "shards"))


@pytest.mark.usefixtures("here")
def test_a_run_of_clip_is_asked_for_captions():
    said = evaluate.main("full-0")
    assert "top-1 val" in said
    assert "R@1 pairs" in said
    numbers = metrics.read(layout.metrics("evaluate", "full-0"))
    assert numbers.keys() == {"val", "pairs"}
    assert (numbers["pairs"]["n"], numbers["pairs"]["captions"]) == (16, 15)
    table = artifact.read(layout.predictions("full-0"), "pairs")
    assert table["caption"].to_pylist() == [*range(15), 0]
    first = [row for row in table.to_pylist() if row["row"] == row["caption"]]
    for depth in retrieval.DEPTHS:
        share = np.mean([row["image_to_text"] <= depth for row in table.to_pylist()])
        assert numbers["pairs"]["image_to_text"][f"r{depth}"] == pytest.approx(share)
        share = np.mean([row["text_to_image"] <= depth for row in first])
        assert numbers["pairs"]["text_to_image"][f"r{depth}"] == pytest.approx(share, abs=1e-6)
    assert atomic.read_json(layout.features("full-0") / "card.json")["tests"].keys() == {
        "val", "pairs",
    }  # fmt: skip
    once = contents(layout.predictions("full-0"))
    evaluate.main("full-0")
    assert contents(layout.predictions("full-0")) == once


@pytest.mark.usefixtures("here")
def test_a_supervised_run_says_that_it_has_no_entry(capsys):
    evaluate.main("supervised-0")
    assert metrics.read(layout.metrics("evaluate", "supervised-0")).keys() == {"val"}
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("pairs")]
    assert said == ["pairs: supervised-0 is a supervised run, which learns no captions: no R@k"]
    with pytest.raises(ValueError, match="unknown retrieval test set"):
        artifact.read(layout.predictions("supervised-0"), "pairs")
