"""Words, lemmas and bags against NLTK's own code and against the loop of the definition."""

import io
import math
import re
import tarfile
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.tokenize import NLTKWordTokenizer

from clipcause.captions import counting, lemmas, words
from clipcause.captions.bag import Bag
from clipcause.captions.counting import matcher

INDEX = """  1 This text is not a word
bus n 4 1 @ 4 1 02924116 02924253
cat n 8 1 @ 8 1 02121620
coffee_cup n 1 0 1 0 03063338
cup n 8 1 @ 8 1 03147509
key n 15 1 @ 15 1 03613294
man n 11 1 @ 11 1 10287213
mouse n 4 1 @ 4 1 02330245
u n 3 1 @ 3 1 13658027
us n 1 1 @ 1 1 09044862
wolf n 5 1 @ 5 1 02114100
"""
EXCEPTIONS = "mice mouse\nbuses bus\nmen man\nmetamen nothing\n"
NOUNS = lemmas.parse(INDEX, EXCEPTIONS)
MORPHY: Any = WordNetCorpusReader._morphy  # called without its data base
PIECES = ["cat", "cats", "cup", "coffee", "mice", "wolves", "gonna", "cannot", "us", "buses"]
WORDS = st.sampled_from([*PIECES, "us", "men", "keys", "churches", "boxes", "glass", "lemme", "x"])
TEXT = st.lists(st.one_of(WORDS, st.text(max_size=6)), max_size=6).map(" ".join)


def nltk_tokens(caption):
    return NLTKWordTokenizer().tokenize(words.cleaned(caption))


def nltk_lemma(word):
    """NLTK's rule over our small data base."""
    reader = SimpleNamespace(
        _exception_map={"n": {key: list(forms) for key, forms in NOUNS.exceptions.items()}},
        _lemma_pos_offset_map={word: {"n": [1]} for word in NOUNS.known},
        MORPHOLOGICAL_SUBSTITUTIONS=WordNetCorpusReader.MORPHOLOGICAL_SUBSTITUTIONS,
    )
    found = MORPHY(reader, word, "n")
    return min(found, key=len) if found else word


def loop(captions, classes):
    """The definition, word for word: classes x captions."""
    bags = [{nltk_lemma(word) for word in nltk_tokens(caption)} for caption in captions]

    def held(names, bag):
        return any({nltk_lemma(word) for word in nltk_tokens(name)} <= bag for name in names)

    return [
        (row, number)
        for row, bag in enumerate(bags)
        for number, entry in enumerate(classes.values())
        if held(entry["names"], bag) and not held(entry.get("negatives", ()), bag)
    ]


@given(TEXT)
def test_tokens_are_nltks(text):
    assert words.tokens(text) == nltk_tokens(text)


@given(st.lists(st.one_of(st.none(), TEXT), max_size=6), st.integers(0, 3))
def test_columns_split_as_captions_do(captions, offset):
    column = pa.array(captions, pa.string())[offset:]
    found = words.split(column)
    split = [[] for _ in range(len(column))]
    for row, code in zip(found.row_W, found.code_W, strict=True):
        word = found.different[code]
        split[row] += words.CONTRACTIONS.get(word, (word,)) if word else ()
    assert split == [words.tokens(text or "") for text in column.to_pylist()]


@given(st.one_of(WORDS, st.text("abcdehimnosuvxyz", max_size=9)))
def test_lemmas_are_nltks(word):
    assert NOUNS.lemma(word) == nltk_lemma(word)


@pytest.mark.parametrize(
    ("word", "lemma"),
    [("us", "u"), ("mice", "mouse"), ("wolves", "wolf"), ("men", "man"), ("kees", "kees")],
)
def test_lemmas_worked_by_hand(word, lemma):
    assert NOUNS.lemma(word) == lemma


