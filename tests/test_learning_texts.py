"""Captions of rows: from pieces and templates, the same in memory and streamed."""

import pickle
from collections import Counter

import numpy as np
import pytest

from clipcause.captions.classes import ClassNames
from clipcause.config import objectives, parse
from clipcause.config.captions import Captions
from clipcause.prune import split
from clipcause.runtime import shard_cache as cache
from clipcause.train import order, texts
from clipcause.train.reading import Source
from tests.artifacts_samples import make_dataset, sample

CLASSES = {
    "n1": ClassNames(name="cat", names=["cat", "kitten", "tom cat"]),
    "n2": ClassNames(name="dog", names=["dog", "hound"]),
}
EVERY = split.everything(12)
FACTS = [
    {"title": "Big", "tags": ["red", " ", "soft"], "category": "Animals", "size": 3},
    {"title": "Small", "tags": [], "category": "Animals"},
    {"title": "", "tags": ["blue"], "category": {"a": 1}},
]


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """Twelve rows in four shards; of the class n1, n2 and n1, row after row, and so on."""
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "shards"))
    labels = ["n1", "n2", "n1"]
    items = [sample(row, label=labels[row % 3], extra=FACTS[row % 3]) for row in range(12)]
    return make_dataset(tmp_path / "pool", items=items)


def made(seed=0, **values):
    found = texts.make(parse(values, Captions, "captions"), seed, CLASSES)
    assert found is not None
    return found


def written(maker, pool, rows):
    """The texts of rows that have one each."""
    found = texts.of_rows(maker, pool, rows)
    assert found.count_N.tolist() == [1] * len(rows)
    return found.texts


def test_the_manifests_captions_need_no_maker():
    assert texts.make(Captions(), 0, CLASSES) is None


def test_pieces_by_hand(pool):
    found = written(made(pieces=["title", "caption", "tags"]), pool, EVERY)
    assert found[:4] == [
        "Big caption 0 red soft",
        "Small caption 1",
        "caption 2 blue",
        "Big caption 3 red soft",
    ]
    assert written(made(pieces=["category", "size"]), pool, EVERY)[:3] == [
        "Animals 3",
        "Animals",
        "",
    ]
    half = split.from_rows([1, 4, 9])
    assert written(made(pieces=["title"]), pool, half) == ["Small", "Small", "Big"]


def test_a_class_before_a_natural_caption(pool):
    found = written(made(prepend_class=True), pool, EVERY)
    assert found[:3] == ["cat caption 0", "dog caption 1", "cat caption 2"]
    alone = written(made(prepend_class=True, pieces=["tags"]), pool, EVERY)
    assert alone[:3] == ["cat red soft", "dog", "cat blue"]


def test_templates_and_synonyms(pool):
    assert written(made(kind="template"), pool, EVERY)[:2] == ["a cat", "a dog"]
    values = {"kind": "template", "templates": ["{name} 1", "{name} 2"], "synonyms": True}
    found = written(made(**values), pool, EVERY)
    assert found == written(made(**values), pool, EVERY)
    assert found != written(made(1, **values), pool, EVERY)
    for row, text in enumerate(found):
        name, _, number = text.rpartition(" ")
        assert name in CLASSES["n2" if row % 3 == 1 else "n1"].names
        assert number in "12"
    # a row's caption does not depend on the rows that are taken beside it
    some = split.from_rows([2, 7, 11])
    assert written(made(**values), pool, some) == [found[row] for row in (2, 7, 11)]
    sets = made(kind="template", templates="openai-imagenet")
    assert len(set(written(sets, pool, EVERY))) > 6


def test_what_is_drawn_is_uniform(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "shards"))
    rows = 3000
    items = [sample(row, label="n1", image=b"one") for row in range(rows)]
    pool = make_dataset(tmp_path / "many", items=items, shard_size=1000)
    values = {"kind": "template", "templates": ["1 {name}", "2 {name}"], "synonyms": True}
    times = Counter(written(made(**values), pool, split.everything(rows)))
    assert len(times) == 6
    chi_squared = sum((count - rows / 6) ** 2 / (rows / 6) for count in times.values())
    assert chi_squared < 20.5  # of 5 degrees of freedom: once in a thousand seeds


