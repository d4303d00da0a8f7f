"""frequency: the stage on a real small pool, its artifact, the plain function for notebooks."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipcause.captions import classes, count_classes, frequency, lemmas, mentions, wordnet, words
from clipcause.captions.frequency import Frequency
from clipcause.config import layout
from clipcause.data import dataset
from clipcause.data.dataset import Sample
from clipcause.data.manifest import SHARDS_KEY
from clipcause.runtime.notices import NAMED
from stages import frequency as stage

ROOT = Path(__file__).parents[1]
WORDNET = ROOT / "tests/fixtures/wordnet.tgz"
MENTIONED = {"bell": 2, "cat": 1, "key": 3, "umbrella": 1}
CAPTIONS = ["two cats", "a bell, a key", "keys", "something else", "umbrella stand", "bell key"]


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A pool of six captions in three shards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLIPCAUSE_SHARDS", str(tmp_path / "shards"))
    shutil.copytree(ROOT / "data/classes", "data/classes")
    samples = [
        Sample(f"s{at}", b"not looked at", "png", caption, None, 8, 8, f"s{at}")
        for at, caption in enumerate(CAPTIONS)
    ]
    dataset.write(layout.dataset("pool"), samples, shard_size=2, max_drop_fraction=0.0)
    write(tmp_path)
    return tmp_path


def write(folder, **changes):
    stated = {"matcher": "bag", "wordnet": str(WORDNET)} | changes
    content = {"frequency": stated, "classes": "icons", "engine": {"workers": 1}}
    (folder / "params.yaml").write_text(yaml.safe_dump(content))


def test_counts_and_matches_of_a_pool(repository):
    said = stage.main()
    found = frequency.read(layout.frequency("icons"))
    known = classes.read(layout.classes("icons"))
    assert found.classes == tuple(known)
    counted = {key: n for key, n in zip(found.classes, found.count_C.tolist(), strict=True) if n}
    assert counted == MENTIONED
    matches = pq.read_table(layout.frequency("icons") / frequency.MATCHES).to_pylist()
    assert [(match["row"], match["class"]) for match in matches] == [
        (0, "cat"), (1, "bell"), (1, "key"), (2, "key"), (4, "umbrella"), (5, "bell"), (5, "key"),
    ]  # fmt: skip
    stated = json.loads(Path("metrics/frequency.json").read_text())
    assert stated["captions_matched"] == 5
    assert stated["classes_without_captions"] == len(known) - 4
    assert said.startswith("5 of 6 captions mention one of")


def test_the_same_bytes_on_processes_and_nothing_is_counted_twice(repository, monkeypatch):
    def content():
        return {path.name: path.read_bytes() for path in layout.frequency("icons").iterdir()}

    stage.main()
    first = content()
    monkeypatch.setattr(mentions.Mentions, "__call__", None)  # every shard is in the cache
    stage.main()
    assert content() == first
    monkeypatch.undo()
    monkeypatch.chdir(repository)
    monkeypatch.setenv("CLIPCAUSE_SHARDS", str(repository / "other"))
    params = yaml.safe_load((repository / "params.yaml").read_text())
    params["engine"]["workers"] = 2
    (repository / "params.yaml").write_text(yaml.safe_dump(params))
    stage.main()
    assert content() == first


def test_the_stage_counts_as_the_function_does(repository):
    known = classes.read(layout.classes("icons"))
    listed = {key: {"names": c.names, "negatives": c.negatives} for key, c in known.items()}
    for matcher in ("bag", "phrase", "substring"):
        write(repository, matcher=matcher)
        stage.main()
        count_C = count_classes(iter(CAPTIONS), listed, matcher, wordnet=WORDNET)
        assert np.array_equal(frequency.read(layout.frequency("icons")).of(list(known)), count_C)
        assert count_C.sum() > 0


def test_without_wordnet_who_calls_the_function_is_told_what_to_pass(tmp_path):
    listed = {"a": {"names": ["cat"]}}
    with pytest.raises(FileNotFoundError, match=r'wordnet=PATH of either, or matcher="phrase"'):
        count_classes(["a cat"], listed, wordnet=tmp_path / "none.tgz")
    assert count_classes(["a cat"], listed, "phrase", wordnet=tmp_path / "none.tgz") == [1]


def test_names_that_match_nothing_have_a_count_of_zero(capsys):
    listed = {"a": {"names": ["cat"]}, "b": {"names": ["zebra finch"], "negatives": ["cat"]}}
    captions = ["cats", None, b"a cat", b"\xff"]
    assert count_classes(captions, listed, wordnet=WORDNET).tolist() == [2, 0]
    said = capsys.readouterr().err
    assert said == (
        "frequency: of the captions 1 is null and 1 is not UTF-8: they mention no class\n"
    )


def test_classes_that_no_caption_mentions_are_named(repository, capsys):
    stage.main()
    said = capsys.readouterr().err
    lacking = [key for key in classes.read(layout.classes("icons")) if key not in MENTIONED]
    assert f"{len(lacking)} of {len(lacking) + 4} classes are mentioned by no caption" in said
    assert f"{', '.join(lacking[:NAMED])} and {len(lacking) - NAMED} more" in said
    assert "null" not in said


def test_a_manifest_whose_captions_are_null_or_no_text(repository, capsys):
    """Another program wrote them: the stage counts them, says so and counts the rest."""
    folder = layout.dataset("pool")
    path = folder / "manifest.parquet"
    whole = pq.ParquetFile(path)
    parts = [whole.read_row_group(number) for number in range(3)]
    bad = pa.StringArray.from_buffers(
        2,
        pa.py_buffer(np.array([0, 0, 4], np.int32)),
        pa.py_buffer(b"\xffcat"),
        pa.py_buffer(b"\2"),
    )
    at = parts[0].column_names.index("caption")
    parts[0] = parts[0].set_column(at, whole.schema_arrow.field("caption"), bad)
    with pq.ParquetWriter(path, whole.schema_arrow) as writer:
        for part in parts:
            writer.write_table(part)
        writer.add_key_value_metadata({SHARDS_KEY: whole.metadata.metadata[SHARDS_KEY]})
    stage.main()
    assert "of the captions 1 is null and 1 is not UTF-8: they" in capsys.readouterr().err
    stated = json.loads(Path("metrics/frequency.json").read_text())
    assert (stated["captions_null"], stated["captions_not_utf8"]) == (1, 1)
    found = frequency.read(layout.frequency("icons"))
    counted = {key: n for key, n in zip(found.classes, found.count_C.tolist(), strict=True) if n}
    assert counted == {"bell": 1, "key": 2, "umbrella": 1}


def test_the_card_names_the_wordnet(repository):
    stage.main()
    card = json.loads((layout.frequency("icons") / "card.json").read_text())
    assert card["wordnet_version"] == "3.0"
    assert len(card["wordnet"]) == 64
    write(repository, matcher="phrase", wordnet="nowhere")
    stage.main()
    card = json.loads((layout.frequency("icons") / "card.json").read_text())
    assert (card["wordnet"], card["wordnet_version"]) == ("none", "none")


def test_nltks_data_folder_gives_the_same_counts(repository):
    stage.main()
    first = (layout.frequency("icons") / "counts.parquet").read_bytes()
    folder = Path("nltk_data/corpora/wordnet")
    folder.mkdir(parents=True)
    for name, content in wordnet.read(WORDNET, lemmas.FILES).items():
        (folder / name).write_bytes(content)
    write(repository, wordnet="nltk_data")
    stage.main()
    assert (layout.frequency("icons") / "counts.parquet").read_bytes() == first


def test_wordnet_that_is_not_there(repository):
    write(repository, wordnet="data/raw/wordnet.tgz")
    with pytest.raises(FileNotFoundError, match=r"wordnet\.tgz: not found.*run the stage fetch"):
        stage.main()


def test_the_fixture_is_the_real_data_base_of_its_words():
    nouns = lemmas.read(WORDNET)
    pairs = {"keys": "key", "mice": "mouse", "umbrellas": "umbrella", "houses": "house"}
    assert {word: nouns.lemma(word) for word in pairs} == pairs
    assert words.tokens("cannot") == ["can", "not"]


def some(classes_=("a", "b"), count=(1, 2)):
    return Frequency(tuple(classes_), ("cat", "dog"), np.array(count, np.int64))


def test_frequencies_are_joined_by_class():
    assert some().of(["b", "a"]).tolist() == [2, 1]
    for other in (["a"], ["a", "b", "c"], ["a", "c"], ["a", "a"]):
        with pytest.raises(ValueError, match="the frequency is of 2 classes"):
            some().of(other)


@pytest.mark.parametrize(
    ("row", "owner", "message"),
    [
        ([0, 0, 1], [0, 1, 0], r"3 matches, counts of 3"),
        ([1, 0, 2], [0, 1, 1], "do not ascend"),
        ([0, 0, 1], [1, 1, 0], "do not ascend"),
    ],
)
def test_matches_that_do_not_fit_are_not_written(tmp_path, row, owner, message):
    part = np.array(row, np.int64), np.array(owner, np.int64)
    with pytest.raises(ValueError, match=message):
        frequency.write(tmp_path / "f", some(), [part], {})
    assert not (tmp_path / "f").exists()


PARTS = [([0, 0, 3], [0, 1, 0]), ([], []), ([5, 6, 9], [1, 0, 1]), ([], [])]


@pytest.fixture
def stored(tmp_path):
    """Six matches of two classes and one that nothing mentions, in four parts."""
    found = Frequency(("b", "a", "none"), ("x", "y", "z"), np.array([3, 3, 0]))
    parts = [(np.array(row, np.int64), np.array(owner, np.int64)) for row, owner in PARTS]
    frequency.write(tmp_path / "f", found, parts, {})
    return tmp_path / "f"


@given(st.integers(0, 12), st.integers(0, 12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_matches_of_a_range_of_rows(stored, start, stop):
    opened = pickle.loads(pickle.dumps(frequency.matches(stored)))
    row_M, class_M = opened.between(start, stop)
    listed = [(m["row"], m["class"]) for m in pq.read_table(stored / frequency.MATCHES).to_pylist()]
    named = [opened.classes[owner] for owner in class_M]
    assert list(zip(row_M.tolist(), named, strict=True)) == [
        pair for pair in listed if start <= pair[0] < stop
    ]
    assert len(opened) == len(listed) == 6


@given(st.sets(st.integers(0, 12)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counts_of_some_rows(stored, rows):
    found = frequency.of_rows(stored, np.array(sorted(rows), np.int64))
    listed = pq.read_table(stored / frequency.MATCHES).to_pylist()
    assert found.of(["a", "b", "none"]).tolist() == [
        sum(m["row"] in rows and m["class"] == key for m in listed) for key in ("a", "b", "none")
    ]


def test_a_class_that_comes_twice_is_an_error(tmp_path):
    columns = [["a", "a"], ["x", "y"], np.array([1, 2])]
    tmp_path.joinpath("f").mkdir()
    pq.write_table(pa.table(columns, schema=frequency.COUNTS_SCHEMA), tmp_path / "f/counts.parquet")
    with pytest.raises(ValueError, match="a class comes twice"):
        frequency.read(tmp_path / "f")


NAMES = {"n01": "cat", "n02": "coffee cup"}


def test_published_counts_are_joined_by_name(tmp_path):
    path = tmp_path / "freq.txt"
    path.write_text("coffee cup\t3\ncat\t5\n")
    found = frequency.read_published(path, NAMES)
    assert found.of(["n01", "n02"]).tolist() == [5, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat\t5\n", "no count for 1 classes, first 'coffee cup'"),
        ("cat\t5\ndog\t1\n", "line 2: 'dog' is no class"),
        ("cat\t5\ncat\t1\n", "line 2: 'cat' comes twice"),
        ("cat 5\n", "line 1: 'cat 5' is not a name, a tab and a count"),
        ("cat\t-5\n", "line 1: .* is not a name, a tab and a count"),
    ],
)
def test_published_counts_of_other_classes(tmp_path, text, message):
    path = tmp_path / "freq.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        frequency.read_published(path, NAMES)


TWICE = {"n1": "missile", "n2": "cat", "n3": "missile"}


@pytest.mark.parametrize("text", ["missile\t7\ncat\t5\nmissile\t3\n", "n3\t3\nn2\t5\nn1\t7\n"])
def test_classes_of_one_name_are_told_apart_by_order_or_by_id(tmp_path, text):
    path = tmp_path / "freq.txt"
    path.write_text(text)
    found = frequency.read_published(path, TWICE)
    assert found.classes == ("n1", "n2", "n3")
    assert found.count_C.tolist() == [7, 5, 3]


@pytest.mark.parametrize(
    "text",
    [
        "missile\t7\ncat\t5\n",  # one of two
        "missile\t7\ncat\t5\nmissile\t3\nmissile\t1\n",
        "missile\t7\nmissile\t3\ncat\t5\n",  # by count: which is which is not known
    ],
)
def test_a_name_of_two_classes_in_no_known_order(tmp_path, text):
    path = tmp_path / "freq.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"line 1: 'missile' .* n1 and of n3, .* put class ids"):
        frequency.read_published(path, TWICE)
