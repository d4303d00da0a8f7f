"""Data sets of the hub as they are published, tiny: whose classes their positions are, and which
part of them a rehearsal takes.

Tars are made as CLIP_benchmark's `webdataset_builder` makes them: by webdataset's writer, keys
s0000000 …, the position as `cls` and an image beside it, `classnames.txt` above them.
"""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import open_clip
import pyarrow.parquet as pq
import pytest
import timm.data

from clipcause.captions import classes
from clipcause.config.datasets import Prepare
from clipcause.data import dataset, place
from clipcause.data.sources import webdataset
from clipcause.data.sources.webdataset import NOT_SAMPLED, WebDataset
from tests import web_tars
from tests.documents import ROOT

WNIDS = timm.data.ImageNetInfo().label_names()
SETTINGS = Prepare(image_size=64, shard_size=100, max_drop_fraction=0.0)


def subset(name: str) -> list[str]:
    """The ids that the committed table has of a test set, as an ImageFolder of it counts them."""
    with (ROOT / "data/classes/imagenet_subsets.csv").open(newline="") as stream:
        return sorted(row["wnid"] for row in csv.DictReader(stream) if row["subset"] == name)


def classnames(name: str) -> list[str]:
    """`classnames.txt` as CLIP_benchmark makes it: of all names those whose wnid the set has."""
    if name == "objectnet":
        with (ROOT / "data/classes/objectnet.csv").open(newline="") as stream:
            rows = sorted(csv.DictReader(stream), key=lambda row: row["folder"])
        return [row["label"].lower() for row in rows]
    has = set(WNIDS if name == "none" else subset(name))
    names = zip(WNIDS, open_clip.IMAGENET_CLASSNAMES, strict=True)
    return [word for wnid, word in names if wnid in has]


def published(folder: Path, name: str, positions: list[int], extension: str = "jpg") -> str:
    """A test set in two tars."""
    half = len(positions) // 2
    samples = {
        f"s{number:07d}": {
            extension: web_tars.images(number + 1, extension)[-1],
            "cls": str(position).encode(),
        }
        for number, position in enumerate(positions)
    }
    keys = list(samples)
    files = {
        "test/0.tar": web_tars.tar_of({key: samples[key] for key in keys[:half]}),
        "test/1.tar": web_tars.tar_of({key: samples[key] for key in keys[half:]}),
        "test/nshards.txt": b"2\n",
        "classnames.txt": "".join(f"{line}\n" for line in classnames(name)).encode(),
        "zeroshot_classification_templates.txt": b"a bad photo of a {c}.\n",
    }
    return web_tars.put(str(folder), files)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of ImageNet's classes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLIPCAUSE_SHARDS", str(tmp_path / "shards"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/classes").symlink_to(ROOT / "data/classes")
    shutil.copy(ROOT / "studies/cc3m/params.yaml", tmp_path)
    return tmp_path


def prepared(where: str, settings: Prepare = SETTINGS, **options: object) -> dataset.Manifest:
    given = {"source": "webdataset", "raw": "data/none", "place": where, "shards": "test/*.tar"}
    source = WebDataset.model_validate({**given, "cls": "index", **options})
    source.write(settings, "tests/one")
    return dataset.read(Path("data/tests/one"), shards=False)


def column(made: dataset.Manifest, name: str) -> list:
    return pq.read_table(made.folder / "manifest.parquet")[name].to_pylist()


@pytest.mark.parametrize(
    ("name", "published_bytes"), [("none", 11_814), ("imagenet-r", 2_027), ("imagenet-a", 2_093)]
)
def test_the_lists_of_classes_have_the_published_sizes(name: str, published_bytes: int) -> None:
    """The hub lists `classnames.txt` with 11.8, 2.03 and 2.09 kB."""
    assert len("".join(f"{line}\n" for line in classnames(name)).encode()) == published_bytes


@pytest.mark.parametrize("name", ["imagenet-r", "imagenet-a"])
def test_a_subset_is_200_classes_in_the_order_of_the_list(name: str) -> None:
    known = classes.read(ROOT / "data/classes/imagenet.yaml")
    found = classes.subset(known, name, "here")
    assert found == subset(name) == [wnid for wnid in WNIDS if wnid in set(found)]
    assert len(found) == 200


def test_a_subset_that_no_class_has_is_named(study: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown subset .*'imagenet-q'; did you mean"):
        webdataset.positions(str(study), "index", "imagenet-q")


@pytest.mark.parametrize(
    ("name", "extension"),
    [("none", "jpg"), ("none", "webp"), ("imagenet-r", "jpg"), ("imagenet-a", "jpg")],
)
def test_a_position_is_that_of_the_sets_own_folders(study: Path, name: str, extension: str) -> None:
    """657 and 744 are both called missile, 836 and 837 both sunglasses: a name would not do."""
    folders = WNIDS if name == "none" else subset(name)
    positions = [0, 1, 5, len(folders) - 1]
    if name == "none":
        positions += [657, 744, 836, 837]
    made = prepared(
        published(study / "set", name, positions, extension),
        subset=name,
        classnames="classnames.txt",
    )
    assert made.labels == [folders[position] for position in positions]
    said = [open_clip.IMAGENET_CLASSNAMES[WNIDS.index(label)] for label in made.labels]
    assert column(made, "caption") == said


def test_objectnet_counts_its_folders(study: Path) -> None:
    where = published(study / "set", "objectnet", [0, 1, 112])
    made = prepared(where, subset="objectnet", classnames="classnames.txt")
    assert made.labels == ["objectnet-alarm_clock", "objectnet-backpack", "objectnet-wok"]
    assert column(made, "caption") == ["alarm clock", "backpack", "wok"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[1:], r"199 classes, and .* has 200 of them"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], r"2 of 200 names .* 0 is 'great white"),
    ],
)
def test_a_list_in_another_order_is_an_error(study: Path, change, said: str) -> None:
    """Nothing else would say that every label is another class's."""
    where = published(study / "set", "imagenet-r", [0, 1])
    path = Path(where, "classnames.txt")
    path.write_text("".join(f"{line}\n" for line in change(path.read_text().splitlines())))
    with pytest.raises(ValueError, match=said):
        prepared(where, subset="imagenet-r", classnames="classnames.txt")


