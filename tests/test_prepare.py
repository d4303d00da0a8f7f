"""prepare: icons and folders become shards; what cannot be used is in the ledger."""

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from clipcause.config import layout
from clipcause.config.datasets import Limits
from clipcause.data import dataset
from clipcause.data.dataset import Drop, Sample
from clipcause.data.sources.folder import read_folder
from clipcause.icons import catalogue
from clipcause.prune import split
from stages import prepare
from tests.test_sources_embeddings import published
from tests.test_sources_table import laion

SQUARE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><path d="M0 0h2v4H0z"/></svg>'
VERSIONS = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text())["versions"]
SETTINGS = {"image_size": 32, "shard_size": 2, "max_drop_fraction": 0.5}


def row(name: str, svg: str = SQUARE) -> dict:
    return {
        "prefix": "my-set", "name": name, "caption": name, "label": None, "style": None,
        "licence": "MIT", "author": "Somebody", "title": "My set", "category": "", "tags": ["x"],
        "svg": svg,
    }  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    entries = {
        "pool": {"source": "icons", "raw": "data/catalogue/pool.parquet"},
        "mine": {"source": "folder", "raw": "photos"},
        "tests/probe": {"source": "icons", "raw": "data/catalogue/pool.parquet"},
    }
    tests = {"probe": {"task": "classify"}}
    stated = {"versions": VERSIONS, "prepare": SETTINGS, "datasets": entries, "tests": tests}
    stated["classes"] = "mine"
    (tmp_path / "data/classes").mkdir(parents=True)
    (tmp_path / "data/classes/mine.yaml").write_text("key: {name: key, names: [key]}\n")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(stated))
    return tmp_path


def test_icons_become_shards_and_a_broken_one_goes_to_the_ledger(repository):
    rows = [row("a"), row("b"), row("broken", "<svg"), row("c")]
    catalogue.write(catalogue.FOLDER, {"pool": rows}, [], [])
    assert prepare.main("pool") == "3 samples in 2 shards, 1 dropped"
    made = dataset.read(Path("data/pool"))
    assert made.captions == ["a", "b", "c"]
    drops = dataset.read_drops(Path("data/pool")).to_pylist()
    assert [(drop["key"], drop["reason"]) for drop in drops] == [("my-set_broken", "broken")]
    assert "cannot be drawn" in drops[0]["detail"]
    pixels = np.asarray(Image.open(io.BytesIO(made.image([0])[0])))
    assert pixels.shape == (32, 32, 3)
    assert pixels[:, :16].max() == 0
    assert pixels[:, 16:].min() == 255


def test_the_same_icons_give_the_same_bytes(repository):
    catalogue.write(catalogue.FOLDER, {"pool": [row(f"i{n}") for n in range(5)]}, [], [])
    made = []
    for _ in range(2):
        prepare.main("pool")
        made.append({p.name: p.read_bytes() for p in Path("data/pool").iterdir()})
    assert made[0] == made[1]
    assert {"00000.tar", "00002.tar", "manifest.parquet", "drops.parquet"} <= made[0].keys()


def test_a_test_set_goes_to_the_folder_of_tests(repository):
    catalogue.write(catalogue.FOLDER, {"pool": [row("a") | {"label": "key"}]}, [], [])
    prepare.main("tests/probe")
    assert len(dataset.read(Path("data/tests/probe"))) == 1
    assert Path("metrics/prepare/tests/probe.json").exists()
    assert len(split.read(layout.split("all", "tests/probe"))) == 1


def test_the_split_of_all_rows_is_made_of_nothing_else(repository):
    catalogue.write(catalogue.FOLDER, {"pool": [row("a"), row("b"), row("c")]}, [], [])
    prepare.main("pool")
    made = split.read_for(layout.split("all"), dataset.read(Path("data/pool")).sha256)
    assert made.rows.tolist() == [0, 1, 2]
    assert made.card["rule"] == made.card["base"] == "all"
    assert (made.card["kept"], made.card["removed"], made.card["share_of_pool"]) == (3, 0, 1.0)


def test_a_test_set_without_classes_is_refused(repository):
    catalogue.write(catalogue.FOLDER, {"pool": [row("a"), row("b") | {"label": "key"}]}, [], [])
    with pytest.raises(ValueError, match=r"data/tests/probe: 1 of 2 images have no class"):
        prepare.main("tests/probe")
    assert not Path("data/tests/probe").exists()


def test_a_test_set_with_a_class_of_no_list_is_refused_with_the_nearest(repository):
    catalogue.write(catalogue.FOLDER, {"pool": [row("a") | {"label": "keys"}]}, [], [])
    with pytest.raises(ValueError, match=r"mine\.yaml: 'keys' \(1\), .*'key'"):
        prepare.main("tests/probe")
    assert not Path("data/tests/probe").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pol", r"unknown dataset 'pol'; did you mean 'pool'\?"),
        ("tests/prob", r"unknown dataset 'tests/prob'; did you mean 'tests/probe'\?"),
        ("mine", r"photos: not found \(datasets\.mine\.raw"),
    ],
)
def test_unknown_names_and_missing_sources(repository, name, message):
    with pytest.raises((ValueError, OSError), match=message):
        prepare.main(name)