NAMES = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)
CLASSES = st.lists(
    st.fixed_dictionaries(
        {
            "names": st.lists(NAMES, min_size=1, max_size=3),
            "negatives": st.lists(NAMES, max_size=1),
        }
    ),
    min_size=1,
    max_size=5,
).map(lambda entries: {f"class {i}": entry for i, entry in enumerate(entries)})


@given(st.lists(TEXT, max_size=8), CLASSES)
def test_matches_are_those_of_the_loop(captions, classes):
    found = Bag(classes, NOUNS.lemma)(pa.array(captions, pa.string()))
    assert list(zip(*(part.tolist() for part in found), strict=True)) == loop(captions, classes)


def test_matches_worked_by_hand():
    classes = {
        "cat": {"names": ["cat"], "negatives": ["coffee"]},
        "cup": {"names": ["coffee cup", "mug"]},
        "can": {"names": ["can"]},
    }
    captions = ["Cats & a cat!", "a cup of COFFEE, no cat", "cannot", None, "cat cup"]
    found = Bag(classes, NOUNS.lemma)(pa.array(captions))
    assert found.row_M.tolist() == [0, 1, 2, 4]
    assert found.class_M.tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"names": []}, "class 'a': no names"),
        ({"names": ["007"]}, "class 'a': name '007' has no letters"),
        ({"names": ["cat"], "negative": ["dog"]}, "class 'a': unknown entry 'negative'"),
    ],
)
def test_classes_that_cannot_match(entry, message):
    with pytest.raises(ValueError, match=message):
        Bag({"a": entry}, NOUNS.lemma)


def tarball(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def test_wordnet_is_read_from_the_package_and_from_a_folder(tmp_path):
    inner = tarball({"dict/index.noun": INDEX.encode()})
    members = {"package/data/noun.exc": EXCEPTIONS.encode(), "package/WNdb-3.0.tar.gz": inner}
    (tmp_path / "wordnet.tgz").write_bytes(tarball(members))
    (tmp_path / "index.noun").write_text(INDEX)
    (tmp_path / "noun.exc").write_text(EXCEPTIONS)
    assert lemmas.read(tmp_path / "wordnet.tgz") == lemmas.read(tmp_path) == NOUNS
    assert "This" not in NOUNS.known


def test_what_is_no_wordnet_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"index\.noun: not found"):
        lemmas.read(tmp_path)
    (tmp_path / "other.tgz").write_bytes(tarball({"package/a": b""}))
    with pytest.raises(ValueError, match=r"other\.tgz: no data/noun\.exc in it"):
        lemmas.read(tmp_path / "other.tgz")
    (tmp_path / "text.tgz").write_text("no tarball")
    with pytest.raises(ValueError, match="not a readable tarball"):
        lemmas.read(tmp_path / "text.tgz")


def by_regex(captions, classes):
    """`phrase` by its definition."""
    found = []
    for row, caption in enumerate(captions):
        for number, entry in enumerate(classes.values()):
            named, ruled_out = (
                any(re.search(rf"\b{re.escape(name)}\b", caption, re.IGNORECASE) for name in names)
                for names in (entry["names"], entry["negatives"])
            )
            if named and not ruled_out:
                found.append((row, number))
    return found


SPELLED = st.sampled_from(
    ["cat", "Cat", "CUP", "coffee cup", "x-ray", "u.s.", "ſip", "Kup", "caſt"]
)
STRINGS = st.lists(
    st.fixed_dictionaries(
        {
            "names": st.lists(SPELLED, min_size=1, max_size=3),
            "negatives": st.lists(SPELLED, max_size=1),
        }
    ),
    min_size=1,
    max_size=4,
).map(lambda entries: {f"class {i}": entry for i, entry in enumerate(entries)})
JOINED = st.lists(
    st.one_of(SPELLED, st.sampled_from([" ", "-", "_", ", ", "s", "İ", "é"])), max_size=7
).map("".join)


@given(st.lists(JOINED, max_size=6), STRINGS)
def test_phrases_are_those_of_the_regular_expression(captions, classes):
    found = matcher("phrase", classes, str)(pa.array(captions, pa.string()))
    assert list(zip(*(part.tolist() for part in found), strict=True)) == by_regex(captions, classes)


