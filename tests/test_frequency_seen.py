"""How often a run saw each class, counted by hand from labels and from matches."""

import dataclasses

import numpy as np
import pytest

from clipcause.captions import frequency
from clipcause.captions.classes import ClassNames
from clipcause.config.runs import Run
from clipcause.data import dataset
from clipcause.evaluate import frequency_seen
from clipcause.prune import split
from tests import learning_study

LABELS = ["ball", "sky", "ball", None, "wall", "ball", None, "sky"]
# rows that mention a class: 3 mentions two
MENTIONS = [(0, "ball"), (3, "ball"), (3, "sky"), (4, "wall"), (6, "ball"), (7, "sky")]
LISTED = ["ball", "sky", "wall"]


def named(name: str, **more) -> ClassNames:
    return ClassNames(name=name, names=[name], **more)


KNOWN = {
    **{name: named(name) for name in LISTED},
    "coloured": named("coloured", test_set="own", covers=["ball", "sky"]),
    "elsewhere": named("elsewhere", test_set="own"),
}


@pytest.fixture
def sources(tmp_path):
    """A pool of eight rows in three shards, a reference of three, matches of the pool."""
    made = {}
    for name, labels in (("pool", LABELS), ("reference", ["sky", "sky", "wall"])):
        samples = [
            dataclasses.replace(sample, label=label)
            for sample, label in zip(
                learning_study.samples(len(labels), 0, labelled=True), labels, strict=True
            )
        ]
        dataset.write(tmp_path / name, samples, shard_size=3, max_drop_fraction=0.0)
        made[name] = dataset.read(tmp_path / name)
    matches(tmp_path / "matches", made["pool"].sha256)
    return made["pool"], made["reference"], tmp_path / "matches"


def matches(folder, pool, listed=LISTED):
    pairs = sorted((row, listed.index(name)) for row, name in MENTIONS)
    row_M, class_M = (np.array(column) for column in zip(*pairs, strict=True))
    count_C = np.bincount(class_M, minlength=len(listed))
    found = frequency.Frequency(tuple(listed), tuple(listed), count_C)
    parts = [(row_M[:3], class_M[:3]), (row_M[3:], class_M[3:])]
    frequency.write(folder, found, parts, {"pool": pool})


def alone_and_added(sources, by, rows):
    """Frequencies in these rows of the pool, and with the reference added."""
    pool, reference, folder = sources
    chosen = split.from_rows(rows)
    return tuple(
        frequency_seen.seen(by, KNOWN, KNOWN, pool, chosen, added, folder)
        for added in (None, reference)
    )


def test_labels_of_the_splits_rows(sources):
    # a class of one test set without anything that it covers has no frequency
    assert alone_and_added(sources, "label", [0, 1, 2, 3, 4]) == (
        {"ball": 2, "sky": 1, "wall": 1, "coloured": 3},
        {"ball": 2, "sky": 3, "wall": 2, "coloured": 5},
    )


def test_a_label_that_is_in_no_row_of_the_split_has_frequency_zero(sources):
    pool, reference, folder = sources
    nothing = split.from_rows([])
    alone = frequency_seen.seen("label", LISTED, KNOWN, pool, nothing, reference, folder)
    assert alone == {"ball": 0, "sky": 2, "wall": 1}
    # nor does a label of the data have to be in the list
    assert frequency_seen.seen("label", ["sky", "odd"], {}, pool, nothing, reference, folder) == {
        "sky": 2,
        "odd": 0,
    }


def test_mentions_in_the_splits_rows(sources):
    # row 3 mentions both classes that one covers, and is one row
    assert alone_and_added(sources, "mention", [0, 1, 3, 4, 5]) == (
        {"ball": 2, "sky": 1, "wall": 1, "coloured": 2},
        {"ball": 2, "sky": 3, "wall": 2, "coloured": 4},
    )


def test_the_order_of_the_classes_in_the_file_is_no_matter(sources):
    pool, _, folder = sources
    matches(folder, pool.sha256, ["wall", "ball", "sky"])
    found = frequency_seen.seen("mention", KNOWN, KNOWN, pool, split.everything(8), None, folder)
    assert found == {"ball": 3, "sky": 2, "wall": 1, "coloured": 4}


def test_matches_of_other_classes_or_of_another_pool(sources, tmp_path):
    pool, _, folder = sources
    rows = split.everything(8)
    matches(tmp_path / "more", pool.sha256, [*LISTED, "sea"])
    with pytest.raises(ValueError, match=r"more: .*not asked for \(first \['sea'\]\)"):
        frequency_seen.seen("mention", LISTED, KNOWN, pool, rows, None, tmp_path / "more")
    matches(folder, "0" * 64)
    with pytest.raises(ValueError, match="made from another pool"):
        frequency_seen.seen("mention", LISTED, KNOWN, pool, rows, None, folder)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The study in a folder, with a split, and the card of a checkpoint trained on it."""
    learning_study.build(tmp_path)
    monkeypatch.chdir(tmp_path)
    pool, reference = (dataset.read(tmp_path / "data" / name) for name in ("pool", "reference"))
    split.write("splits/full/pool", range(40), card={"pool": pool.sha256})
    card = {
        "training": {"pool": pool.sha256, "reference": reference.sha256},
        "split": dict(split.read("splits/full/pool").card),
    }
    return tmp_path, card


def test_the_frequency_of_a_run_is_of_what_its_card_says(study):
    root, card = study
    entry = Run(split="full", objective="clip", seed=0)
    found = frequency_seen.of_run("label", entry, card, LISTED, root / "models/full-0")
    assert found == dict.fromkeys(LISTED, 7)  # the reference's: the pool has no labels
    card["training"]["reference"] = "none"
    found = frequency_seen.of_run("label", entry, card, LISTED, root / "models/full-0")
    assert found == dict.fromkeys(LISTED, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": {"kept": 3}}, "models/full-0: trained on another split than full; train again"),
        ({"training": {"pool": "0"}}, "trained on another split than full"),
        ({"training": {"reference": "0"}}, "trained with another data/reference; train again"),
    ],
)
def test_a_checkpoint_of_other_rows(study, change, message):
    _, card = study
    changed = {key: {**value, **change.get(key, {})} for key, value in card.items()}
    entry = Run(split="full", objective="clip", seed=0)
    with pytest.raises(ValueError, match=message):
        frequency_seen.of_run(
            "label", entry, changed, LISTED, frequency_seen.layout.model("full-0")
        )