@pytest.mark.parametrize("rows", [[0, 1, 5, 11], [4], range(12)])
def test_streams_have_the_same_captions(pool, rows):
    kept = split.from_rows(rows)
    maker = made(synonyms=True, prepend_class=True, pieces=["title", "caption"])
    # a loader process has a copy
    source = pickle.loads(pickle.dumps(Source(pool, kept, 0, None, maker)))
    streamed = []
    for position in range(len(pool.shards)):
        texts_M = source.texts(position)
        streamed += [texts_M[index] for index in np.flatnonzero(source.inside(position))]
    assert streamed == written(maker, pool, kept)


def test_facts_are_read_once(pool, monkeypatch):
    maker = made(pieces=["title"])
    first = written(maker, pool, EVERY)
    monkeypatch.setattr(texts, "originals", None)
    assert written(maker, pool, EVERY) == first


def test_rows_without_a_piece_are_counted(pool):
    said = texts.check(made(pieces=["caption", "title", "tags"]), pool, EVERY)
    assert said == [
        "captions: 4 of 12 rows have no title, and do without",
        "captions: 4 of 12 rows have no tags, and do without",
    ]
    assert texts.check(made(pieces=["caption", "title"]), pool, split.from_rows([0, 1])) == []


def test_a_piece_that_no_row_has(pool):
    with pytest.raises(ValueError, match=r"none of the 12 rows has 'titel' .*did you mean 'title'"):
        texts.check(made(pieces=["caption", "titel"]), pool, EVERY)


def test_rows_without_any_text(pool):
    with pytest.raises(ValueError, match="4 of 12 rows have none of title, size; add a piece"):
        texts.check(made(pieces=["title", "size"]), pool, EVERY)


@pytest.mark.parametrize("values", [{"kind": "template"}, {"prepend_class": True}])
def test_rows_without_a_class(tmp_path, values):
    labels = ["n1", None, "n2", None, None, "n9"]
    pool = make_dataset(tmp_path / "pool", labels=labels)
    message = "3 of the split's 5 rows have no class.*rule classes, by label"
    with pytest.raises(ValueError, match=message):
        texts.check(made(**values), pool, split.from_rows(range(5)))
    with pytest.raises(ValueError, match="label 'n9' is not in the list of classes"):
        texts.check(made(**values), pool, split.from_rows([0, 5]))
    assert texts.check(made(**values), pool, split.from_rows([0, 2])) == []


def test_an_image_is_moved_by_other_numbers(pool):
    rows = np.arange(12)
    moves = order.uniform(0, np.zeros(12, int), rows, 2)
    assert not np.isin(order.uniform(0, np.full(12, texts.TURN), rows, 2), moves).any()


RUN = {"split": "full", "objective": "clip", "seed": 0}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"captions": {"kind": "tempate"}}, r"captions\.kind: .*did you mean 'template'"),
        ({"captions": {"peices": ["title"]}}, "unknown parameter; did you mean 'pieces'"),
        ({"captions": {"pieces": ["tags", "tags"]}}, r"captions\.pieces: a piece comes twice"),
        ({"captions": {"pieces": []}}, r"captions\.pieces"),
        ({"captions": {"kind": "template", "templates": ["x"]}}, r"'x' has no \{name\}"),
        ({"captions": {"kind": "template", "templates": "opnai-imagenet"}}, "did you mean"),
        ({"captions": {"templates": ["a {name}", "{name}"]}}, r"captions\.templates: .* natural"),
        ({"captions": {"kind": "template", "pieces": ["tags"]}}, r"captions\.pieces: .* template"),
        ({"captions": {"synonyms": True}}, r"captions\.synonyms: natural captions have no class"),
        ({"captions": {"prepend_class": True}, "objective": "dino"}, "captions is for runs of"),
        ({"captions": {"kind": "template"}, "objective": "supervised"}, "its classifier is random"),
        ({"text": "frozen"}, "text is frozen, and text_from is none"),
        ({"text_from": "x"}, "text_from is x, and text is random"),
        (
            {"text": "frozen", "text_from": "x", "objective": "dino"},
            "text is for runs of clip and .*siglip and .*sup",
        ),
        ({"vocabulary": {"size": 5}}, "vocabulary is for runs of supervised alone"),
        ({"vocabulary": {"size": 1}, "objective": "supervised"}, r"vocabulary\.size"),
        ({"prototypes": 5}, "prototypes is for runs of dino alone"),
        ({"epochs": 1.0, "samples_seen": 16}, "epochs and samples_seen both"),
    ],
)
def test_runs_that_make_no_sense(values, message):
    with pytest.raises(ValueError, match=message):
        objectives.parse({**RUN, **values}, "params.yaml: runs.x")
