"""Data that grow where they lie: what comes into a place is prepared, and nothing else is."""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from clipcause.config import FILE, datasets, places
from clipcause.data import dataset, prepare
from clipcause.data.listing import LISTED
from clipcause.data.sources import union
from tests import clones, web_tars
from tests.repository import Repository

NOTHING = "repro: 0 stages run, 5 as they were"
SETS = ("pool", "tests/mine")


class Study(Repository):
    """A study whose pool and test set lie in places outside of the repository."""

    @property
    def web(self) -> Path:
        return self.folder.parents[2] / "web"

    @property
    def mine(self) -> Path:
        return self.folder.parents[2] / "mine"

    def repro(self, *, fails: bool = False) -> str:
        """What `dvc repro` says of the two data sets."""
        return self.dvc("repro", *(f"prepare@{name}" for name in SETS), fails=fails)

    def ours(self, *, fails: bool = False) -> str:
        """What `make repro` says of them, but for what the parameters are."""
        stages = [f"prepare@{name}" for name in SETS]
        said = self.python("clipcause", "repro", *stages, fails=fails)
        return "\n".join(one for one in said.splitlines() if not one.startswith(("check:", "  ")))

    def samples(self, name: str = "pool") -> int:
        return len(dataset.read(self.folder / "data" / name, shards=False))

    def hashes(self) -> dict[str, str]:
        """The hash of every output by its path, as the lock has it."""
        stages = yaml.safe_load((self.folder / "dvc.lock").read_text())["stages"]
        return {
            one["path"]: one["md5"] for stage in stages.values() for one in stage.get("outs", ())
        }


