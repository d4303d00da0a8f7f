"""The class list of ImageNet and ObjectNet is what its command makes of timm and open_clip."""

import importlib.util
import tempfile
from collections import Counter
from importlib import resources
from pathlib import Path

import open_clip
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcause.captions import classes, synonyms

SYNSETS = "imagenet_synset_to_lemma.txt"
FOLDER = Path(__file__).parents[1] / "data/classes"


@pytest.fixture(scope="module")
def known():
    return classes.read(FOLDER / "imagenet.yaml")


def test_the_file_is_what_the_command_makes():
    spec = importlib.util.spec_from_file_location("make_imagenet", FOLDER / "make_imagenet.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.content() == (FOLDER / "imagenet.yaml").read_text("utf-8")


def test_imagenet_has_open_clips_names_in_the_order_of_the_indices(known):
    own = classes.own(known)
    assert len(own) == 1000
    assert list(own) == sorted(own)  # the indices of ImageNet are those of the sorted wnids
    assert [entry.name for entry in own.values()] == list(open_clip.IMAGENET_CLASSNAMES)
    assert own["n02124075"].names == ["Egyptian Mau", "Egyptian cat"]


def test_names_that_two_classes_have(known):
    twice = [
        name for name, n in Counter(e.name for e in classes.own(known).values()).items() if n > 1
    ]
    assert sorted(twice) == ["missile", "sunglasses"]
    assert (known["n03773504"].names, known["n03773504"].shared) == (["missile"], [])
    assert (known["n04008634"].names, known["n04008634"].shared) == (["projectile"], ["missile"])
    assert known["n02012849"].shared == known["n03126707"].shared == ["crane"]


def test_objectnet_has_classes_of_its_own_that_cover_imagenets(known):
    of_objectnet = {key: entry for key, entry in known.items() if entry.test_set == "objectnet"}
    assert len(of_objectnet) == 113
    assert len(known) == 1113
    clock = of_objectnet["objectnet-alarm_clock"]
    assert (clock.name, clock.covers) == ("alarm clock", ["n02708093", "n03196217"])
    assert [known[wnid].name for wnid in clock.covers] == ["analog clock", "digital clock"]
    covered = Counter(wnid for entry in of_objectnet.values() for wnid in entry.covers)
    assert len(covered) == 125
    assert set(covered.values()) == {1}
    assert covered.keys() <= classes.own(known).keys()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {name: a, names: [a]}\nb: {name: b, names: [b], covers: [c]}", "b: covers 'c'"),
        ("a: {name: a, names: [a], shared: [a]}", "'a' is in names and in shared"),
        (
            "a: {name: a, names: [a], test_set: t}\nb: {name: a, names: [b], test_set: t}",
            "a and b are both named 'a'",
        ),
    ],
)
def test_lists_that_say_two_things(tmp_path, text, message):
    path = tmp_path / "list.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        classes.read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: {name: a, names: [a]}\nb: {name: b, names: [b]}\na: {name: c, names: [c]}",
            "'a' comes",
        ),
        ("a: {name: a, names: [a], names: [b]}", "'names' comes twice"),
        ("a: {name: a, names: [a]}\nb: {name: b, names: [a]}", "'a' is a name of a and of b"),
        ("7: {name: a, names: [a]}", "class id 7 is not text; quote it"),
        ("a: {name: a, names: []}", "at least one entry in names"),
        ("a: {name: a, names: [a], synset: cup}", r"synset 'cup' is no name such as cup\.n\.01"),
        ("a: {name: a, names: [a], definition: ' '}", "the definition is empty"),
        ("a: {name: a, names: [a], synonyms: [b]}", "unknown parameter"),
    ],
)
def test_lists_that_are_wrong(tmp_path, text, message):
    path = tmp_path / "list.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        classes.read(path)


LINES = """\
n02012849 crane
n03126707\tcrane
n02963159 cardigan
n02113186 Cardigan, Cardigan_Welsh corgi,  Cardigan

n04008634 projectile, missile
n03773504 missile
dog.n.01 dog, domestic dog, Canis familiaris
no no, yes, on
"""


def test_synonym_lists_become_class_lists(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "LOC_synset_mapping.txt"
    source.write_text(LINES, "utf-8-sig")
    said = synonyms.main(str(source), "loc")
    assert said == "data/classes/loc.yaml, 8 classes, 3 of which share a name with another"
    known = classes.read(Path("data/classes/loc.yaml"))
    assert known == synonyms.read(source)
    facts = {key: (entry.name, entry.names, entry.shared) for key, entry in known.items()}
    assert facts == {
        "n02012849": ("crane", [], ["crane"]),
        "n03126707": ("crane", [], ["crane"]),
        "n02963159": ("cardigan", ["cardigan"], []),
        "n02113186": ("Cardigan", ["Cardigan", "Cardigan Welsh corgi"], []),
        "n04008634": ("projectile", ["projectile"], ["missile"]),
        "n03773504": ("missile", ["missile"], []),
        "dog.n.01": ("dog", ["dog", "domestic dog", "Canis familiaris"], []),
        "no": ("no", ["no", "yes", "on"], []),
    }
    assert known["dog.n.01"].synset == "dog.n.01"
    with pytest.raises(ValueError, match=r"loc\.yaml: exists already"):
        synonyms.main(str(source), "loc")


def test_a_published_synonym_list_is_read_whole(known):
    """timm's list of WordNet's synsets: ImageNet's have the lemmas that our own list has."""
    found = synonyms.read(Path(str(resources.files("timm"))) / "data/_info" / SYNSETS)
    of_imagenet = set(classes.own(known))
    assert len(found) == 21844
    assert of_imagenet < found.keys()
    for key in of_imagenet:
        lemmas = {*found[key].names, *found[key].shared}
        assert lemmas <= {*known[key].names, *known[key].shared}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"n1 dog\nn2\n", "line 2: 'n2' is not an id and names"),
        (b"n1 dog\nn2 ,\n", "line 2: 'n2 ,' is not an id and names"),
        (b"n1 dog\nn2 cat\nn1 fox\n", "line 3: the class 'n1' comes twice"),
        (b"\n", "no line with an id and names"),
        (b"n1 caf\xe9\n", "not UTF-8"),
    ],
)
def test_synonym_lists_that_are_wrong(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "list.txt"
    source.write_bytes(text)
    with pytest.raises(ValueError, match=message):
        synonyms.main(str(source), "loc")
    assert not Path("data").exists() or not list(Path("data/classes").iterdir())


@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9.]{1,6}", fullmatch=True),
        st.lists(st.sampled_from(["dog", "Dog", "a cat", "fox's", "07", "on"]), min_size=1),
        min_size=1,
        max_size=6,
    )
)
def test_every_synonym_list_is_a_class_list(entries):
    lines = [f"{key} {', '.join(names)}" for key, names in entries.items()]
    known = synonyms.parse(lines, "list")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "list.yaml")
        path.write_text(synonyms.content(known, "list.txt"))
        assert classes.read(path) == known
    for key, names in entries.items():
        assert {*known[key].names, *known[key].shared} == set(names)
