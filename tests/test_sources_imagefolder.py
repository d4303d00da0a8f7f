"""imagefolder: the layouts of ImageNet and its test sets, made of real images in real formats."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from clipcause.captions import classes
from clipcause.config.datasets import Limits
from clipcause.data import dataset
from clipcause.data.dataset import Drop, Sample
from clipcause.data.sources.imagefolder import ImageFolder, read_imagefolder
from stages import prepare
from tests.real_images import SIDE, decoded, drawings, encoded

KNOWN = classes.read(Path(__file__).parents[1] / "data/classes/imagenet.yaml")
TENCH, GOLDFISH, UMBRELLA = "n01440764", "n01443537", "n04507155"


def put(path: Path, index: int = 0, kind: str = "JPEG", mode: str = "RGB") -> bytes:
    """Store one real image below new folders; its bytes."""
    content = encoded(drawings(12)[index][1], kind, mode)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return content


def read(root: Path, **options):
    found = list(
        read_imagefolder(
            root, KNOWN, ImageFolder(source="imagefolder", raw="data/none", **options), Limits()
        )
    )
    samples = [item for item in found if isinstance(item, Sample)]
    return samples, [item for item in found if isinstance(item, Drop)]


def test_imagenet_keeps_its_bytes_class_by_class(tmp_path):
    first = put(tmp_path / UMBRELLA / "n04507155_12.JPEG", 0)
    # ImageNet has CMYK images, and a PNG that is called JPEG
    cmyk = put(tmp_path / TENCH / "n01440764_2.JPEG", 1, mode="CMYK")
    png = put(tmp_path / TENCH / "n01440764_10.JPEG", 2, "PNG")
    samples, drops = read(tmp_path)
    assert drops == []
    assert [sample.key for sample in samples] == [
        f"{TENCH}/n01440764_10", f"{TENCH}/n01440764_2", f"{UMBRELLA}/n04507155_12",
    ]  # fmt: skip
    assert [sample.image for sample in samples] == [png, cmyk, first]
    assert [sample.extension for sample in samples] == ["png", "jpg", "jpg"]
    assert [sample.label for sample in samples] == [TENCH, TENCH, UMBRELLA]
    assert [sample.caption for sample in samples] == ["tench", "tench", "umbrella"]
    assert {(sample.width, sample.height) for sample in samples} == {(SIDE, SIDE)}
    assert samples[2].source == f"{UMBRELLA}/n04507155_12.JPEG"


def test_v2_names_its_folders_by_the_index_of_the_class(tmp_path):
    for index in (10, 2, 0, 999):
        put(tmp_path / str(index) / "0af3f1b55de791c4144e2fb6d7dfe96dfc22d3fc.jpeg")
    samples, _ = read(tmp_path, layout="index")
    own = list(classes.own(KNOWN))
    assert [sample.label for sample in samples] == [own[0], own[2], own[10], own[999]]
    assert samples[3].caption == "toilet paper"


def test_the_keys_of_imagenet_a_have_no_dots_and_differ(tmp_path):
    put(tmp_path / GOLDFISH / "0.001_goldfish _ goldfish_0.99.jpg")
    put(tmp_path / GOLDFISH / "0.001_goldfish _ goldfish_0_99.jpg")
    put(tmp_path / GOLDFISH / "0.001_goldfish _ goldfish_0%2E99.jpg")
    samples, drops = read(tmp_path)
    assert drops == []
    assert samples[0].key == f"{GOLDFISH}/0%2E001_goldfish _ goldfish_0%252E99"
    assert len({sample.key for sample in samples}) == 3
    made = tmp_path / "made"
    dataset.write(made, samples, shard_size=2, max_drop_fraction=0.0)
    manifest = dataset.read(made)
    assert [content for _, content in manifest.images()] == [sample.image for sample in samples]
    assert manifest.labels == [GOLDFISH] * 3


def objectnet(root: Path, **overlap: str) -> Path:
    """ObjectNet's archive in small: images, and mappings with labels as it writes them."""
    labels = {
        f"{key.removeprefix('objectnet-')}": entry.name.capitalize()
        for key, entry in KNOWN.items()
        if entry.test_set == "objectnet"
    } | {"squeegee": "Squeegee", "paper_bag": "Paper bag"}
    glosses = {
        entry.name.capitalize(): "; ".join(["gloss"] * len(entry.covers))
        for entry in KNOWN.values()
        if entry.test_set == "objectnet"
    } | overlap
    (root / "mappings").mkdir(parents=True)
    (root / "mappings/folder_to_objectnet_label.json").write_text(json.dumps(labels))
    (root / "mappings/objectnet_to_imagenet_1k.json").write_text(json.dumps(glosses))
    for folder, index in (("t-shirt", 0), ("alarm_clock", 1), ("squeegee", 2), ("paper_bag", 3)):
        pixels = drawings(12)[index][1].copy()
        pixels[[0, -1]] = pixels[:, [0, -1]] = (255, 0, 0)
        path = root / "images" / folder / "a8c1c3e3af56491.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(encoded(pixels, "PNG"))
    return root


