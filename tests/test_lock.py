"""The look at `dvc.lock` in a clone without data sees results of something that is no more."""

import copy
import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests import lock
from tests.repository import Repository

ROOT = Path(__file__).parents[1]
GRAPH = {
    "first": {"cmd": "mkdir -p made/one && cp a made/one/a && cp a made/one/b", "deps": ["a"]},
    "second": {"cmd": "mkdir -p made && cp a made/two", "deps": ["a"]},
    "whole": {"cmd": "cat made/one/* made/two > whole", "deps": ["made"]},
    "part": {"cmd": "cp made/one/a part", "deps": ["made/one/a"]},
    "same": {"cmd": "cp made/two same", "deps": ["made/two"]},
}
OUTS = {"first": "made/one", "second": "made/two", "whole": "whole", "part": "part", "same": "same"}


class Locked(Repository):
    """A small repository with the outputs of its five stages, and a lock that fits."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, PYTHONPATH=str(ROOT))
        stages = {name: {**stage, "outs": [OUTS[name]]} for name, stage in GRAPH.items()}
        (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
        (folder / ".gitignore").write_text("/made\n/whole\n/part\n/same\n")
        (folder / "a").write_text("1\n")
        (folder / "a-link").symlink_to("a")
        self.init()
        self.dvc("repro", "-q")
        self.python("tests.lock", "--write")
        self.run("git", "add", "-A")

    def change(self, stage: str) -> None:
        """As if the stage had run alone and made another output."""
        path = self.folder / "dvc.lock"
        content = yaml.safe_load(path.read_text())
        (out,) = content["stages"][stage]["outs"]
        out["md5"] = "0" * 8 + out["md5"][8:]
        path.write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Locked(tmp_path_factory.mktemp("locked"))


@pytest.fixture
def repository(made, tmp_path):
    """A copy for every test."""
    repository = copy.copy(made)
    repository.folder = shutil.copytree(made.folder, tmp_path / "r", symlinks=True)
    return repository


def test_a_lock_that_fits(repository):
    assert "fits" in repository.python("tests.lock")
    noted = json.loads((repository.folder / lock.READ).read_text())
    assert noted.keys() == {"made", "made/one/a"}
    assert noted["made"]["outs"].keys() == {"made/one", "made/two"}


def test_outputs_that_are_newer_than_what_was_read(repository):
    """Through the folder above, and of a file inside; and of itself, which DVC sees."""
    repository.change("first")
    said = repository.python("tests.lock", fails=True)
    assert "whole: read another made than that of made/one" in said
    assert "part: read another made/one/a than that of made/one" in said
    assert "same" not in said
    repository.change("second")
    assert "'same'" in repository.python("tests.lock", fails=True)


def test_what_is_written_down_is_so(repository):
    """Not where a stage has not run yet, or where nothing is written down."""
    (repository.folder / "a").write_text("2\n")
    repository.dvc("repro", "-q", "-s", "first", "second", "same")
    assert "not up to date here: part, whole" in repository.python(
        "tests.lock", "--write", fails=True
    )
    repository.dvc("repro", "-q")
    assert "--write" in repository.python("tests.lock", fails=True)
    repository.python("tests.lock", "--write")
    assert "fits" in repository.python("tests.lock")
    repository.run("git", "rm", "-qf", lock.READ)
    assert "part: read another made/one/a" in repository.python("tests.lock", fails=True)