def put(target: Path, number: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(web_tars.tar_of({"a": web_tars.sample(number)}))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study, prepared once."""
    root = tmp_path_factory.mktemp("growing")
    (root / "clone").mkdir()
    clones.copy(root / "clone")
    folder = root / "clone/studies/own"
    shards = {"CLIPCAUSE_SHARDS": str(root / "shards"), "OMP_NUM_THREADS": "1"}
    Repository(root / "clone").run("git", "init", "-q")
    study = Study(folder, **shards)
    put(study.web / "0.tar", 0)
    picture = study.mine / "bell/0.jpg"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(web_tars.images(1)[0])
    content = yaml.safe_load((folder / FILE).read_text())
    content["places"] = {"web": str(study.web), "mine": str(study.mine)}
    content["datasets"] |= {
        "pool": {"source": "webdataset", "raw": "data/places/web"},
        "tests/mine": {"source": "folder", "raw": "data/places/mine"},
    }
    (folder / FILE).write_text(yaml.safe_dump(content, sort_keys=False))
    said = study.repro()
    assert "list web: " in said
    assert study.samples() == study.samples("tests/mine") == 1
    return study


def test_with_nothing_new_nothing_is_run_and_one_line_says_so(made: Study):
    assert made.ours() == NOTHING
    said = made.repro()
    assert "1 files, as they were" in said
    assert "Running stage 'prepare" not in said


@pytest.mark.parametrize("way", ["repro", "ours"])
def test_what_comes_into_a_place_is_prepared_and_no_other_data_set_is(made: Study, way: str):
    before = made.samples()
    put(made.web / f"{before}.tar", before)
    said = getattr(made, way)()
    assert f"{before + 1} samples in {before + 1} shards" in said
    assert f"prepare pool: {before} of {before + 1} shards are kept already" in said
    assert "Running stage 'prepare@tests/mine'" not in said
    assert made.samples() == before + 1
    assert made.ours() == NOTHING


def test_what_goes_from_a_place_goes_from_the_data_and_so_for_test_sets(made: Study):
    one = made.mine / "bell/1.jpg"
    one.write_bytes(web_tars.images(2)[1])
    assert "2 samples" in made.ours()
    one.unlink()
    said = made.ours()
    assert "1 files: 0 new, 1 gone, 0 changed" in said
    assert "Running stage 'prepare@pool'" not in said
    assert made.samples("tests/mine") == 1


def test_a_file_that_was_touched_is_read_again_and_nothing_that_follows_is_run(made: Study):
    before = made.hashes()
    os.utime(made.web / "0.tar", ns=(1, 1))
    assert "Running stage 'prepare@pool'" in made.ours()
    after = made.hashes()
    assert {path for path in after if after[path] != before[path]} == {"data/places/web"}


def test_a_place_that_is_not_to_be_reached_stops_a_run_that_may_go_on_without(made: Study):
    before = made.hashes()
    away = made.web.rename(made.web.with_name("away"))
    try:
        line = (
            f"{made.web} cannot be listed: no such file or folder; to go on from what is listed in "
            f"data/places/web: {LISTED}=1 make repro"
        )
        said = made.ours(fails=True)
        assert f"list@web: failed: {line}" in said.splitlines()
        assert "Running stage 'list@web'" not in said
        assert f"list web: error: {line}" in made.repro(fails=True).splitlines()
        made.environment[LISTED] = "1"
        assert made.ours() == NOTHING
        assert "Running stage 'prepare" not in made.repro()
    finally:
        made.environment.pop(LISTED, None)
        away.rename(made.web)
    assert made.hashes() == before
    assert made.ours() == NOTHING


def test_a_listing_that_somebody_edited_is_made_again(made: Study):
    listing = made.folder / "data/places/web"
    listing.write_text("")
    assert "Running stage 'list@web'" in made.ours()
    assert made.ours() == NOTHING
    listing.unlink()
    assert "Running stage 'list@web'" in made.ours()
    assert made.ours() == NOTHING


# ---- what the parameters say


@pytest.fixture
def content() -> dict:
    entry = {"source": "webdataset", "raw": "data/places/web"}
    return {"places": {"web": "s3://bucket/web"}, "datasets": {"pool": entry}}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: dict) -> Path:
    monkeypatch.chdir(tmp_path)
    content["datasets"]["pool"]["embeddings"] = "data/places/web"
    FILE.write_text(yaml.safe_dump(content))
    return FILE


def test_a_data_set_is_read_where_its_listing_is_of(file: Path):
    source = union.load("pool")
    assert source.place == source.embeddings == "s3://bucket/web"
    assert source.slot("pool") == (Path("s3://bucket/web"), "places.web in params.yaml")
    assert datasets.entry("pool").embeddings == "s3://bucket/web"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"raw": "data/places/wep"}, r"raw: section places: unknown place 'wep'; .*'web'\?"),
        ({"embeddings": "data/places/x"}, r"embeddings: section places: unknown place 'x'"),
        ({"place": "none"}, r"x\.place: raw names places\.web; leave place out"),
    ],
)
def test_a_listing_of_no_place_and_a_place_said_twice(content: dict, change: dict, message: str):
    with pytest.raises(ValueError, match=message):
        places.resolved(content["datasets"]["pool"] | change, content, "x")


@pytest.mark.parametrize("given", [None, [], "web", {"web": None}, {"web": "none"}, {"none": "x"}])
def test_a_section_of_something_else(given: object):
    with pytest.raises(ValueError, match=r"^params\.yaml: places"):
        places.check({"places": given}, "params.yaml")


def test_links_in_what_dvc_tracks_are_named(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "raw/bell").mkdir(parents=True)
    prepare.tell_links(tmp_path / "raw", "pool")
    assert capsys.readouterr().err == ""
    (tmp_path / "raw/bell/more").symlink_to(tmp_path)
    shutil.copy(__file__, tmp_path / "one")
    (tmp_path / "raw/one").symlink_to(tmp_path / "one")  # which DVC follows
    prepare.tell_links(tmp_path / "raw", "pool")
    said = capsys.readouterr().err
    assert said.startswith(f"prepare pool: {tmp_path}/raw has links to folders, behind which")
    assert said.endswith("listed with what they lead to: bell/more\n")