def test_objectnet_has_its_own_classes_and_loses_its_red_line(tmp_path):
    root = objectnet(tmp_path / "objectnet-1.0")
    samples, drops = read(root, layout="objectnet", classes=2, images=2)
    assert [sample.label for sample in samples] == ["objectnet-alarm_clock", "objectnet-t-shirt"]
    assert [sample.caption for sample in samples] == ["alarm clock", "t-shirt"]
    assert samples[0].extension == "png"
    assert (samples[0].width, samples[0].height) == (SIDE - 2, SIDE - 2)
    assert np.array_equal(decoded(samples[0].image), drawings(12)[1][1][1:-1, 1:-1])
    assert {(drop.shard, drop.reason) for drop in drops} == {
        ("images/paper_bag", dataset.OUTSIDE), ("images/squeegee", dataset.OUTSIDE),
    }  # fmt: skip
    # half the images are outside the list, which is no damage
    counts = dataset.write(
        tmp_path / "made", [*samples, *drops], shard_size=9, max_drop_fraction=0.0
    )
    assert (counts.samples, counts.dropped, counts.reasons) == (2, 0, {dataset.OUTSIDE: 2})
    assert dataset.read_drops(tmp_path / "made").num_rows == 2
    whole, _ = read(root, layout="objectnet", border=0)
    assert whole[0].image == (root / "images/alarm_clock/a8c1c3e3af56491.png").read_bytes()