def test_a_position_that_the_set_has_not_is_a_line_of_the_ledger(study: Path) -> None:
    where = published(study / "set", "imagenet-r", [0, 200])
    with pytest.raises(ValueError, match="'200' is no position among 200 classes"):
        prepared(where, subset="imagenet-r")


def test_a_rehearsal_takes_the_first_tars(study: Path) -> None:
    """What a share of three tars is, is rounded up."""
    where = web_tars.pool(str(study / "pool"), {f"cc3m-train-{n:04d}.tar": 2 for n in range(3)})
    for share, tars in ((0.01, 1), (0.34, 2), (1.0, 3)):
        made = prepared(where, shards="cc3m-train-{0000..0002}.tar", cls="id", part=share)
        assert [shard.name for shard in made.shards] == [
            f"cc3m-train-{n:04d}.tar" for n in range(tars)
        ]


def test_a_rehearsal_takes_a_share_of_every_class(study: Path) -> None:
    """From the first on, over all tars, at least one; the others are lines of the ledger."""
    positions = [0] * 5 + [3] + [7] * 3 + [0]
    where = published(study / "set", "imagenet-r", positions)
    made = prepared(where, subset="imagenet-r", each=0.5)
    ids = subset("imagenet-r")
    assert Counter(made.labels) == {ids[0]: 3, ids[3]: 1, ids[7]: 2}
    assert column(made, "key") == [f"s{n:07d}" for n in (0, 1, 2, 5, 6, 7)]
    ledger = dataset.read_drops(Path("data/tests/one")).to_pylist()
    assert [one["key"] for one in ledger] == [f"s{n:07d}" for n in (3, 4, 8, 9)]
    assert {one["reason"] for one in ledger} == {NOT_SAMPLED}
    # what is left is read where it lies
    images = made.image(list(range(len(made))))
    assert images == [web_tars.images(n + 1)[-1] for n in (0, 1, 2, 5, 6, 7)]


def test_a_tar_of_which_nothing_is_taken_is_no_shard(study: Path) -> None:
    where = published(study / "set", "imagenet-r", [0, 0, 0, 0])
    made = prepared(where, subset="imagenet-r", each=0.5)
    assert [shard.name for shard in made.shards] == ["test/0.tar"]
    assert len(made) == 2


def test_a_shares_rows_do_not_stand_in_for_all(study: Path) -> None:
    """Tars come from the shard cache; a data set of a share is another one than that of all."""
    where = published(study / "set", "imagenet-r", [0, 0, 1, 1])
    few = prepared(where, subset="imagenet-r", each=0.5)
    every = prepared(where, subset="imagenet-r")
    assert (len(few), len(every)) == (2, 4)
    assert few.sha256 != every.sha256


def test_what_a_foreign_tar_has_is_data_alone(study: Path) -> None:
    """A path out of the folder, a pickle, a link, more bytes or pixels than are allowed: a line of
    the ledger each, and no file."""
    picture, large = web_tars.images(2)
    members = [
        ("a.cls", b"0"), ("a.jpg", picture),
        ("../b.cls", b"0"), ("../b.jpg", picture),
        ("/c.cls", b"0"), ("/c.jpg", picture),
        ("d.cls", b"0"), ("d.pyd", b"not read"), ("d.jpg", picture),
        ("e.cls", b"0"), ("e.jpg", picture + b"\0" * len(large)),
        ("f.cls", b"0"), ("f.pkl", b"not read"),
    ]  # fmt: skip
    where = web_tars.put(str(study / "set/in"), {"test/0.tar": web_tars.members_tar(members)})
    before = sorted(path for path in study.rglob("*") if path.is_file())
    strict = {"most_bytes": len(picture) + 1, "max_drop_fraction": 1.0}
    made = prepared(where, SETTINGS.model_copy(update=strict), subset="imagenet-r")
    assert column(made, "key") == ["a", "d"]
    ledger = dataset.read_drops(made.folder).to_pylist()
    assert {one["key"]: one["reason"] for one in ledger} == {
        "../b": "unsafe name",
        "/c": "unsafe name",
        "e": "too large",
        "f": "no image",
    }
    new = {path for path in study.rglob("*") if path.is_file()} - set(before)
    assert {path.relative_to(study).parts[0] for path in new} <= {"data", "shards"}
    small = SETTINGS.model_copy(update={"most_pixels": 100, "max_drop_fraction": 1.0})
    with pytest.raises(ValueError, match="no usable sample"):
        prepared(where, small, subset="imagenet-r")


def test_json_of_the_pool_has_its_url(study: Path) -> None:
    """As img2dataset wrote pixparse/cc3m-wds: jpg, json, txt."""
    where = web_tars.pool(str(study / "pool"), {"cc3m-train-0000.tar": 2})
    made = prepared(where, shards="cc3m-train-*.tar", cls="id")
    assert None not in column(made, "source_id")
    facts = json.loads(web_tars.sample(0)["json"])
    assert column(made, "source_id")[0] == dataset.source_id(facts["url"], facts["caption"])
    assert place.facts(f"{where}/cc3m-train-0000.tar").bytes == made.shards[0].bytes
