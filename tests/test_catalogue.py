"""catalogue: real icons get their parts, the same on every run, and nothing vanishes."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from clipcause.captions import classes, glosses
from clipcause.config import parse, read, section
from clipcause.config.icons import Icons
from clipcause.config.layout import RAW_ICONS
from clipcause.icons import catalogue, further, package, sets, table
from clipcause.icons.deal import of_classes
from clipcause.icons.package import Icon
from stages import catalogue as stage

ROOT = Path(__file__).parents[1]
FIXTURE = ROOT / "tests/fixtures/icons.tgz"
TEST_SETS = {"val", "v2", "sketch", "r", "a", "objectnet"}


def made(place: Path, parameters: dict[str, Any]) -> Path:
    """The catalogue of the fixture in ``place``, by the section ``parameters``."""
    (place / "data/raw").mkdir(parents=True)
    (place / "data/raw/icons.tgz").symlink_to(FIXTURE)
    (place / "data/icons").symlink_to(ROOT / "data/icons")
    (place / "data/classes").symlink_to(ROOT / "data/classes")
    content = read(ROOT / "studies/tiny/params.yaml") | {"icons": parameters}
    (place / "params.yaml").write_text(yaml.safe_dump(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        stage.main()
    return place / "data/catalogue"


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def identities(table: pa.Table) -> set[tuple[str, str]]:
    return set(zip(table["prefix"].to_pylist(), table["name"].to_pylist(), strict=True))


TINY = read(ROOT / "studies/tiny/params.yaml")["icons"]
# a pool of all that the other parts leave
SIMILARITY = TINY | {"pool_size": 0, "pool_labelled": 0, "pool_with_class_word": 0}
LONG_TAIL: dict[str, Any] = {
    **{key: SIMILARITY[key] for key in ("licences", "leave_out_categories", "sets", "salt")},
    "cast": "long-tail",
    "classes": "data/classes/icons-imbalance.yaml",
    "test_images_per_class": 2,
    "least_families": 5,
    "reference_images_per_class": 3,
    "pool_with_class_word": 40,
    "pool_unrelated": 30,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The catalogue of the similarity study, made twice in two places; the first is returned."""
    first, second = (made(tmp_path_factory.mktemp(run), SIMILARITY) for run in ("one", "two"))
    assert bytes_of(first) == bytes_of(second)
    return first


@pytest.fixture(scope="module")
def long_tail(tmp_path_factory):
    """The catalogue of the imbalance study."""
    return made(tmp_path_factory.mktemp("tail"), LONG_TAIL)


def test_every_part_is_cast_and_no_test_image_is_in_the_pool(folder):
    roles = {
        path.stem: catalogue.read(path)
        for path in folder.glob("*.parquet")
        if path.stem != "left_out"
    }
    assert roles.keys() == {"pool", "reference", *TEST_SETS, *further.ROLES}
    broad = identities(roles.pop(further.BROAD))
    assert broad == identities(roles["reference"]), "this study's pool leaves nothing"
    everyone = Counter(i for table in roles.values() for i in identities(table))
    assert everyone.most_common(1)[0][1] == 1, "an icon plays one part"
    for role in TEST_SETS | {"reference"}:
        assert None not in roles[role]["label"].to_pylist()
        assert len(roles[role]) > 0


def test_every_icon_is_in_a_part_or_in_the_ledger(folder):
    ledger = pq.read_table(folder / catalogue.LEFT_OUT).to_pylist()
    whole_sets = {entry["prefix"] for entry in ledger if entry["name"] == "*"}
    accounted = {(entry["prefix"], entry["name"]) for entry in ledger}
    for path in folder.glob("*.parquet"):
        if path.name != catalogue.LEFT_OUT:
            accounted |= identities(catalogue.read(path))
    described = package.collections(FIXTURE)
    for prefix, icons in package.icons(FIXTURE, set(described) - whole_sets):
        missing = {icon.name for icon in icons} - {name for p, name in accounted if p == prefix}
        # a pool of a chosen size is a sample; this study takes all
        assert not missing, prefix


def test_the_attribution_names_every_set_that_is_used(folder):
    with (folder / catalogue.ATTRIBUTION).open() as stream:
        credited = {row["prefix"]: row for row in csv.DictReader(stream)}
    everyone = set()
    for path in folder.glob("*.parquet"):
        if path.name != catalogue.LEFT_OUT:
            everyone |= identities(catalogue.read(path))
    used = Counter(prefix for prefix, _ in everyone)
    assert {prefix: int(row["icons"]) for prefix, row in credited.items()} == dict(used)
    assert all(row["author"] and row["licence"] for row in credited.values())


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    """The similarity study with a pool that leaves icons over."""
    few = SIMILARITY | {"pool_size": 300, "pool_labelled": 100, "pool_with_class_word": 100}
    few |= {"retrieval_images": 40, "domain_images": 25}
    return made(tmp_path_factory.mktemp("sampled"), few)


