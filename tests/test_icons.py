"""The icon world: names, pixels, parts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcause.captions.classes import ClassNames
from clipcause.icons import hard, longtail, names, raster, roles, style
from clipcause.icons.distort import distort
from clipcause.icons.labels import Labels
from clipcause.icons.longtail import LongTail
from clipcause.icons.roles import Candidate, Casting


def svg(body: str) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" color="#000">{body}</svg>'


SQUARE = svg('<path fill="currentColor" d="M4 4h16v16H4z"/>')
LINE = svg('<path fill="none" stroke="currentColor" stroke-width="1.5" d="M4 4h16v16H4z"/>')


@pytest.mark.parametrize(
    ("name", "words", "rendition"),
    [
        ("coffee-cup-hot-24-filled", ("coffee", "cup", "hot"), "filled"),
        ("arrow-left-from-line", ("arrow", "left", "from"), "line"),
        ("outline-developer-mode", ("developer", "mode"), "line"),
        ("course-down-bold-duotone", ("course", "down"), "duotone"),
        ("bxs-alarm", ("alarm",), "plain"),
        ("outline", ("outline",), "plain"),
        ("3d-stairs", ("3d", "stairs"), "plain"),
        ("rose-2", ("rose",), "plain"),
        ("Delivery_Truck", ("delivery", "truck"), "plain"),
    ],
)
def test_names_are_split_into_drawing_and_rendition(name, words, rendition):
    assert names.parse(name) == (words, rendition)


def test_skin_tones_are_variants_and_weather_is_not():
    tones = {f"fist-{tone}" for tone in ("light", "medium-light", "medium", "medium-dark", "dark")}
    assert names.is_skin_tone("fist-dark", {"fist", *tones})
    assert names.is_skin_tone("man-surfing-medium-skin-tone", set())
    assert not names.is_skin_tone("mode-dark", {"mode", "mode-light", "mode-dark"})


def test_a_name_of_two_classes_is_an_error():
    assert names.label_index({"a": ["x"], "b": ["y"]}) == {"x": "a", "y": "b"}
    with pytest.raises(ValueError, match="'x' stands in 'a' and 'b'"):
        names.label_index({"a": ["x"], "b": ["x"]})


def test_rasterising_a_known_square():
    pixels = raster.rasterise(SQUARE, 48)
    assert pixels.shape == (48, 48, 4)
    assert pixels[8:40, 8:40, 3].min() == 255
    assert pixels[:8, :, 3].max() == 0
    assert raster.on_white(pixels)[24, 24].tolist() == [0, 0, 0]
    assert raster.on_white(pixels)[0, 0].tolist() == [255, 255, 255]


def test_an_icon_that_is_not_square_is_centred():
    wide = svg('<path d="M0 0h20v10H0z"/>').replace("0 0 24 24", "0 0 20 10")
    alpha = raster.rasterise(wide, 40)[..., 3]
    assert alpha[10:30].min() == 255
    assert alpha[:10].max() == alpha[30:].max() == 0


def test_broken_and_empty_icons_say_so():
    with pytest.raises(raster.BrokenIconError, match="cannot be drawn"):
        raster.rasterise("<svg", 32)
    with pytest.raises(raster.BrokenIconError, match="draws nothing"):
        raster.rasterise(svg('<path opacity="0" d="M4 4h16v16H4z"/>'), 32)


def test_half_transparent_ink_is_rounded_on_white():
    rgba = np.array([[[0, 0, 0, 128]]], dtype=np.uint8)
    assert raster.on_white(rgba)[0, 0].tolist() == [127, 127, 127]  # 255 * 127 / 255


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (SQUARE, "solid"),
        (LINE, "line"),
        (SQUARE.replace("currentColor", "#e33"), "colour"),
        (SQUARE.replace("currentColor", "#999"), "duotone"),
        (LINE.replace("1.5", "4"), "between"),
    ],
)
def test_styles_of_drawings_that_are_plain_to_see(source, expected):
    assert style.classify(raster.rasterise(source, 64)) == expected


def test_the_half_width_of_a_square_is_half_its_side():
    half_width, coloured, grey = style.measure(raster.rasterise(SQUARE, 96))
    assert half_width == pytest.approx(16 / 24 / 2, abs=1 / 96)
    assert (coloured, grey) == (0.0, 0.0)


def test_distortion_depends_on_identity_and_strength_alone():
    once, again = distort(SQUARE, 0.5, "set", "name"), distort(SQUARE, 0.5, "set", "name")
    assert once == again
    assert distort(SQUARE, 0.5, "set", "other") != once
    plain, posed = (raster.rasterise(distort(SQUARE, s, "set", "name"), 64) for s in (0.0, 1.0))
    assert (plain[..., 3] == 255).all(), "the ground covers the picture"
    dark = [(raster.on_white(image).max(axis=-1) < 160).sum() for image in (plain, posed)]
    assert dark[1] < dark[0], "a distorted glyph is smaller"


def test_neighbours_vote_by_hand():
    base = np.array([[0], [1], [2], [10], [11], [12]], dtype=np.uint8)
    labels = np.array([0, 0, 0, 1, 1, 1])
    query = np.array([[1], [11], [1]], dtype=np.uint8)
    wrong = hard.misclassified(query, np.array([0, 1, 1]), base, labels)
    assert wrong.tolist() == [False, False, True]


def test_tied_votes_go_to_the_class_with_the_nearest_neighbour():
    base = np.array([[1], [2], [3], [4], [9]], dtype=np.uint8)
    labels = np.array([1, 0, 0, 1, 2])  # two votes each for 0 and 1; the nearest is of class 1
    assert hard.misclassified(np.array([[0]], np.uint8), np.array([1]), base, labels).tolist() == [
        False
    ]


def test_thumbnails_are_means_of_boxes():
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    image[:2, :2] = 200
    small = hard.thumbnail(image)
    assert small[0] == 200
    assert small[1:].max() == 0
    with pytest.raises(ValueError, match="do not divide"):
        hard.thumbnail(np.zeros((20, 20, 3), np.uint8))


CASTING = Casting("salt", 0.5, 1, 2, 0, 0, 0)
STYLES = st.sampled_from(["line", "between", "solid", "duotone", "colour"])


# (label, family, second word, style, rendition); made into candidates inside the tests
ICONS = st.lists(
    st.tuples(
        st.sampled_from(["cat", "dog", None]),
        st.sampled_from("abcdef"),
        st.sampled_from(["", "big"]),
        STYLES,
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
)


def world_of(icons) -> list[Candidate]:
    return [
        Candidate(
            prefix=family,
            name=f"icon{number}",
            family=family,
            words=(label or "thing", word),
            label=label,
            style=style_ if label else None,
            rendition=bool(label) and rendition,
        )
        for number, (label, family, word, style_, rendition) in enumerate(icons)
    ]


@given(ICONS, st.randoms())
def test_casting_depends_on_names_and_not_on_order(icons, random):
    world = world_of(icons)
    shuffled = list(world)
    random.shuffle(shuffled)
    assert roles.cast(world, CASTING, {"cat"}) == roles.cast(shuffled, CASTING, {"cat"})


@given(ICONS)
def test_every_icon_has_one_part_and_the_parts_are_what_they_say(icons):
    world = world_of(icons)
    part = roles.cast(world, CASTING, {"cat", "dog"})
    known = {c.identity: c for c in world}
    assert part.keys() == known.keys()
    for identity, role in part.items():
        icon = known[identity]
        if role in ("reference", "val", "v2", "objectnet", "a-candidate"):
            assert icon.style == "solid"
            assert not icon.rendition
        if role == "sketch":
            assert icon.style == "line"
        if role == "r":
            assert icon.rendition
        if role != "pool":
            assert icon.label is not None
    held_out = {known[i].concept for i, role in part.items() if role == "val"}
    reference = {known[i].concept for i, role in part.items() if role == "reference"}
    assert not held_out & reference, "near-copies of a Val image are not in the reference"
    learnt = {known[i].label for i, role in part.items() if role == "reference"}
    asked = {known[i].label for i, role in part.items() if role not in ("pool", "reference")}
    assert asked <= learnt, "the reference has every class that a test set asks for"
    inside = {known[i].family for i, role in part.items() if role in ("reference", "val")}
    outside = {known[i].family for i, role in part.items() if role in ("v2", "objectnet")}
    assert not inside & outside


def test_a_second_drawing_of_a_val_images_concept_is_not_in_the_reference():
    everyone_inside = Casting("s", 1.0, 1, 1, 0, 0, 0)
    world = [
        Candidate("a", f"{word}-{number}", "a", ("cat", word), "cat", "solid")
        for word in ("small", "big")
        for number in range(2)
    ]
    part = roles.cast(world, everyone_inside, set())
    ((val, _),) = (name.split("-") for (_, name), role in part.items() if role == "val")
    reference = {name for (_, name), role in part.items() if role == "reference"}
    other = {"small": "big", "big": "small"}[val]
    assert reference == {f"{other}-0", f"{other}-1"}
    assert sorted(part.values()) == ["pool", "reference", "reference", "val"]


def test_a_pool_that_is_too_large_says_how_many_there_are():
    world = [Candidate("a", f"i{n}", "a", ("x",)) for n in range(5)]
    assert len(roles.cast(world, Casting("s", 0.5, 1, 1, 3, 0, 0), set())) == 3
    with pytest.raises(ValueError, match=r"10 icons, but only 5 are left.*icons\.pool_size"):
        roles.cast(world, Casting("s", 0.5, 1, 1, 10, 0, 0), set())


def test_the_pool_is_made_of_named_related_and_other_icons():
    world = [Candidate("a", f"n{n}", "a", ("cat",), "cat", "duotone") for n in range(9)]
    world += [Candidate("a", f"r{n}", "a", ("cat", "food")) for n in range(9)]
    world += [Candidate("a", f"o{n}", "a", ("arrow",)) for n in range(9)]
    part = roles.cast(world, Casting("s", 0.5, 1, 1, 12, 3, 4), {"cat"})
    kinds = [name[0] for _, name in part]
    assert {kind: kinds.count(kind) for kind in "nro"} == {"n": 3, "r": 4, "o": 5}
    with pytest.raises(ValueError, match="ask for 18 icons"):
        roles.cast(world, Casting("s", 0.5, 1, 1, 12, 9, 9), {"cat"})


def test_fractions_are_uniform_and_told_apart():
    numbers = [roles.fraction("salt", str(n)) for n in range(2000)]
    assert 0.45 < float(np.mean(numbers)) < 0.55
    assert roles.fraction("salt", "ab", "c") != roles.fraction("salt", "a", "bc")


CLASSES = {
    "cat": ClassNames(name="cat", names=["cat", "cat face"]),
    "drop": ClassNames(name="drop", names=["drop", "water drop"], negatives=["down"]),
}
LABELS = Labels.of(CLASSES, {"plus", "off", "down"})


@pytest.mark.parametrize(
    ("name", "label", "mentioned"),
    [
        ("cat", "cat", {"cat"}),
        ("cat plus", "cat", {"cat"}),
        ("cat face 2 off", "cat", {"cat"}),
        ("plus", None, set()),
        ("cat food", None, {"cat"}),
        ("house cat", None, {"cat"}),
        ("cat drop", None, {"cat", "drop"}),
        ("drop off", "drop", {"drop"}),
        ("drop down", None, set()),
        ("water", None, set()),
    ],
)
def test_labels_are_whole_names_and_mentions_are_words(name, label, mentioned):
    words = tuple(name.split())
    assert LABELS.label(words) == label
    assert LABELS.mentions(words) == mentioned


def test_without_badges_a_name_is_matched_exactly():
    strict = Labels.of(CLASSES)
    assert strict.label(("cat", "face")) == "cat"
    assert strict.label(("cat", "plus")) is None


TAIL = LongTail("salt", 2, 4, 3, 0, 0)
# (name, family): some are of a class, some mention one, some neither
NAMED = st.lists(
    st.tuples(
        st.sampled_from(["cat", "cat face", "cat plus", "drop", "cat food", "drop zone", "arrow"]),
        st.sampled_from("abcdefgh"),
    ),
    min_size=1,
    max_size=80,
)


def named_world(icons) -> list[Candidate]:
    return [
        Candidate(
            prefix=family,
            name=f"icon{number}",
            family=family,
            words=tuple(name.split()),
            label=LABELS.label(tuple(name.split())),
        )
        for number, (name, family) in enumerate(icons)
    ]


@given(NAMED, st.randoms())
def test_the_long_tail_depends_on_names_and_not_on_order(icons, random):
    world = named_world(icons)
    shuffled = list(world)
    random.shuffle(shuffled)
    assert longtail.cast(world, TAIL, LABELS) == longtail.cast(shuffled, TAIL, LABELS)


@given(NAMED)
def test_no_relative_of_a_test_image_is_in_another_part(icons):
    world = named_world(icons)
    deal = longtail.cast(world, TAIL, LABELS)
    known = {c.identity: c for c in world}
    parts = {
        role: [known[i] for i, given_ in deal.role.items() if given_ == role]
        for role in ("pool", "reference", "balanced")
    }
    families = {label: {c.family for c in world if c.label == label} for label in ("cat", "drop")}
    usable = {label for label, found in families.items() if len(found) >= TAIL.least_families}
    drawn = {label for label, found in families.items() if found}
    assert set(deal.too_few) == drawn - usable
    held = {(c.label, c.family) for c in parts["balanced"]}
    assert len(held) == len(parts["balanced"]) == TAIL.per_class * len(usable)
    for candidate in parts["pool"] + parts["reference"]:
        for label in LABELS.mentions(candidate.words):
            assert (label, candidate.family) not in held
    for label in usable:
        of_class = [c.identity for c in world if c.label == label]
        assert all((i in deal.role) != (i in deal.relatives) for i in of_class)
        reference = [c for c in parts["reference"] if c.label == label]
        pool = [c for c in parts["pool"] if c.label == label]
        fifth = (len(reference) + len(pool)) // 5
        different = len({c.family for c in reference + pool})
        assert len(reference) == min(TAIL.reference_per_class, max(1, fifth), different)
        assert len({c.family for c in reference}) == len(reference)
        assert pool


def test_families_that_draw_a_class_most_stay_in_the_pool():
    counts = {"a": 9, "b": 8, "c": 1, "d": 1, "e": 1}
    world = named_world([("cat", family) for family, count in counts.items() for _ in range(count)])
    deal = longtail.cast(world, TAIL, LABELS)
    tested = {prefix for (prefix, _), role in deal.role.items() if role == "balanced"}
    assert len(tested) == 2
    assert tested < {"c", "d", "e"}


def test_icons_that_mention_a_class_and_others_are_asked_for_by_number():
    icons = [("cat", family) for family in "abcdef"]
    icons += [("cat food", "z")] * 3 + [("arrow", "z")] * 4
    deal = longtail.cast(named_world(icons), replace(TAIL, pool_with_class_word=2), LABELS)
    assert sum(prefix == "z" for prefix, _ in deal.role) == 2
    with pytest.raises(ValueError, match=r"icons\.pool_unrelated asks for 5 icons, but only 4"):
        longtail.cast(named_world(icons), replace(TAIL, pool_unrelated=5), LABELS)
