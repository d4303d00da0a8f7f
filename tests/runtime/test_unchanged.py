"""A stage is recorded under the code that it ran, by DVC itself; and a study like the root."""

import copy
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from clipcause.runtime import code, unchanged
from clipcause.runtime.imports import files
from tests.repository import Repository

ROOT = Path(__file__).parents[2]
STAGE = """
import time
from pathlib import Path

from clipcause import rule
from clipcause.runtime.entry import run


def main():
    Path("begun").touch()
    while Path("wait").exists():
        time.sleep(0.02)
    Path("out").write_text(rule.VALUE)
    return "done"


if __name__ == "__main__":
    run(main)
"""
OTHER = STAGE.replace('"out"', '"other"').replace("rule.VALUE", "'x'")
OTHER = OTHER.replace("from clipcause import rule\n", "")
LINKED = ("stages", "clipcause", "code")  # what a study shares with the root


class Project(Repository):
    """A repository of two small stages and the library's own modules that stages start by."""

    def __init__(self, folder: Path) -> None:
        own = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        super().__init__(folder, PATH=own)  # stages start as they always do
        for module in ("clipcause.__main__", "clipcause.runtime.code", "clipcause.runtime.entry"):
            for path in files(module, ROOT).values():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, folder / path)
        (folder / "stages").mkdir()
        shutil.copyfile(ROOT / "stages/__init__.py", folder / "stages/__init__.py")
        (folder / "stages/one.py").write_text(STAGE)
        (folder / "stages/two.py").write_text(OTHER)
        self.rule.write_text("VALUE = 'a'\n")
        self.pipeline(folder)
        (folder / ".gitignore").write_text("__pycache__\nbegun\nwait\nout\nother\n")
        shutil.copyfile(ROOT / ".dvcignore", folder / ".dvcignore")
        self.init()
        self.python("clipcause", "code")

    def pipeline(self, folder: Path) -> None:
        stages = {
            name: {"cmd": f"python -m stages.{name}", "deps": [f"code/{name}"], "outs": [out]}
            for name, out in {"one": "out", "two": "other"}.items()
        }
        (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))

    def study(self) -> Path:
        """A project of DVC's in the repository that shares its code by links."""
        folder = self.folder / "studies/x"
        folder.mkdir(parents=True)
        for name in LINKED:
            (folder / name).symlink_to(f"../../{name}")
        self.pipeline(folder)
        self.folder = folder
        self.dvc("init", "-q", "--subdir")
        return folder

    @property
    def rule(self) -> Path:
        return self.folder / "clipcause/rule.py"

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            words, cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def lock(self) -> dict:
        return yaml.safe_load((self.folder / "dvc.lock").read_text())["stages"]


def failed(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=120)
    assert process.returncode != 0, out
    return out


def until(path: Path) -> None:
    for _ in range(6000):
        if path.exists():
            return
        time.sleep(0.02)
    raise AssertionError(f"{path} did not come")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("project"))
    project.dvc("repro", "-q")
    return project


@pytest.fixture
def project(finished, tmp_path):
    """A copy of the project, finished, for every test."""
    shutil.copytree(finished.folder, tmp_path / "p", symlinks=True)
    made = copy.copy(finished)
    made.folder = tmp_path / "p"
    return made


def test_an_edit_is_seen_at_once_by_every_command(project):
    assert "up to date" in project.dvc("status")
    project.rule.write_text("VALUE = 'b'\n")  # as many bytes
    assert "modified:           code/one" in project.dvc("status", "one")
    said = project.dvc("status")
    assert "one:" in said
    assert "two:" not in said
    assert "Running stage 'one'" in project.dvc("repro", "-s", "one")
    assert (project.folder / "out").read_text() == "b"
    # a comment runs the stage again as well: DVC knows bytes
    project.rule.write_text("VALUE = 'b'  # why\n")
    assert "code/one" in project.dvc("status", "one")
    # the code of before: its result is known
    project.rule.write_text("VALUE = 'a'\n")
    assert "Stage 'one' is cached" in project.dvc("repro")
    assert (project.folder / "out").read_text() == "a"


def test_a_study_that_shares_code_by_links_is_watched(project):
    rule, root = project.rule, project.folder
    study = project.study()
    project.dvc("repro", "-q")
    assert "up to date" in project.dvc("status")
    rule.write_text("VALUE = 'b'\n")
    assert "modified:           code/one" in project.dvc("status", "one")
    assert "Running stage 'one'" in project.dvc("repro", "-s", "one")
    assert (study / "out").read_text() == "b"
    # the same bytes as the root's: the hash of a folder is of what the links lead to
    project.folder = root
    assert "code/one" in project.dvc("status", "one")
    project.dvc("repro", "-q")
    locks = [yaml.safe_load((folder / "dvc.lock").read_text()) for folder in (root, study)]
    assert locks[0]["stages"]["one"]["deps"] == locks[1]["stages"]["one"]["deps"]


