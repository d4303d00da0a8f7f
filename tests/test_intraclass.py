"""intraclass: the sums against all pairs in float64; the stage on a small pool."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clipcause.captions import frequency
from clipcause.captions.frequency import Frequency
from clipcause.config import layout
from clipcause.embed import embeddings
from clipcause.prune import split
from clipcause.search import intraclass
from stages import intraclass as stage
from tests.artifacts_samples import contents, make_dataset, unit_vectors

LABELS = ["cat", "dog", None, "cat", "cat", "dog", "owl", None, "dog", "cat"]
# (row, class): a row may mention two
MENTIONS = [(0, "cat"), (0, "dog"), (1, "cat"), (2, "dog"), (4, "cat"), (7, "owl"), (8, "owl")]
CLASSES = ("cat", "dog", "owl", "fox")


def by_pairs(image_ND, rows):
    """The definition: the mean cosine of all pairs of different images."""
    vectors = [image_ND[row].astype(np.float64) for row in rows]
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in combinations(vectors, 2)]
    return float(np.mean(cosines))


@given(st.lists(st.integers(0, 4), max_size=30), st.integers(0, 99), st.integers(1, 9))
def test_the_sums_give_the_mean_over_pairs(owners, seed, block):
    image_ND = unit_vectors(len(owners), seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intraclass, "BLOCK", block)
        found = intraclass.similarity(image_ND, np.array(owners, np.int64), 5)
    for number in range(5):
        rows = [row for row, owner in enumerate(owners) if owner == number]
        assert found.rows_C[number] == len(rows)
        if len(rows) < 2:
            assert np.isnan(found.similarity_C[number])
        else:
            assert found.similarity_C[number] == pytest.approx(by_pairs(image_ND, rows), abs=1e-12)


def test_copies_are_exactly_alike_and_opposites_are_not():
    image_ND = np.array([[3, 4], [3, 4], [0, 1], [0, -1]], np.float16) / 5
    found = intraclass.similarity(image_ND, np.array([0, 0, 1, 1]), 2)
    assert found.similarity_C.tolist() == pytest.approx([1.0, -1.0])


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A pool of ten rows in four shards, its embeddings, its matches and two splits."""
    monkeypatch.chdir(tmp_path)
    pool = make_dataset(layout.dataset("pool"), labels=LABELS)
    parts = [unit_vectors(shard.samples, seed=at) for at, shard in enumerate(pool.shards)]
    embeddings.write(layout.embeddings("clip", "pool"), parts, pool, "e" * 64)
    card = {"pool": pool.sha256, "pool_rows": len(pool)}
    split.write(layout.split("full"), np.arange(10), card=card)
    split.write(layout.split("few"), np.array([0, 1, 3, 4, 6, 7]), card=card)
    split.write(layout.split("alone"), np.array([0, 1]), card=card)
    entries = {key: {"name": f"a {key}", "names": [key]} for key in CLASSES}
    Path("data/classes").mkdir()
    Path("data/classes/pets.yaml").write_text(yaml.safe_dump(entries, sort_keys=False))
    place = {key: at for at, key in enumerate(CLASSES)}
    row_M = np.array([row for row, _ in MENTIONS])
    class_M = np.array([place[key] for _, key in MENTIONS])
    count_C = np.bincount(class_M, minlength=4)
    counted = Frequency(CLASSES, CLASSES, count_C)
    frequency.write(
        layout.frequency("pets"), counted, iter([(row_M, class_M)]), {"pool": pool.sha256}
    )
    items = {
        "all": {"split": "full", "by": "label"},
        "pool": {"split": "none"},
        "few": {"split": "few", "by": "label"},
        "mentions": {"split": "few", "by": "mention"},
        "alone": {"split": "alone", "by": "label"},
    }
    content = {"classes": "pets", "encoder": {"name": "clip", "run": "full-0"}}
    Path("params.yaml").write_text(yaml.safe_dump(content | {"intraclass": items}))
    return np.concatenate(parts)


@pytest.mark.parametrize("block", [3, 4, 100])
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("all", {"cat": [0, 3, 4, 9], "dog": [1, 5, 8], "owl": [6]}),
        ("pool", {"cat": [0, 3, 4, 9], "dog": [1, 5, 8], "owl": [6]}),
        ("few", {"cat": [0, 3, 4], "dog": [1], "owl": [6]}),
        ("mentions", {"cat": [0, 1, 4], "dog": [0], "owl": [7]}),
    ],
)
def test_the_stage_measures_the_rows_of_its_split(
    repository, name, rows, block, monkeypatch, capsys
):
    monkeypatch.setattr(intraclass, "BLOCK", block)
    stage.main(name)
    expected = {key: by_pairs(repository, own) for key, own in rows.items() if len(own) > 1}
    alone = [key for key, own in rows.items() if len(own) == 1]
    assert json.loads(layout.metrics("intraclass", name).read_text()) == {
        "classes": len(expected),
        "classes_of_one_row": len(alone),
        "classes_without_rows": 1,
        "members": sum(map(len, rows.values())),
        "similarity": pytest.approx(np.mean(list(expected.values())), abs=1e-6),
    }
    lines = (layout.intraclass(name) / "classes.csv").read_text().splitlines()
    assert lines[0] == "class,name,rows,similarity"
    assert [line.split(",")[:3] for line in lines[1:]] == [
        [key, f"a {key}", str(len(own))] for key, own in rows.items()
    ]
    for line, key in zip(lines[1:], rows, strict=True):
        value = line.split(",")[3]
        assert (
            (value == "")
            if key in alone
            else float(value) == pytest.approx(expected[key], abs=1e-6)
        )
    said = f"intraclass {name}: {len(alone)} classes of one row are left out: {', '.join(alone)}"
    assert said in capsys.readouterr().err


def test_the_same_bytes_again(repository):
    stage.main("all")
    first = contents(layout.intraclass("all"))
    stage.main("all")
    assert contents(layout.intraclass("all")) == first


def test_a_split_without_any_pair(repository):
    with pytest.raises(ValueError, match="no class has two rows by label"):
        stage.main("alone")


def test_an_item_that_there_is_not(repository):
    with pytest.raises(ValueError, match="unknown intraclas"):
        stage.main("fews")


def test_matches_of_other_classes_or_another_pool(repository):
    folder = layout.frequency("pets")
    card = json.loads((folder / "card.json").read_text())
    counted = Frequency(("cat", "dog"), ("a", "b"), np.array([0, 0]))
    frequency.write(folder, counted, iter([]), card)
    with pytest.raises(ValueError, match="of other classes than pets"):
        stage.main("mentions")
    frequency.write(folder, counted, iter([]), {"pool": "another"})
    with pytest.raises(ValueError, match="made from another pool"):
        stage.main("mentions")


def test_labels_that_are_no_classes(repository):
    Path("data/classes/pets.yaml").write_text("cat: {name: cat, names: [cat]}\n")
    with pytest.raises(ValueError, match=r"2 labels are no classes of the study's list.*'dog'"):
        stage.main("all")
