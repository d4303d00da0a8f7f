"""Which stages changed: what DVC says of each, whatever was changed how."""

import shutil

import pytest
import yaml

from clipcause.runtime.changes import Changes
from tests.repository import Repository

PARAMS = {
    "items": {"a": {"rule": "x", "list": [1, 2]}, "b": {"rule": "y"}},
    "size": 3,
    "text": "yes or no",
}
STAGES = {
    "first": {
        "cmd": "python -m write out/first",
        "deps": ["source"],
        "params": ["items.a", "size"],
        "outs": ["out/first"],
    },
    "second": {
        "cmd": "python -m write out/second",
        "deps": ["out/first"],
        "params": ["items.b.rule", "text"],
        "outs": ["out/second", {"number.json": {"cache": False}}],
    },
    "third": {"cmd": "python -m write out/third", "deps": ["out"], "outs": ["third"]},
}
WRITE = """
import sys
from pathlib import Path
out = Path(sys.argv[1] if "third" not in sys.argv[1] else "third")
out.mkdir(parents=True, exist_ok=True)
(out / "content").write_text(str(out))
Path("number.json").write_text("1")
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A repository whose stages have run."""
    repository = Repository(tmp_path_factory.mktemp("made") / "repo")
    repository.folder.mkdir()
    (repository.folder / "source").write_text("1")
    (repository.folder / "write.py").write_text(WRITE)
    (repository.folder / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    # `third` reads the folder that the others write into
    stages = STAGES | {"third": {**STAGES["third"], "deps": ["out/second"]}}
    (repository.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    repository.init()
    repository.dvc("repro")
    repository.commit("made")
    return repository.folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def params(**changes):
    def change(folder):
        (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS | changes))

    return change


def written(name, text):
    return lambda folder: (folder / name).write_text(text)


def removed(name):
    def change(folder):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def lock(change):
    def edit(folder):
        content = yaml.safe_load((folder / "dvc.lock").read_text())
        change(content["stages"])
        (folder / "dvc.lock").write_text(yaml.safe_dump(content))

    return edit


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (lambda folder: None, []),
        (params(size=4), ["first"]),
        (params(items={"a": {"rule": "x", "list": [1, 3]}, "b": {"rule": "y"}}), ["first"]),
        (params(items={"a": {"list": [1, 2], "rule": "x"}, "b": {"rule": "y"}}), []),
        (params(items={"a": {"rule": "x", "list": [1, 2]}, "b": {}}), ["second"]),
        (params(items={"a": {"rule": "x", "list": [1, 2]}, "b": 1}), ["second"]),
        (params(size="3"), ["first"]),
        (params(other=1), []),
        (removed("params.yaml"), ["first", "second"]),
        (written("source", "2"), ["first"]),
        (written("out/first/content", "2"), ["first", "second"]),
        (written("out/second/more", "2"), ["second", "third"]),
        (removed("out/first"), ["first", "second"]),
        (removed("third"), ["third"]),
        (written("number.json", "2"), ["second"]),
        (lock(lambda stages: stages.pop("first")), ["first"]),
        (lock(lambda stages: stages["second"]["params"]["params.yaml"].pop("text")), ["second"]),
        (lock(lambda stages: stages["third"].update(cmd="other")), ["third"]),
    ],
)
def test_it_says_what_dvc_says(folder, change, changed):
    from dvc.repo import Repo

    change(folder)
    with Repo() as repo, repo.lock:
        stages = list(repo.index.stages)
        known = Changes(stages)
        for _ in range(2):  # the second time from what is known
            assert [stage.name for stage in stages if known.of(stage)] == changed
        assert [stage.name for stage in stages if stage.changed()] == changed


def test_what_a_command_writes_is_looked_at_anew_and_nothing_else(folder, monkeypatch):
    from dvc.output import Output
    from dvc.repo import Repo

    with Repo() as repo, repo.lock:
        stages = {stage.name: stage for stage in repo.index.stages}
        known = Changes(stages.values())
        assert not any(known.of(stage) for stage in stages.values())
        (folder / "out/first/content").write_text("2")
        # a stage's output is written by its command alone, which says so
        assert not known.of(stages["second"])
        known.forget(stages["first"])
        assert known.of(stages["first"])
        assert known.of(stages["second"])
        looked = []
        status = Output.status
        monkeypatch.setattr(Output, "status", lambda one: looked.append(str(one)) or status(one))
        assert not known.of(stages["third"])
        assert looked == []
        # what no stage writes is looked at each time
        (folder / "out/first/content").write_text("out/first")
        known.forget(stages["first"])
        assert not known.of(stages["first"])
        (folder / "source").write_text("2")
        assert known.of(stages["first"])


def test_parameters_are_read_again_when_their_file_is_another(folder):
    from dvc.repo import Repo

    with Repo() as repo, repo.lock:
        stages = {stage.name: stage for stage in repo.index.stages}
        known = Changes(stages.values())
        assert not known.of(stages["first"])
        params(size=44)(folder)
        assert known.of(stages["first"])
        assert not known.of(stages["second"])


def test_what_dvc_always_runs_need_not_be_run_where_what_it_would_write_is_there(folder):
    from dvc.repo import Repo

    stages = yaml.safe_load((folder / "dvc.yaml").read_text())
    stages["stages"]["first"]["always_changed"] = True
    (folder / "dvc.yaml").write_text(yaml.safe_dump(stages))
    asked, answers = [], {"first": True}

    def holds(name):
        asked.append(name)
        return answers[name]

    with Repo() as repo, repo.lock:
        (first,) = (stage for stage in repo.index.stages if stage.name == "first")
        assert Changes([first]).of(first)  # as DVC says
        known = Changes([first], holds)
        assert not known.of(first)
        assert not known.of(first)
        assert asked == ["first"]  # once until it is run, for it may take a network
        answers["first"] = False
        known.forget(first)
        assert known.of(first)
        # what makes other stages run makes this one run, too
        answers["first"] = True
        written("source", "2")(folder)
        assert Changes([first], holds).of(first)