def test_what_is_left_makes_four_more_files_and_changes_no_other(folder, sampled):
    parts = {p.stem: catalogue.read(p) for p in sampled.glob("*.parquet") if p.stem != "left_out"}
    for role in (*TEST_SETS, "reference"):
        assert (sampled / f"{role}.parquet").read_bytes() == (
            folder / f"{role}.parquet"
        ).read_bytes()
    assert len(parts["pool"]) == 300
    broad = parts.pop(further.BROAD)
    bold = identities(broad) - identities(parts["reference"])
    everyone = Counter(i for table in parts.values() for i in identities(table)) + Counter(bold)
    assert everyone.most_common(1)[0][1] == 1, "an icon plays one part"
    assert identities(broad) > identities(parts["reference"])
    styles = {row["style"] for row in broad.to_pylist() if (row["prefix"], row["name"]) in bold}
    assert styles == {further.BOLD}
    assert set(broad["label"].to_pylist()) <= set(parts["reference"]["label"].to_pylist())

    captions = parts[further.RETRIEVAL]["caption"].to_pylist()
    assert len(captions) == len(set(captions)) == 40
    assert all(" " in caption for caption in captions)
    known = sets.read_sets(ROOT / "data/icons/sets.yaml").renditions
    for row in parts[further.GLYPHS].to_pylist():
        assert (row["style"], row["label"], row["prefix"] in known) == ("solid", None, False)
    for row in parts[further.RENDITIONS].to_pylist():
        assert row["label"] is None
        assert row["style"] == "colour" or row["prefix"] in known
    assert len(parts[further.GLYPHS]) == len(parts[further.RENDITIONS]) == 25
    numbers = json.loads((sampled.parents[1] / "metrics/catalogue.json").read_text())
    assert numbers["roles"] == {name: len(t) for name, t in {**parts, "broad": broad}.items()}


def test_sets_without_a_usable_licence_are_left_out_with_the_reason():
    def described(prefix: str, licence: str, category: str = "") -> package.Collection:
        return package.Collection(prefix, prefix, "", "", licence, "", category, ())

    collections = {
        "good": described("good", "MIT"),
        "bad": described("bad", "CC-BY-NC-4.0"),
        "none": described("none", ""),
        "logos": described("logos", "MIT", "Logos"),
        "flag": described("flag", "MIT"),
    }
    parameters = section("icons", Icons, ROOT / "studies/tiny/params.yaml")
    described_sets = sets.Sets({"flag": "flags"}, frozenset(), {})
    kept, left_out = table.usable_sets(collections, parameters, described_sets)
    assert set(kept) == {"good"}
    assert {entry.prefix: (entry.reason, entry.detail) for entry in left_out} == {
        "bad": ("licence", "CC-BY-NC-4.0"),
        "none": ("licence", "none named"),
        "logos": ("category", "Logos"),
        "flag": ("set left out", "flags"),
    }


def test_one_icon_per_drawing_and_rendition():
    names = ["cup-16-filled", "cup-24-filled", "cup-24-regular", "fist", "fist-dark-skin-tone"]
    kept, left_out = table.distinct([Icon("set", name, "") for name in names])
    assert [icon.name for icon, _ in kept] == ["cup-16-filled", "cup-24-regular", "fist"]
    assert [(entry.name, entry.reason) for entry in left_out] == [
        ("cup-24-filled", "same drawing"),
        ("fist-dark-skin-tone", "skin tone"),
    ]


@pytest.mark.parametrize(
    "moving",
    [
        '<path d="M0 0"><animate attributeName="d" values="a;b"/></path>',
        '<g><animateTransform attributeName="transform" type="rotate"/></g>',
        '<path opacity="0"><set fill="freeze" to="1"/></path>',
        "<style>@keyframes turn { to { opacity: 1 } }</style>",
        '<path style="animation: turn 1s"/>',
    ],
)
def test_an_animated_icon_makes_room_for_a_still_one(moving):
    still = Icon("set", "cup-24", '<svg><path class="settings animated"/></svg>')
    kept, left_out = table.distinct([Icon("set", "cup", f"<svg>{moving}</svg>"), still])
    assert [icon for icon, _ in kept] == [still]
    assert [(entry.name, entry.reason) for entry in left_out] == [("cup", "animated")]


def test_a_set_in_two_families_is_an_error(tmp_path):
    path = tmp_path / "sets.yaml"
    path.write_text("leave_out: {}\nrenditions: {}\nfamilies: {a: [x], b: [x]}\n")
    with pytest.raises(ValueError, match="x stands in a and b"):
        sets.read_sets(path)


def test_the_sets_that_the_data_file_names_exist():
    """A typing error in the families would quietly make a set its own family."""
    known = sets.read_sets(ROOT / "data/icons/sets.yaml")
    assert "fa7-solid" in known.family
    assert known.renditions >= {"noto", "pixelarticons"}


