"""Files below a folder of this machine, for every source that lists one."""

import io
from pathlib import Path

import pytest
from PIL import Image

from clipcause.captions.classes import ClassNames
from clipcause.config.datasets import Limits
from clipcause.data import place, tree
from clipcause.data.dataset import Sample
from clipcause.data.sources.imagefolder import ImageFolder, read_imagefolder

JPEG = io.BytesIO()
Image.new("RGB", (40, 30), "red").save(JPEG, "JPEG")
CLASSES = {name: ClassNames(name=name, names=[name]) for name in ("bell", "car")}


def put(path: Path, content: bytes = b"x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder with one of its own and one that lies elsewhere, and two ways round in a circle."""
    put(tmp_path / "pool/bell/0.jpg", JPEG.getvalue())
    put(tmp_path / "disk/0.jpg", JPEG.getvalue())
    (tmp_path / "pool/car").symlink_to(tmp_path / "disk")
    (tmp_path / "disk/back").symlink_to(tmp_path / "pool")
    (tmp_path / "disk/self").symlink_to(tmp_path / "disk")
    return tmp_path / "pool"


def test_links_to_folders_are_followed_and_circles_end(linked: Path):
    found = {one.name.as_posix(): one.why for one in tree.files(linked)}
    assert found == {
        "bell/0.jpg": "",
        "car/0.jpg": "",
        "car/back": tree.CIRCLE,
        "car/self": tree.CIRCLE,
    }


def test_a_listing_in_place_follows_them_too(linked: Path):
    listed = place.listing(str(linked))
    assert list(listed) == ["bell/0.jpg", "car/0.jpg"]
    assert {one.bytes for one in listed.values()} == {len(JPEG.getvalue())}


def test_what_tools_leave_among_class_folders_is_no_class_and_no_damage(tmp_path: Path):
    for name in ("bell/0.jpg", "car/0.jpg"):
        put(tmp_path / name, JPEG.getvalue())
    for name in (".ipynb_checkpoints/0.jpg", "__MACOSX/._0.jpg", "bell/.DS_Store", ".DS_Store"):
        put(tmp_path / name)
    found = list(
        read_imagefolder(tmp_path, CLASSES, ImageFolder(source="imagefolder", raw="x"), Limits())
    )
    assert [one.key for one in found if isinstance(one, Sample)] == ["bell/0", "car/0"]
    drops = [one for one in found if not isinstance(one, Sample)]
    assert len(drops) == 4
    assert {(one.reason, one.counted) for one in drops} == {(tree.TOOL, False)}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jpg", b"", True),
        ("a.HEIC", b"", True),
        ("a.txt", JPEG.getvalue(), False),
        ("a", JPEG.getvalue(), True),
        ("a", b"RIFF\0\0\0\0WEBPVP8 ", True),
        ("a", b"RIFF\0\0\0\0WAVEfmt ", False),
        ("a", b"\0\0\0\x18ftypheic", True),
        ("a", b"\0\0\0\x18ftypisom", False),
        ("a", b"", False),
    ],
)
def test_what_claims_to_be_a_picture(tmp_path: Path, name: str, content: bytes, said: bool):
    put(tmp_path / name, content)
    assert tree.is_picture(tmp_path / name) is said
