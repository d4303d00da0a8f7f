"""catalogue: real icons get their parts, the same on every run, and nothing vanishes."""

import csv
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from stages import catalogue as stage
from stages.artifacts import catalogue
from stages.artifacts.layout import RAW_ICONS
from stages.icons import package, sets, table
from stages.icons.package import Icon
from stages.parameters import section
from stages.parameters.icons import Icons

ROOT = Path(__file__).parents[1]
FIXTURE = ROOT / "tests/fixtures/icons.tgz"
TEST_SETS = {"val", "v2", "sketch", "r", "a", "objectnet"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The catalogue of the fixture, made twice in two places; the first is returned."""
    made = []
    for run in ("first", "second"):
        place = tmp_path_factory.mktemp(run)
        (place / "data/raw").mkdir(parents=True)
        (place / "data/raw/icons.tgz").symlink_to(FIXTURE)
        (place / "data/icons").symlink_to(ROOT / "data/icons")
        (place / "data/classes").symlink_to(ROOT / "data/classes")
        (place / "params.yaml").symlink_to(ROOT / "presets/tiny.yaml")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(place)
            stage.main()
        made.append(place)
    first, second = (
        {p.name: p.read_bytes() for p in (m / "data/catalogue").iterdir()} for m in made
    )
    assert first == second
    return made[0] / "data/catalogue"


def test_every_part_is_cast_and_no_test_image_is_in_the_pool(folder):
    roles = {
        path.stem: catalogue.read(path)
        for path in folder.glob("*.parquet")
        if path.stem != "left_out"
    }
    assert roles.keys() == {"pool", "reference", *TEST_SETS}
    identities = {
        role: set(zip(table["prefix"].to_pylist(), table["name"].to_pylist(), strict=True))
        for role, table in roles.items()
    }
    everyone = Counter(i for members in identities.values() for i in members)
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
            table = catalogue.read(path)
            accounted |= set(
                zip(table["prefix"].to_pylist(), table["name"].to_pylist(), strict=True)
            )
    described = package.collections(FIXTURE)
    for prefix, icons in package.icons(FIXTURE, set(described) - whole_sets):
        missing = {icon.name for icon in icons} - {name for p, name in accounted if p == prefix}
        # a pool of a chosen size is a sample; this preset takes all
        assert not missing, prefix


def test_the_attribution_names_every_set_that_is_used(folder):
    with (folder / catalogue.ATTRIBUTION).open() as stream:
        credited = {row["prefix"]: row for row in csv.DictReader(stream)}
    used = Counter()
    for path in folder.glob("*.parquet"):
        if path.name != catalogue.LEFT_OUT:
            used.update(catalogue.read(path)["prefix"].to_pylist())
    assert {prefix: int(row["icons"]) for prefix, row in credited.items()} == dict(used)
    assert all(row["author"] and row["licence"] for row in credited.values())


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
    parameters = section("icons", Icons, ROOT / "presets/tiny.yaml")
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
