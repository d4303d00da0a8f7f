"""What the repository serves of the committed study: all of it is there, and a clone can use it."""

import hashlib
import json
from pathlib import Path

import yaml

from clipcause.report.publish import FOLDERS, REMOTE, is_published
from tests import clones
from tests.repository import Repository

ROOT = Path(__file__).parents[1]


def outputs():
    """Path and hash of every published output of the committed lock."""
    stages = yaml.load((ROOT / "dvc.lock").read_text(), yaml.CSafeLoader)["stages"].values()
    outs = [out for stage in stages for out in stage.get("outs", ())]
    return {out["path"]: out["md5"] for out in outs if is_published(out["path"])}


def blob(md5):
    """Content by its hash, which it must have."""
    path = ROOT / REMOTE / "files/md5" / md5[:2] / md5[2:]
    assert path.exists(), f"{md5}: run `python -m clipcause publish` and commit {REMOTE}/"
    content = path.read_bytes()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert found == md5.removesuffix(".dir")
    return content


def test_all_outputs_of_the_lock_are_served():
    known = outputs()
    assert {Path(path).parts[0] for path in known} == {*FOLDERS, "report"}
    for md5 in known.values():
        content = blob(md5)
        for entry in json.loads(content) if md5.endswith(".dir") else ():
            blob(entry["md5"])


def test_a_clone_compares_diffs_and_has_the_page_without_a_network(tmp_path):
    clones.copy(tmp_path / "clone")
    clone = Repository(tmp_path / "clone")
    clone.run("git", "init", "-q", "-b", "main")
    clone.commit("all")
    clone.dvc("pull", "-q", "-r", REMOTE, "--allow-missing")
    assert (clone.folder / "report/index.html").stat().st_size > 1_000_000
    said = clone.python("clipcause", "compare", "core", "random-core")
    claims = json.loads((ROOT / "metrics/claims.json").read_text())["claims"]
    core = claims["core"]["random-core"]["sketch"]["difference"]
    (row,) = [line for line in said.splitlines() if line.startswith("sketch ")]
    assert f"{100 * core:.1f}" in row
    sizes = json.loads((ROOT / "metrics/prune/core.json").read_text())["kept"]
    said = clone.python("clipcause", "diff", "HEAD:core", "random-core-0")
    assert f"rows in A {sizes:>7}" in said
    said = clone.python("clipcause", "compare", "HEAD:core", "core")
    assert "Both have the same images right." in said