def test_a_file_that_is_no_package(tmp_path):
    path = tmp_path / "x.tgz"
    path.write_bytes(b"no tarball")
    with pytest.raises(ValueError, match=r"x\.tgz: not a readable tarball"):
        package.collections(path)


def test_a_study_without_icons_has_an_empty_catalogue(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RAW_ICONS.parent.mkdir(parents=True)
    RAW_ICONS.touch()
    assert stage.main() == "no icons were fetched: the catalogue is empty"
    assert {path.name for path in catalogue.FOLDER.iterdir()} == {
        catalogue.ATTRIBUTION, catalogue.LEFT_OUT,
    }  # fmt: skip


def test_the_long_tail_has_a_balanced_test_and_keeps_the_natural_counts(long_tail):
    parts = {p.stem: catalogue.read(p) for p in long_tail.glob("*.parquet") if p.stem != "left_out"}
    assert parts.keys() == {"pool", "reference", "balanced", *further.ROLES}
    assert identities(parts.pop(further.BROAD)) >= identities(parts["reference"])
    everyone = Counter(i for table in parts.values() for i in identities(table))
    assert everyone.most_common(1)[0][1] == 1, "an icon plays one part"
    tested = Counter(parts["balanced"]["label"].to_pylist())
    assert set(tested.values()) == {2}
    assert None not in parts["reference"]["label"].to_pylist()
    pool = Counter(parts["pool"]["label"].to_pylist())
    assert pool.pop(None) == LONG_TAIL["pool_with_class_word"] + LONG_TAIL["pool_unrelated"]
    assert pool.keys() == tested.keys() == set(parts["reference"]["label"].to_pylist())
    assert max(pool.values()) > 4 * min(pool.values())
    # of a class, the families of the test are in no other part
    known = sets.read_sets(ROOT / "data/icons/sets.yaml")
    shown = {
        role: {
            (label, known.family.get(prefix, prefix))
            for label, prefix in zip(
                table["label"].to_pylist(), table["prefix"].to_pylist(), strict=True
            )
        }
        for role, table in parts.items()
    }
    assert not shown["balanced"] & (shown["pool"] | shown["reference"])


def test_classes_that_few_families_draw_are_counted_and_without_label(long_tail):
    numbers = json.loads((long_tail.parents[1] / "metrics/catalogue.json").read_text())
    pool = Counter(catalogue.read(long_tail / "pool.parquet")["label"].drop_null().to_pylist())
    assert numbers["labelled"]["classes"] == len(pool)
    assert numbers["labelled"]["images"] == pool.total()
    assert (numbers["labelled"]["most"], numbers["labelled"]["least"]) == (
        max(pool.values()),
        min(pool.values()),
    )
    assert numbers["classes_with_too_few_families"] > 0
    ledger = pq.read_table(long_tail / catalogue.LEFT_OUT)["reason"].to_pylist()
    assert numbers["left_out"]["relative_of_a_test_image"] == ledger.count(
        "relative of a test image"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"least_families": None}, "icons: cast long-tail needs least_families"),
        ({"least_families": 3}, r"least_families is 3, .* at least 4"),
        ({"pool_size": 0}, "cast long-tail has no pool_size, which cast similarity has; leave out"),
        ({"cast": "longtail"}, "'longtail' is not valid; did you mean 'long-tail'"),
        ({"cast": None}, "cast similarity needs reference_families, adversarial"),
    ],
)
def test_each_casting_has_its_own_parameters(changes, message):
    values = {key: value for key, value in (LONG_TAIL | changes).items() if value is not None}
    with pytest.raises(ValueError, match=message):
        parse(values, Icons, "icons")


def test_a_subset_of_the_balanced_test_is_a_test_of_its_own():
    rows = [{"label": "cat", "name": "a"}, {"label": "dog", "name": "b"}]
    assert of_classes(rows, ["dog"]) == rows[1:]
    with pytest.raises(ValueError, match=r"icons\.subset: unknown class 'cta'; did you mean 'cat'"):
        of_classes(rows, ["dog", "cta"])
    with pytest.raises(ValueError, match="subset belongs to cast long-tail"):
        parse({**SIMILARITY, "subset": ["cat"]}, Icons, "icons")


def test_the_classes_of_the_imbalance_study_have_a_synset_each():
    found = classes.read(ROOT / "data/classes/icons-imbalance.yaml")
    synsets = [entry.synset for entry in found.values()]
    assert None not in synsets
    assert len(set(synsets)) == len(found) > 200
    assert {key.replace("_", " ") for key in found} == {entry.name for entry in found.values()}


@pytest.mark.parametrize(
    ("name", "fragment"),
    [
        ("ghost", "visible disembodied soul"),
        ("key", "metal device shaped in such a way"),
        ("bell", "hollow device made of metal"),
    ],
)
def test_a_synset_means_what_is_drawn(name, fragment):
    synset = classes.read(ROOT / "data/classes/icons-imbalance.yaml")[name].synset
    assert synset is not None
    assert fragment in glosses.read(ROOT / "tests/fixtures/wordnet.tgz").definition(synset)