def test_too_many_drops_fail_and_leave_nothing(repository):
    catalogue.write(catalogue.FOLDER, {"pool": [row("a"), row("x", "<"), row("y", "<")]}, [], [])
    with pytest.raises(ValueError, match=r"2 of 3 .*cannot be drawn"):
        prepare.main("pool")
    assert not Path("data/pool").exists()


def test_a_folder_of_pictures(tmp_path):
    (tmp_path / "grey_cat").mkdir()
    Image.new("RGB", (40, 20), "red").save(tmp_path / "grey_cat/one.png")
    Image.new("RGB", (10, 10), "red").save(tmp_path / "two.jpg")
    (tmp_path / "two.txt").write_text("a small red square\n")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "broken.txt").write_text("broken")
    Image.new("RGB", (2, 2)).save(tmp_path / "tiny.png")
    (tmp_path / "tiny.txt").write_text("tiny")
    Image.new("RGB", (16, 16)).save(tmp_path / "mute.png")
    Image.new("RGB", (16, 16)).save(tmp_path / "latin.png")
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    whole = (tmp_path / "grey_cat/one.png").read_bytes()
    damaged = whole.replace(b"IDAT", b"ID\0T")  # Pillow has a SyntaxError for it
    (tmp_path / "grey_cat/chunk.png").write_bytes(damaged)
    Image.new("RGB", (16, 16)).save(tmp_path / "grey_cat/photo.png", "GIF")
    found = list(read_folder(tmp_path, 32, Limits()))
    samples = {item.key: item for item in found if isinstance(item, Sample)}
    drops = {item.key: item.reason for item in found if isinstance(item, Drop)}
    assert drops == {
        "broken": "undecodable",
        "grey_cat/chunk": "undecodable",
        "tiny": "too small",
        "mute": "no caption",
        "latin": "unreadable caption",
    }
    assert samples["two"].caption == "a small red square"
    assert samples["two"].label is None
    labelled = samples["grey_cat/one"]
    assert (labelled.label, labelled.caption) == ("grey_cat", "grey cat")
    assert (labelled.width, labelled.height) == (32, 32)
    assert "grey_cat/photo" in samples  # a GIF, whatever it is called


def test_a_decompression_bomb_is_not_decoded(tmp_path):
    # 20,000 x 20,000 white pixels compress to a few hundred kilobytes
    Image.new("1", (20_000, 20_000), 1).save(tmp_path / "bomb.png")
    (tmp_path / "bomb.txt").write_text("boom")
    (drop,) = read_folder(tmp_path, 32, Limits())
    assert isinstance(drop, Drop)
    assert drop.reason == "too large"
    assert "pixels" in drop.detail


def test_names_that_are_not_utf8_and_long_pictures_are_drops(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (9, 1000)).save(folder / "long.png")
    (folder / "long.txt").write_text("long")
    odd = os.fsencode(folder) + b"/caf\xe9"
    Path(os.fsdecode(odd)).mkdir()
    Image.new("RGB", (16, 16)).save(folder / "fine.png")
    (folder / "fine.txt").write_text("fine")
    shutil.copyfile(folder / "fine.png", os.fsdecode(odd + b"/a.png"))
    made = read_folder(folder, 32, Limits())
    counts = dataset.write(tmp_path / "made", made, shard_size=4, max_drop_fraction=0.9)
    assert counts.reasons == {"name is not UTF-8": 1, "too long": 1}
    drops = dataset.read_drops(tmp_path / "made").to_pylist()
    assert (drops[0]["shard"], drops[0]["key"]) == ("caf\\xe9", "caf\\xe9/a.png")


def state(root: Path, **entries: dict) -> None:
    content = yaml.safe_load((root / "params.yaml").read_text())
    content["datasets"] |= entries
    (root / "params.yaml").write_text(yaml.safe_dump(content))


def test_tables_and_published_embeddings_are_data_sets_without_images(repository):
    laion(repository / "meta/part-0.parquet", 6)
    folder = published(repository / "published", sizes=(5, 3))
    state(
        repository,
        meta={"source": "table", "raw": "meta"},
        known={"source": "embeddings", "raw": "data/none", "place": str(folder)},
    )
    assert prepare.main("known").startswith("8 samples in 2 shards")
    # what a table lacks is its own tests' matter
    assert "samples in 1 shards" in prepare.main("meta")
    for name in ("known", "meta"):
        assert sorted(path.name for path in Path("data", name).iterdir()) == [
            "drops.parquet",
            "manifest.parquet",
        ]
        assert yaml.safe_load(Path(f"metrics/prepare/{name}.json").read_text())["lost"] == 0


def test_a_source_that_is_copied_may_lie_anywhere_on_this_machine(repository):
    outside = repository.parent / "photos"
    (outside / "cat").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16)).save(outside / "cat/one.png")
    mine = {"source": "folder", "raw": "data/none", "place": str(outside)}
    state(repository, mine=mine, far=mine | {"place": "s3://photos"})
    assert prepare.main("mine") == "1 samples in 1 shards, 0 dropped"
    assert "00000.tar" in {path.name for path in Path("data/mine").iterdir()}
    with pytest.raises(ValueError, match=r"s3://photos: folder reads a folder of this machine"):
        prepare.main("far")
