"""docs/tutorial.md, from top to bottom: its commands and its YAML, in a copy of the repository.

Two things are not as the page says: the environment is this one, and models see fewer samples, the
encoder as many as it takes to tell the pictures apart.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import clones
from tests.documents import ROOT, Block, blocks

PAGE = ROOT / "docs/tutorial.md"
ENVIRONMENT = ("make .venv/.main", "source .venv/bin/activate")
OF_ENCODER, OF_RUNS = 4096, 512  # samples
NAME = {f"GIT_{who}_{what}": f"{what.lower()}@example.org" for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")}  # fmt: skip


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


def shell(command: str, folder: Path) -> str:
    """What a command of the page prints; a command that fails is a failure of the page."""
    environment = os.environ | NAME | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "CLIPCAUSE_SHARDS": str(folder.parent / "shards"),
        "DVC_NO_ANALYTICS": "1",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-ec", command], cwd=folder, env=environment, capture_output=True, text=True
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"{command}\n{output}"
    return output


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
    path.write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The folder after the whole page, and what each command printed."""
    folder = tmp_path_factory.mktemp("tutorial") / "clone"
    folder.mkdir()
    clones.copy(folder)
    shell("git init -q && git add -A && git commit -q -m start", folder)
    printed: dict[str, list[str]] = {}
    where = folder
    for block in blocks(PAGE):
        if block.kind == "yaml" and block.file:
            put(block, where)
        for command in block.commands if block.kind == "sh" else ():
            if command.startswith("cd "):
                where /= command.removeprefix("cd ")
            elif command not in ENVIRONMENT:
                printed.setdefault(command, []).append(shell(command, where))
    return where, printed


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
