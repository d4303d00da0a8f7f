"""Definitions against NLTK's own reader on the same files; where WordNet may lie."""

import io
import tarfile
import warnings
import zipfile
from pathlib import Path

import nltk
import pytest
from nltk.corpus.reader.wordnet import WordNetCorpusReader

from clipcause.captions import classes, glosses, lemmas, wordnet
from clipcause.captions.classes import ClassNames

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tests/fixtures/wordnet.tgz"
NOUNS = ("index.noun", "data.noun", "noun.exc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The fixture's files as NLTK keeps them; of the other parts of speech it has no words."""
    root = tmp_path_factory.mktemp("nltk_data") / "corpora" / "wordnet"
    root.mkdir(parents=True)
    for name, content in wordnet.read(PACKAGE, NOUNS).items():
        (root / name).write_bytes(content)
    for part in ("adj", "adv", "verb"):
        for name in (f"index.{part}", f"data.{part}", f"{part}.exc"):
            (root / name).write_bytes(b"")
    (root / "lexnames").write_text("".join(f"{n:02d}\tnoun.{n}\t1\n" for n in range(45)))
    return root


@pytest.fixture(scope="module")
def reader(folder):
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # it has no other languages
        patch.setattr(nltk.data, "path", [str(folder.parents[1])])  # it reads nowhere else
        patch.setattr(WordNetCorpusReader, "map_wn", lambda self: None)  # to other versions
        made = WordNetCorpusReader(str(folder), None)
        yield made
        made._data_file("n").close()


@pytest.fixture(scope="module")
def known():
    return glosses.read(PACKAGE)


@pytest.fixture(scope="module")
def named():
    """The names of the icons' classes that WordNet has as nouns."""
    listed = classes.read(ROOT / "data/classes/icons.yaml")
    nouns = lemmas.read(PACKAGE)
    return [entry.name for entry in listed.values() if entry.name in nouns.known]


def test_every_sense_has_nltks_definition(reader, known, named):
    assert len(named) > 50
    compared = 0
    for word in named:
        for sense in range(1, int(known.index[word].split()[2]) + 1):
            synset = reader.synset(f"{word}.n.{sense:02d}")
            names = (f"{word}.n.{sense:02d}", synset.name(), f"n{synset.offset():08d}")
            assert {known.definition(name) for name in names} == {synset.definition()}
            assert synset.definition()
            compared += 1
    assert compared > 3 * len(named)


def test_definitions_worked_by_hand(known):
    expected = "a hollow device made of metal that makes a ringing sound when struck"
    for name in ("bell.n.01", "Bell.n.1", "n02824448"):
        assert known.definition(name) == expected
    line = b'00000007 06 n 01 x 0 000 | a thing; "an example; of it"; and more; "two" \n'
    data = b" head\n\n" + line
    own = glosses.Glosses({"x": "x n 1 0 1 0 00000007"}, data, "3.0")
    assert own.definition("x.n.01") == "a thing; ; and more"


@pytest.mark.parametrize(
    ("synset", "message"),
    [
        ("umbrela.n.01", r"no noun 'umbrela'; did you mean 'umbrella'\?"),
        ("bell.n.99", "the noun 'bell' has the senses 1 to"),
        ("bell.n.00", "the noun 'bell' has the senses 1 to"),
        ("bell", r"no name such as cup\.n\.01"),
        ("n00000001", "no noun at byte 1 of"),
        ("n99999999", "no noun at byte 99999999 of"),
    ],
)
def test_synsets_that_there_are_not(known, synset, message):
    with pytest.raises(ValueError, match=message):
        known.definition(synset)


def test_a_class_is_defined_by_itself_by_its_synset_or_by_its_id(known):
    def entry(**given):
        return ClassNames(name="a", names=["a"], **given)

    listed = {
        "own": entry(definition="what I say", synset="bell.n.01"),
        "n02824448": entry(),
        "none": entry(),
        "named": entry(synset="bell.n.01"),
    }
    found = glosses.definitions(listed, known)
    assert list(found) == ["own", "n02824448", "named"]
    assert found["own"] == "what I say"
    assert found["n02824448"] == found["named"] == known.definition("bell.n.01")
    with pytest.raises(ValueError, match=r"class 'bad': synset 'bel\.n\.01'"):
        glosses.definitions({"bad": entry(synset="bel.n.01")}, known)


def test_wordnet_is_found_below_nltks_data_folder_and_in_its_zip(folder, known, tmp_path):
    root = folder.parents[1]
    zipped = tmp_path / "corpora" / "wordnet.zip"
    zipped.parent.mkdir()
    with zipfile.ZipFile(zipped, "w") as archive:
        for name in NOUNS:
            archive.write(folder / name, f"wordnet/{name}")
    for path in (folder, root, zipped, tmp_path):
        assert glosses.read(path) == known
        assert lemmas.read(path) == lemmas.read(PACKAGE)
    assert wordnet.fingerprint(folder, NOUNS) == wordnet.fingerprint(root, NOUNS)
    assert wordnet.fingerprint(tmp_path, NOUNS) == wordnet.fingerprint(zipped, NOUNS)


def test_the_version_is_that_of_the_files():
    index = wordnet.read(PACKAGE, ("index.noun",))["index.noun"]
    assert wordnet.version(index) == "3.0"
    assert wordnet.version(b"  1 WordNet 2.1 Copyright 2005 by Princeton University.\n") == "2.1"
    assert wordnet.version(b"cat n 1 0 1 0 00000001\n") == "unknown"


def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="run the stage fetch, or set"):
        glosses.read(tmp_path / "none.tgz")
    with pytest.raises(FileNotFoundError, match=r"index\.noun: not found; is it a WordNet folder"):
        glosses.read(tmp_path)
    (tmp_path / "index.noun").write_text("")
    with pytest.raises(FileNotFoundError, match=r"data\.noun: not found"):
        glosses.read(tmp_path)
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        archive.writestr("wordnet/index.noun", "")
    with pytest.raises(ValueError, match=r"w\.zip: no data\.noun in it"):
        glosses.read(tmp_path / "w.zip")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz"):
        pass
    (tmp_path / "w.tgz").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match=r"w\.tgz: no WNdb-3\.0\.tar\.gz in it"):
        glosses.read(tmp_path / "w.tgz")