@pytest.mark.parametrize(
    ("caption", "matched"),
    [
        ("a cat, asleep", True),
        ("a cat", True),
        ("cat!", True),
        ("a\tcat\n", True),
        ("a Cat", False),
        ("a cat-like thing", False),
        ("catalogue", False),
        ("(cat)", False),
    ],
)
def test_substrings_worked_by_hand_after_metaclips_rule(caption, matched):
    found = matcher("substring", {"cat": {"names": ["cat"]}}, str)(pa.array([caption]))
    assert found.row_M.tolist() == ([0] if matched else [])


def test_counts_do_not_depend_on_batches(monkeypatch):
    classes = {"cat": {"names": ["cat"]}, "cup": {"names": ["cup"]}, "none": {"names": ["mug"]}}
    captions = ["cats", "a cup", None, "cat cup", "cat cat"]
    found = []
    for size in (1, 2, 100):
        monkeypatch.setattr(counting, "BATCH", size)
        match = matcher("bag", classes, NOUNS.lemma)
        count_C, faults = counting.count(iter(captions), match, 3)
        found.append((count_C.tolist(), faults))
    assert found == [([3, 2, 0], (1, 0))] * 3


BAD = [None, math.nan, b"\xff\xfe", b"a cat \xe9", "\ud800 cat"]  # two are null, three no UTF-8


@given(st.lists(st.one_of(st.sampled_from(BAD), TEXT, TEXT.map(str.encode)), max_size=8))
def test_captions_that_are_no_text_are_counted_and_mention_nothing(captions):
    classes = {"cat": {"names": ["cat"]}, "cup": {"names": ["cup"]}}
    match = matcher("bag", classes, NOUNS.lemma)
    count_C, faults = counting.count(captions, match, 2)
    null = sum(caption is None or caption is math.nan for caption in captions)
    bad = sum(caption in BAD[2:] for caption in captions)
    assert faults == (null, bad)
    good = [c.decode() if isinstance(c, bytes) else c for c in captions if c not in BAD]
    assert count_C.tolist() == counting.count(good, match, 2)[0].tolist()


def test_a_column_of_a_file_with_bytes_that_are_no_text():
    offsets = pa.py_buffer(np.array([0, 3, 4, 4, 7], np.int32))
    column = pa.StringArray.from_buffers(
        4, offsets, pa.py_buffer(b"cat\xffcup"), pa.py_buffer(b"\x0b")
    )
    assert column.null_count == 1
    found, faults = counting.checked(pa.chunked_array([column[:1], column[1:]]))
    assert found.to_pylist() == ["cat", None, None, "cup"]
    assert faults == (1, 1)
    assert counting.checked(pa.chunked_array([], pa.string())) == (
        pa.array([], pa.string()),
        (0, 0),
    )


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ((0, 0), ""),
        ((1, 0), "of the captions 1 is null: they mention no class"),
        ((3000, 1), "of the captions 3,000 are null and 1 is not UTF-8: they mention no class"),
    ],
)
def test_what_is_no_text_is_said_with_its_count(faults, said):
    assert counting.Faults(*faults).warning() == said


@pytest.mark.parametrize("batch", [["cat", 3], ["cat", None, "\ud800", 3]])
def test_what_is_neither_text_nor_null_is_an_error(batch):
    match = matcher("bag", {"cat": {"names": ["cat"]}}, NOUNS.lemma)
    with pytest.raises(ValueError, match=rf"caption {len(batch) - 1} is 3, which is no text"):
        counting.count(batch, match, 1)


@pytest.mark.parametrize(("kind", "classes"), [("bags", {"a": {"names": ["a"]}}), ("bag", {})])
def test_matchers_that_do_not_exist(kind, classes):
    with pytest.raises(ValueError, match=r"valid are bag, phrase, substring|empty"):
        matcher(kind, classes, str)
