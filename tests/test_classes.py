"""The class list of ImageNet and ObjectNet is what its command makes of timm and open_clip."""

import importlib.util
from collections import Counter
from pathlib import Path

import open_clip
import pytest

from stages.artifacts import classes

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