def test_a_new_import_stops_the_stage_at_its_start(project):
    (project.folder / "clipcause/late.py").write_text("VALUE = 'b'\n")
    project.rule.write_text("from clipcause.late import VALUE as VALUE\n")
    said = project.dvc("repro", "-s", "one", fails=True)
    line = "one: error: code/one: no link to clipcause/late.py, which stages.one imports; run "
    assert f"{line}`python -m clipcause code`\n" in said
    assert "Traceback" not in said
    assert project.python("clipcause", "code") == "code: one to change; all are up to date\n"
    project.dvc("repro", "-q", "-s", "one")
    assert (project.folder / "out").read_text() == "b"


@pytest.mark.parametrize("again", [False, True], ids=["edited", "edited and taken back"])
def test_an_edit_while_the_stage_runs_is_not_recorded(project, again):
    before = project.lock()
    project.rule.write_text("VALUE = 'b'\n")
    (project.folder / "begun").unlink()
    (project.folder / "wait").touch()
    process = project.start(sys.executable, "-m", "dvc", "repro", "-s", "one")
    until(project.folder / "begun")
    project.rule.write_text("VALUE = 'c'\n")
    if again:
        project.rule.write_text("VALUE = 'b'\n")
    (project.folder / "wait").unlink()
    said = failed(process)
    assert "one: error: clipcause/rule.py was written to while the stage ran" in said
    assert project.lock() == before
    project.dvc("repro", "-q", "-s", "one")
    assert (project.folder / "out").read_text() == ("b" if again else "c")


def test_code_that_changes_while_python_starts(project):
    """The stage's own file is read, and imports take a while: the edit comes in between."""
    slow = "import time\nfrom pathlib import Path\nPath('begun').touch()\n"
    slow += "while Path('wait').exists():\n    time.sleep(0.02)\n"
    stage = project.folder / "stages/one.py"
    stage.write_text(slow + stage.read_text())
    (project.folder / "begun").unlink()
    (project.folder / "wait").touch()
    process = project.start(sys.executable, "-m", "dvc", "repro", "-s", "one")
    until(project.folder / "begun")
    stage.write_text(stage.read_text() + "\nX = 1\n")
    (project.folder / "wait").unlink()
    said = failed(process)
    assert "one: error: stages/one.py was written to while the stage started; run it again" in said


def test_a_module_that_no_import_statement_names(project):
    """Loaded by its name, it is found when the stage ends."""
    (project.folder / "clipcause/late.py").write_text("VALUE = 'b'\n")
    load = "import importlib\nVALUE = importlib.import_module('clipcause.late').VALUE\n"
    project.rule.write_text(load)
    said = project.dvc("repro", "-s", "one", fails=True)
    assert "clipcause/late.py is loaded, and code/one has no link to it; name the module" in said


def test_code_of_another_folder(project, tmp_path):
    """PYTHONSAFEPATH, say: then Python does not take the code that DVC watches."""
    shutil.copytree(project.folder, tmp_path / "other", symlinks=True)
    project.run("git", "add", "-A")
    words = ["env", "PYTHONSAFEPATH=1", f"PYTHONPATH={tmp_path / 'other'}"]
    said = project.run(*words, sys.executable, "-m", "stages.one", fails=True)
    assert "other/stages/one.py is loaded, and not stages/one.py of this folder" in said


@pytest.fixture
def running(tmp_path, monkeypatch):
    """This process as a stage of one file."""
    monkeypatch.chdir(tmp_path)
    path = Path("clipcause/a.py")
    link = Path("code/some/clipcause.a.py")
    for one in (path, link):
        one.parent.mkdir(parents=True)
    path.write_text("A = 1\n")
    link.symlink_to(code.link(path))
    name = link.name
    marks = {name: unchanged.Mark.of(path)}
    monkeypatch.setattr(unchanged, "_running", None)
    unchanged.follow(unchanged.Running("stages.some", {name: path}, marks))
    return path


def test_a_mode_or_a_hard_link_is_no_edit(running):
    running.chmod(0o600)
    os.link(running, "another")
    unchanged.check()


@pytest.mark.parametrize("how", ["gone", "replaced", "touched", "led elsewhere"])
def test_what_is_an_edit(running, how):
    if how == "gone":
        running.unlink()
    elif how == "replaced":
        shutil.copy2(running, "new")
        Path("new").replace(running)
    elif how == "touched":
        os.utime(running, ns=(0, 0))
    else:
        Path("code/some/clipcause.a.py").unlink()
        Path("code/some/clipcause.a.py").symlink_to("../../clipcause/b.py")
    with pytest.raises(ValueError, match="while the stage ran"):
        unchanged.check()


def test_where_no_stage_runs_nothing_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(unchanged, "_running", None)
    monkeypatch.chdir(tmp_path)
    unchanged.begin("stages.nothing")  # no folder `code` here
    unchanged.check()
    unchanged.end()
    assert unchanged.running() is None
