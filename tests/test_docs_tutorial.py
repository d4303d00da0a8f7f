"""docs/tutorial.md, from top to bottom: its commands and its YAML, in a copy of the repository.

Some things are not as the page says: the environment is this one, models see fewer samples, the
encoder as many as it takes to tell the pictures apart, by one thread each: tests run on all cores.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import clones
from tests.documents import ROOT, Block, blocks
from tests.repository import Repository

PAGE = ROOT / "docs/tutorial.md"
ENVIRONMENT = ("make .venv/.main", "source .venv/bin/activate")
OF_ENCODER, OF_RUNS = 4096, 512  # samples


def merged(content: Any, change: Any) -> Any:
    """``content`` with the values of ``change``; an item is replaced whole, as a reader would."""
    if not isinstance(change, Mapping) or not isinstance(content, Mapping):
        return change
    items = {"datasets", "splits", "runs"}
    return dict(content) | {
        key: dict(content.get(key, {})) | dict(value)
        if key in items
        else merged(content.get(key), value)
        for key, value in change.items()
    }


def put(block: Block, folder: Path) -> None:
    """Do what the page asks for with a block of YAML."""
    assert block.file
    path = folder / block.file
    if block.file != "params.yaml":
        path.write_text(block.text)
        return
    content = merged(yaml.safe_load(path.read_text()), yaml.safe_load(block.text))
    for name, entry in content["runs"].items():
        entry["samples_seen"] = OF_ENCODER if name == content["encoder"]["run"] else OF_RUNS
    for section in ("embed", "train", "evaluate"):
        content[section]["threads"] = 1
    path.write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The folder after the whole page, and what each command printed."""
    folder = tmp_path_factory.mktemp("tutorial") / "clone"
    folder.mkdir()
    clones.copy(folder)
    where = Repository(folder, CLIPCAUSE_SHARDS=str(folder.parent / "shards"), OMP_NUM_THREADS="1")
    where.run("git", "init", "-q")
    where.commit("start")
    printed: dict[str, list[str]] = {}
    for block in blocks(PAGE):
        if block.kind == "yaml" and block.file:
            put(block, where.folder)
        for command in block.commands if block.kind == "sh" else ():
            if command.startswith("cd "):
                where.folder /= command.removeprefix("cd ")
            elif command not in ENVIRONMENT:
                printed.setdefault(command, []).append(where.run("bash", "-ec", command))
    return where.folder, printed


def test_the_pictures_are_those_that_the_page_counts(followed):
    _, printed = followed
    (told,) = printed["python -m tests.own_pictures ../pictures"]
    assert told == "692 of pool, 68 of reference, 27 of test\n"
    text = PAGE.read_text()
    assert "692 icons for the pool, 68 filled icons for the reference, and 27 outlines" in text


def test_the_check_finds_nothing_missing(followed):
    _, printed = followed
    (told,) = printed["python -m clipcause check"]
    assert told.startswith("check: params.yaml is valid\n  classes: mine (parent: icons)\n")
    assert "missing" not in told


def test_the_page_ends_with_a_split_its_card_an_export_and_a_report(followed):
    folder, printed = followed
    card = yaml.safe_load((folder / "splits/hull/pool/card.json").read_text())
    assert card["rule"] == "hull"
    assert 0 < card["kept"] < card["base_rows"]
    exported = yaml.safe_load((folder / "export/hull/card.json").read_text())
    assert exported["samples"] == card["kept"]
    assert "hull" in (folder / "report/index.html").read_text()
    first = printed["python -m clipcause diff full hull"][0]
    assert "Jaccard" in first
    assert "removed" in first


def test_the_change_of_delta_is_told(followed):
    folder, printed = followed
    (told,) = printed["python -m clipcause diff HEAD:hull hull"]
    assert "A = HEAD:hull" in told
    (changed,) = printed["dvc params diff"]
    assert "splits.hull.delta" in changed
    second = printed["dvc repro"][1]
    assert "'prune@hull'" in second
    for kept in ("train@all-0", "embed@pool", "similarity@mine", "train@full-0", "prune@full"):
        assert f"Running stage '{kept}'" not in second
    card = yaml.safe_load((folder / "splits/hull/pool/card.json").read_text())
    assert card["parameters"]["delta"] == 0.05
