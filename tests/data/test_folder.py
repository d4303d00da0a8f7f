"""The source `folder`: every picture is a row of its own, every other file a line of the ledger."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from clipcause.config.datasets import Limits
from clipcause.data import dataset, manifest
from clipcause.data.dataset import Drop, Sample
from clipcause.data.sources.folder import key, read_folder


def picture(path: Path, number: int = 0, kind: str | None = None, **settings) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = (37 * number % 200, 91 * number % 200, 53 * number % 200)
    Image.new("RGB", (40, 30), colour).save(path, kind, **settings)


def captioned(path: Path, number: int = 0, kind: str | None = None) -> None:
    picture(path, number, kind)
    path.with_suffix(".txt").write_text(f"a bell, number {number}")


def read(folder: Path) -> tuple[dict[str, Sample], dict[str, Drop]]:
    found = list(read_folder(folder, 16, Limits()))
    samples = {one.key: one for one in found if isinstance(one, Sample)}
    drops = {f"{one.shard}: {one.key}": one for one in found if isinstance(one, Drop)}
    assert len(samples) + len(drops) == len(found)
    return samples, drops


def test_dots_underscores_and_folders_make_different_keys(tmp_path: Path):
    names = ("22.05", "22_05", "a/b", "a_b", "v1.0/x", "v1_0/x", "cat_1/2", "cat/1_2", "x.tar.gz")
    names = (*names, "50%", "50%25", "Größe", "no break", "zwj‍")
    for number, name in enumerate(names):
        captioned(tmp_path / f"{name}.jpg", number)
    samples, drops = read(tmp_path)
    assert not drops
    assert {key(Path(name)) for name in names} == samples.keys()
    assert len(samples) == len(names)
    assert all("." not in one for one in samples)
    counts = dataset.write(
        tmp_path / "made",
        read_folder(tmp_path, 16, Limits()),
        shard_size=100,
        max_drop_fraction=0.0,
    )
    assert counts.samples == len(names)


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        *(("jpg", "JPEG"), ("JPG", "JPEG"), ("jpeg", "JPEG"), ("jfif", "JPEG"), ("jpe", "JPEG")),
        *(("png", "PNG"), ("webp", "WEBP"), ("tif", "TIFF"), ("TIFF", "TIFF"), ("bmp", "BMP")),
        *(("gif", "GIF"), ("avif", "AVIF")),
    ],
)
def test_what_pillow_can_read_is_read(tmp_path: Path, end: str, kind: str):
    captioned(tmp_path / f"photo.{end}", 3, kind)
    samples, drops = read(tmp_path)
    assert samples["photo"].caption == "a bell, number 3"
    assert not drops


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_without_an_extension_the_first_bytes_say_what_it_is(tmp_path: Path, kind: str):
    picture(tmp_path / "bell/photo", 3, kind)
    samples, drops = read(tmp_path)
    assert samples["bell/photo"].label == "bell"
    assert not drops


def test_a_phones_format_says_what_reads_it(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (tmp_path / "phone.txt").write_text("a bell")
    _, drops = read(tmp_path)
    (drop,) = drops.values()
    assert (drop.reason, drop.counted) == ("format that is not read", False)
    assert "the extra `heif`" in drop.detail


def test_two_pictures_of_one_name_are_two_rows_with_one_caption(tmp_path: Path):
    captioned(tmp_path / "pair.jpg", 1)
    picture(tmp_path / "pair.png", 2)
    samples, drops = read(tmp_path)
    assert samples.keys() == {"pair", "pair%2Epng"}
    assert {one.caption for one in samples.values()} == {"a bell, number 1"}
    assert not drops


def test_what_tools_leave_is_in_the_ledger_and_is_no_damage(tmp_path: Path):
    captioned(tmp_path / "one.jpg")
    left = (".ipynb_checkpoints/1.jpg", "__MACOSX/bell/._1.jpg", "@eaDir/1.jpg/S.jpg", "._2.jpg")
    for name in (*left, ".DS_Store", "Thumbs.db", "bell/.thumbnails/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    samples, drops = read(tmp_path)
    assert list(samples) == ["one"]
    assert len(drops) == 7
    assert {drop.reason for drop in drops.values()} == {"left by a tool"}
    assert not any(drop.counted for drop in drops.values())


def test_other_files_and_lone_captions_are_in_the_ledger_and_are_no_damage(tmp_path: Path):
    captioned(tmp_path / "one.jpg")
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "notes").write_text("about")
    (tmp_path / "gone.txt").write_text("a bell")
    (tmp_path / "bell/x.jpg").mkdir(parents=True)
    samples, drops = read(tmp_path)
    assert list(samples) == ["one"]
    reasons = {drop.key: drop.reason for drop in drops.values()}
    assert reasons == {
        "README": "not a picture",
        "notes": "not a picture",
        "gone": "a caption without a picture",
    }
    assert not any(drop.counted for drop in drops.values())


def test_a_caption_of_a_broken_picture_is_no_lone_caption(tmp_path: Path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "broken.txt").write_text("a bell")
    _, drops = read(tmp_path)
    assert [drop.reason for drop in drops.values()] == ["undecodable"]


def test_links_are_followed_and_circles_and_dead_ones_are_named(tmp_path: Path):
    folder, disk = tmp_path / "pool", tmp_path / "disk"
    picture(folder / "bell/0.jpg", 1)
    picture(disk / "0.jpg", 2)
    (folder / "car").symlink_to(disk)
    (folder / "again").symlink_to(disk)  # twice the same folder is no circle
    (folder / "bell/up").symlink_to(folder)
    (folder / "dead.jpg").symlink_to(tmp_path / "not-there.jpg")
    samples, drops = read(folder)
    assert samples.keys() == {"bell/0", "car/0", "again/0"}
    found = {drop.key: (drop.reason, drop.counted) for drop in drops.values()}
    assert found == {
        "bell/up": ("link to a folder that it is in", False),
        "dead.jpg": ("dead link", True),
    }


def test_a_mark_of_the_byte_order_is_no_part_of_a_caption(tmp_path: Path):
    picture(tmp_path / "one.jpg")
    (tmp_path / "one.TXT").write_bytes("\ufeffa bell\r\n".encode())
    samples, drops = read(tmp_path)
    assert samples["one"].caption == "a bell"
    assert not drops


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_a_phones_picture_is_stored_upright(tmp_path: Path, turn: int):
    made = Image.fromarray(
        np.arange(0, 48 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(48, 64, 3)
    )
    exif = Image.Exif()
    exif[0x0112] = turn
    (tmp_path / "bell").mkdir()
    made.save(tmp_path / "bell/one.png", exif=exif)
    samples, _ = read(tmp_path)
    found = Image.open(io.BytesIO(samples["bell/one"].image))
    upright = ImageOps.exif_transpose(Image.open(tmp_path / "bell/one.png")).convert("RGB")
    square = ImageOps.pad(upright, (16, 16), Image.Resampling.LANCZOS, color="white")
    off = np.abs(np.asarray(square, float) - np.asarray(found, float)).mean()
    assert off < 8
    assert found.getexif() == {}


def test_a_name_of_a_file_is_no_identity(tmp_path: Path):
    picture(tmp_path / "bell/1.jpg")
    made = read_folder(tmp_path, 16, Limits())
    dataset.write(tmp_path / "out", made, shard_size=4, max_drop_fraction=0.0)
    table = manifest.read(tmp_path / "out").table
    assert table["source_id"].to_pylist() == [None]
