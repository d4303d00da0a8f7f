"""The whole house: dvc.yaml against the code, and a real small study, two stages at a time."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from clipcause.check import studies
from clipcause.runtime.code import folder, stages
from tests import clones
from tests.repository import Repository

ROOT = Path(__file__).parents[1]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
BODIES = {name: stage.get("do", stage) for name, stage in PIPELINE.items()}
PLAIN = ("prepare", "prune", "export", "check", "catalogue", "fetch", "report")
MODULES = {name: body["cmd"].split()[2] for name, body in BODIES.items()}


@pytest.mark.parametrize("stage", BODIES)
def test_a_stage_depends_on_its_code(stage):
    assert str(folder(MODULES[stage])) in BODIES[stage]["deps"]
    assert BODIES[stage]["cmd"].startswith("python -m stages.")
    assert MODULES[stage] in stages(ROOT)


def test_stages_without_models_start_without_torch():
    names = [MODULES[name] for name in PLAIN]
    code = f"""
import sys, importlib
for name in {names}:
    importlib.import_module(name)
    assert "torch" not in sys.modules, name
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_every_study_is_valid():
    for name in studies.names(ROOT):
        Repository(ROOT).python("clipcause", "check", name)


class Clone(Repository):
    """The folder of the tiny study in a temporary copy of the working tree."""

    def __init__(self, root: Path) -> None:
        super().__init__(root / "studies/tiny", CLIPCAUSE_SHARDS=str(root.parent / "shards"))
        self.root = root
        clones.copy(root)
        for section in ("embed", "train", "evaluate"):
            self.change(section, "threads", value=1)  # there is a test for each core
        self.run("git", "init", "-q", root)
        self.commit("start")

    def change(self, *path: str, value: object) -> None:
        file = self.folder / "params.yaml"
        content = yaml.safe_load(file.read_text())
        inner = content
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        # of another size: git takes an edit in the second of a checkout for none where the size is
        # the same and DVC has written the index since, which does not look for such files
        what = f"# {'.'.join(path)} is {value}\n"
        file.write_text(what + yaml.safe_dump(content, sort_keys=False))

    def metrics(self, name: str) -> dict:
        return json.loads((self.folder / "metrics" / name).read_text())


def in_folder(folder: Path) -> tuple[str, ...]:
    """The words before a module's name that run it in another folder."""
    return ("env", "-C", str(folder), "python", "-m")


