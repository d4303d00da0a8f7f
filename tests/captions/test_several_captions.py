"""Class mentions, and similarity to definitions, of rows that have several captions."""

import dataclasses

import numpy as np
import pytest

from clipcause.captions import frequency, mentions
from clipcause.captions.definition_similarity import Similarities
from clipcause.config import frequency as config
from clipcause.config import parse
from clipcause.config.relevance import Relevance
from clipcause.data import every_caption
from clipcause.runtime import shard_cache as cache
from tests.artifacts_samples import make_dataset, sample

SAID = [
    ["a cat", "a dog and a cat", "a lawn"],
    ["a dog"],
    ["a pond", "a cat", "cats", "a dog"],
    ["x"],
]
CLASSES = {"cat": {"names": ["cat"]}, "dog": {"names": ["dog"]}}
MATCHES = [(0, "cat"), (0, "dog"), (1, "dog"), (2, "cat"), (2, "dog")]
DEFINITIONS = {"cat": "purrs", "dog": "barks"}


@pytest.fixture
def pool(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "shards"))
    items = [
        dataclasses.replace(sample(row), caption=said[0], captions=said if len(said) > 1 else None)
        for row, said in enumerate(SAID)
    ]
    return make_dataset(tmp_path / "pool", items=items, shard_size=2)


def test_every_caption_of_a_shard(pool):
    found = every_caption.of_shard(pool, 1)
    assert found.texts.to_pylist() == [*SAID[2], "x"]
    assert found.row_T.tolist() == [2, 2, 2, 2, 3]
    assert found.index_T.tolist() == [0, 1, 2, 3, 0]


def test_a_class_counts_once_a_row_if_any_caption_names_it(pool):
    settings = config.Frequency(matcher="phrase")
    found = [mentions.Mentions(pool.folder, CLASSES, settings)(shard) for shard in (0, 1)]
    pairs = [
        (row, [*CLASSES][at])
        for part in found
        for row, at in zip(part["row"].tolist(), part["class"].tolist(), strict=True)
    ]
    assert pairs == MATCHES  # "cats" is no cat between word boundaries
    assert not np.any([part["faults"] for part in found])


def vector(text):
    made = np.random.default_rng([ord(letter) for letter in text]).normal(size=16)
    return (made / np.linalg.norm(made)).astype(np.float32)


@pytest.mark.parametrize("which", ["mean", "first", "best"])
def test_similarity_is_the_mean_over_captions_or_as_asked(pool, tmp_path, monkeypatch, which):
    classes = ("cat", "dog", "bird")
    row_M = np.array([row for row, _ in MATCHES])
    class_M = np.array([classes.index(name) for _, name in MATCHES])
    counts = np.bincount(class_M, minlength=3)
    found = frequency.Frequency(classes, classes, counts)
    frequency.write(tmp_path / "frequency", found, [(row_M, class_M)], {})
    asked = []

    def encoded(_, texts):
        asked.extend(texts)
        return np.stack([vector(text) for text in texts])

    monkeypatch.setattr(Similarities, "_encoded", encoded)
    monkeypatch.setattr(Similarities, "_cut", np.array([0]))
    task = Similarities(
        pool.folder,
        frequency.matches(tmp_path / "frequency"),
        tmp_path,
        "",
        DEFINITIONS,
        Relevance(captions=which),
    )
    parts = [task(shard) for shard in (0, 1)]
    reduce = {"mean": np.mean, "first": lambda cosines: cosines[0], "best": np.max}[which]
    expected = [
        reduce([vector(said).astype(float) @ vector(DEFINITIONS[name]) for said in SAID[row]])
        for row, name in MATCHES
    ]
    assert np.concatenate([part["row"] for part in parts]).tolist() == row_M.tolist()
    got = np.concatenate([part["similarity"] for part in parts])
    assert got.dtype == np.float32
    assert got == pytest.approx(np.array(expected), abs=1e-6)
    assert ("a pond" in asked, "cats" in asked, "x" in asked) == (True, which != "first", False)


def test_a_word_that_is_none():
    with pytest.raises(ValueError, match=r"relevance\.captions: 'men' is not valid; did you mean"):
        parse({"captions": "men"}, Relevance, "relevance")