def test_objectnet_with_another_mapping_or_none(tmp_path):
    root = objectnet(tmp_path / "changed", **{"Alarm clock": "analog clock"})
    with pytest.raises(ValueError, match="not the mapping that the class list has: 'alarm clock'"):
        read(root, layout="objectnet")
    (root / "mappings/objectnet_to_imagenet_1k.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"objectnet_to_imagenet_1k\.json: not found"):
        read(root, layout="objectnet")


def test_what_cannot_be_used_is_in_the_ledger(tmp_path):
    good = put(tmp_path / TENCH / "good.JPEG")
    (tmp_path / TENCH / "cut.JPEG").write_bytes(good[: len(good) // 2])
    (tmp_path / TENCH / "empty.JPEG").write_bytes(b"")
    (tmp_path / TENCH / "Thumbs.db").write_bytes(b"x")
    (tmp_path / TENCH / "deeper").mkdir()
    (tmp_path / "README.txt").write_text("what this is")
    Image.new("RGB", (4, 60)).save(tmp_path / TENCH / "tiny.png")
    Image.new("P", (60, 60)).save(tmp_path / TENCH / "gif.jpg", "GIF")
    Image.new("1", (9000, 9000)).save(tmp_path / TENCH / "bomb.png")
    # what is no image is not counted as one, what is damaged is
    samples, drops = read(tmp_path, images=6)
    assert [sample.key for sample in samples] == [f"{TENCH}/good"]
    reasons = {drop.key.removeprefix(f"{TENCH}/"): (drop.reason, drop.detail) for drop in drops}
    assert {key: reason for key, (reason, _) in reasons.items()} == {
        "README": dataset.OUTSIDE,
        "Thumbs": "left by a tool",
        "deeper": "not an image",
        **dict.fromkeys(("cut", "empty", "gif"), "undecodable"),
        "tiny": "too small",
        "bomb": "too large",
    }
    assert "truncated" in reasons["cut"][1]
    assert "9000 x 9000 pixels are more than" in reasons["bomb"][1]
    assert "neither JPEG, PNG nor WEBP" in reasons["gif"][1]


def test_a_smaller_size_is_asked_for(tmp_path):
    wide = np.concatenate([pixels for _, pixels in drawings(12)[:2]], axis=1)
    (tmp_path / TENCH).mkdir()
    (tmp_path / TENCH / "wide.JPEG").write_bytes(encoded(wide))
    small = put(tmp_path / UMBRELLA / "small.JPEG")
    (first, second), _ = read(tmp_path, resize=40)
    assert (first.width, first.height, first.extension) == (80, 40, "jpg")
    assert Image.open(io.BytesIO(first.image)).size == (80, 40)
    assert (second.width, second.height) == (40, 40)
    (_, second), _ = read(tmp_path, resize=SIDE)
    assert second.image == small  # never enlarged, not recoded


@pytest.mark.parametrize(
    ("folders", "options", "message"),
    [
        (["n01440765", TENCH], {}, r"1 of 2 folders name no class .*did you mean 'n01440764'\?"),
        (["0", "1"], {}, "folders named by numbers are layout: index"),
        (["7", "1000"], {"layout": "index"}, "1 of 2 folders name no class of the list: '1000'"),
        ([TENCH], {"classes": 200}, "folders of 1 classes, the parameters say 200"),
        ([TENCH, UMBRELLA], {"images": 30_000}, "2 images, the parameters say 30,000"),
    ],
)
def test_folders_that_are_not_the_classes(tmp_path, folders, options, message):
    for folder in folders:
        put(tmp_path / folder / "image.JPEG")
    with pytest.raises(ValueError, match=message):
        read(tmp_path, **options)


def test_no_folders(tmp_path):
    put(tmp_path / "ILSVRC2012_val_00000001.JPEG")
    with pytest.raises(FileNotFoundError, match="no folders in it; wnid has a folder for every"):
        read(tmp_path)
    with pytest.raises(FileNotFoundError, match="images: no such folder"):
        read(tmp_path, layout="objectnet")


def test_a_name_that_is_no_utf8(tmp_path):
    put(tmp_path / TENCH / "good.jpg")
    path = bytes(tmp_path / TENCH) + b"/caf\xe9.jpg"
    with open(path, "wb") as stream:  # noqa: PTH123 - a path of bytes
        stream.write(encoded(drawings(12)[0][1]))
    samples, drops = read(tmp_path)
    assert [sample.key for sample in samples] == [f"{TENCH}/good"]
    assert [(drop.key, drop.reason) for drop in drops] == [(f"{TENCH}/caf%E9", "name is not UTF-8")]


def test_prepare_writes_a_test_set_from_a_folder_in_its_place(tmp_path, monkeypatch):
    put(tmp_path / "imagenet-r" / TENCH / "art_0.jpg")
    put(tmp_path / "imagenet-r" / UMBRELLA / "art_1.jpg", 1)
    root = Path(__file__).parents[1]
    shown = yaml.safe_load((root / "params.yaml").read_text())
    entry = {
        "source": "imagefolder", "raw": "data/none", "place": str(tmp_path / "imagenet-r"),
        "classes": 2,
    }  # fmt: skip
    params = {
        "versions": shown["versions"],
        "classes": "imagenet",
        "prepare": {"image_size": 32, "shard_size": 10, "max_drop_fraction": 0.0},
        "datasets": {"tests/r": entry},
        "tests": {"r": {"task": "classify"}},
    }
    repository = tmp_path / "repository"
    (repository / "data").mkdir(parents=True)
    (repository / "data/classes").symlink_to(root / "data/classes")
    (repository / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(repository)
    assert prepare.main("tests/r") == "2 samples in 1 shards, 0 dropped"
    made = dataset.read(Path("data/tests/r"))
    assert made.labels == [TENCH, UMBRELLA]
    assert made.image([0]) == [(tmp_path / "imagenet-r" / TENCH / "art_0.jpg").read_bytes()]


def test_other_files_are_no_damage_and_other_formats_are_read(tmp_path):
    folder = tmp_path / TENCH
    folder.mkdir()
    for number, (name, kind) in enumerate((("a.bmp", "BMP"), ("b.tif", "TIFF"), ("c", "GIF"))):
        Image.new("RGB", (40, 30), (number * 40, 9, 9)).save(folder / name, kind)
    for name in ("README.md", "notes"):
        (folder / name).write_text("about")
    (folder / "dead.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (folder / "pointer.jpg").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    samples, drops = read(tmp_path)
    assert [(one.key, one.extension) for one in samples] == [
        (f"{TENCH}/{name}", "png") for name in "abc"
    ]
    content = (folder / "a.bmp").read_bytes()
    assert samples[0].uid == dataset.uid(content)
    stored = np.asarray(Image.open(io.BytesIO(samples[0].image)))
    assert np.array_equal(stored, np.asarray(Image.open(folder / "a.bmp")))
    found = {drop.key.rpartition("/")[2]: (drop.reason, drop.counted) for drop in drops}
    assert found == {
        "README": ("not an image", False),
        "notes": ("not an image", False),
        "dead": ("dead link", True),
        "pointer": ("undecodable", True),
    }
    assert any("a pointer of Git LFS" in drop.detail for drop in drops)