def ran(output: str) -> set[str]:
    """The names of the stages that a `dvc repro` ran or would run."""
    lines = (line for line in output.splitlines() if line.startswith("Running stage"))
    return {line.split("'")[1] for line in lines}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The tiny study, run once."""
    clone = Clone(tmp_path_factory.mktemp("study") / "clone")
    first = clone.python("clipcause", "repro", "--jobs", "2")
    assert "report" in ran(first)
    clone.run(*in_folder(clone.root), "tests.lock", "--write", "studies/tiny")
    clone.commit("the study")
    return clone


def test_a_second_repro_runs_nothing(study):
    again = study.dvc("repro")
    assert ran(again) == set()
    assert "up to date" in again
    assert study.run("git", "status", "--porcelain") == ""


def test_plain_dvc_repro_and_a_python_of_their_own_make_and_record_the_same(study):
    plain = study.environment | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    words = ["dvc", "repro", "-f", "-s", "prune@core", "train@core-0"]
    done = subprocess.run(words, cwd=study.folder, env=plain, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ran(done.stdout) == {"prune@core", "train@core-0"}
    assert study.run("git", "status", "--porcelain") == ""


def test_what_the_study_left(study):
    evaluated = study.metrics("evaluate/full-0.json")
    assert evaluated.keys() == {"val", "sketch", "r", "retrieval"}
    cards = study.metrics("prune/hull-sketch.json")
    assert 0 < cards["kept"] < study.metrics("deduplicate.json")["kept"]
    assert study.metrics("prune/random-hull-sketch.json")["kept"] == cards["kept"]
    page = (study.folder / "report/index.html").read_text()
    assert "hull-sketch" in page
    assert str(study.folder) not in page
    # hull pruning with delta 0: the split with the reference is as near as the reference alone
    gap = study.metrics("gap/hull-sketch.json")["sketch"]
    assert gap["split_and_reference"] == gap["reference"]
    assert study.metrics("gap/full.json")["sketch"]["pool"]["mean"] > gap["reference"]["mean"]


def test_the_encoder_is_the_full_run(study):
    card = json.loads((study.folder / "models/full-0/card.json").read_text())
    store = json.loads((study.folder / "embeddings/clip/pool/card.json").read_text())
    assert store["encoder"] == card["fingerprint"]
    assert card["split"]["base"] == card["split"]["rule"] == "all"


def test_a_new_test_set_trains_nothing(study):
    content = yaml.safe_load((study.folder / "params.yaml").read_text())
    study.change("datasets", "tests/again", value=content["datasets"]["tests/sketch"])
    study.change("tests", "again", value={"task": "classify"})
    would = study.dvc("repro", "--dry", "train@full-0", "embed@pool")
    study.run("git", "checkout", "-q", "params.yaml")
    assert "check" in ran(would)
    assert not ran(would) & {"train@full-0", "embed@pool", "prepare@pool"}


def test_one_split_re_runs_its_own_stages_alone_and_two_commits_are_compared(study):
    study.change("splits", "core", "keep", value=300)
    own = {"check", "prune@core", "gap@core", "train@core-0", "evaluate@core-0"}
    own |= {"analyse", "report"}
    assert ran(study.dvc("repro")) == own
    study.run(*in_folder(study.root), "tests.lock", "--write", "studies/tiny")
    study.commit("a smaller core")
    assert ran(study.dvc("repro")) == set()
    diff = study.python("clipcause", "diff", "HEAD~1:core", "core")
    assert "Jaccard" in diff
    assert study.metrics("prune/core.json")["kept"] == 300
    wrong = study.python("clipcause", "diff", "HEAD~1:cor", "core", fails=True)
    assert "did you mean 'core'" in wrong
    assert "splits.core.keep" in study.dvc("params", "diff", "HEAD~1")
    # what `make plots REV=HEAD~1` does: both revisions in one page, the libraries in it
    study.python("clipcause", "plots")
    study.dvc("plots", "diff", "HEAD~1")
    page = (study.folder / "dvc_plots/index.html").read_text()
    assert "window.vegaEmbed" in page
    assert not re.search(r"<(script|link)[^>]+(src|href)=", page)
    assert '"rev": "HEAD~1"' in page
    assert '"rev": "workspace"' in page


def test_a_remote_of_ones_own_serves_a_second_clone_and_what_is_collected_comes_back(
    study, tmp_path
):
    study.dvc("remote", "add", "-d", "mine", str(tmp_path / "remote"))
    study.commit("a remote")
    study.change("splits", "core", "keep", value=320)
    study.dvc("repro", "-q", "prune@core")
    study.commit("another core")
    study.run("git", "revert", "--no-edit", "HEAD")
    study.dvc("checkout", "-q")
    study.dvc("push", "-q", "--all-commits")
    study.run("git", "clone", "-q", str(study.root), str(tmp_path / "second"))
    # without the first one's shard cache, too
    place = tmp_path / "second/studies/tiny"
    second = Repository(place, CLIPCAUSE_SHARDS=str(tmp_path / "none"))
    second.dvc("pull", "-q")
    assert second.python("clipcause", "repro").startswith("repro: 0 stages run, ")
    assert "beyond noise" in second.python("clipcause", "compare", "core", "random-hull-sketch")
    # what the workspace does not name is of earlier commits: it is read from the remote
    second.dvc("gc", "-q", "-f", "--workspace")
    assert "Jaccard" in second.python("clipcause", "diff", "HEAD~1:core", "core")
    (tmp_path / "remote").rename(tmp_path / "away")
    lost = second.python("clipcause", "diff", "HEAD~1:core", "core", fails=True)
    assert "its bytes are not in the DVC cache" in lost
    assert "`dvc fetch --all-commits`" in lost
    assert lost.count("\n") == 1
    (tmp_path / "away").rename(tmp_path / "remote")
    second.dvc("fetch", "-q", "--all-commits")
    second.dvc("gc", "-q", "-f", "--all-commits")
    (tmp_path / "remote").rename(tmp_path / "away")
    assert "Jaccard" in second.python("clipcause", "diff", "HEAD~1:core", "core")
    assert second.python("clipcause", "repro").startswith("repro: 0 stages run, ")
    assert second.run("git", "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("splits", "core", "kep"), 0.5, "did you mean 'keep'"),
        (("splits", "core", "tests"), ["skech"], "did you mean 'sketch'"),
        (("splits", "core", "rule"), "coer", "did you mean 'core'"),
        (("runs", "core-0", "split"), "corr", "did you mean 'core'"),
        (("train", "bach_size"), 3, "bach_size: unknown parameter"),
    ],
)
def test_a_wrong_name_fails_before_any_work(study, path, value, message):
    study.change(*path, value=value)
    failed = study.dvc("repro", fails=True)
    study.run("git", "checkout", "-q", "params.yaml", "dvc.lock")
    assert message in failed
    assert ran(failed) == {"check"}


def test_a_split_larger_than_its_base_leaves_nothing(study):
    study.change("splits", "core", "keep", value=100_000_000)
    failed = study.dvc("repro", "prune@core", fails=True)
    study.run("git", "checkout", "-q", "params.yaml", "dvc.lock", "metrics")
    assert not (study.folder / "splits/core/pool").exists()
    study.dvc("checkout")
    assert "prune core: error:" in failed
    assert re.search(r"100,?000,?000", failed)


def test_embeddings_that_are_damaged_stop_the_stage(study):
    path = study.folder / "embeddings/clip/tests/val/img_emb/img_emb_0000.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-2] + b"\x00\x7e")  # the last number becomes NaN
    failed = study.python("stages.similarity", "val", fails=True)
    path.write_bytes(whole)
    assert "img_emb_0000.npy" in failed
    assert "error" in failed


def test_a_clone_without_the_cache_fits_its_lock_until_code_changes(study, tmp_path):
    bare = tmp_path / "bare"
    study.run("git", "clone", "-q", str(study.root), str(bare))

    def lock(fails: bool) -> str:
        return study.run(*in_folder(bare), "tests.lock", "studies/tiny", fails=fails)

    assert "fits" in lock(fails=False)
    # of prune alone: the look stops at the first stage that would run without its data
    rules = bare / "stages/prune.py"
    rules.write_text(rules.read_text() + "\nX = 1\n")
    assert "prune@" in lock(fails=True)
    rules.write_text(rules.read_text().removesuffix("\nX = 1\n"))
    (bare / "studies/tiny/metrics/report.json").unlink()
    assert "metrics/report.json" in lock(fails=True)
