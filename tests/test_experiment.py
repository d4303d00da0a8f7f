"""experiment: a preset runs beside the default study, whose files stay as they are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from clipcause.check import paths
from stages import experiment

ROOT = Path(__file__).parents[1]
PIPELINE = """\
stages:
  prune:
    foreach: ${splits}
    do:
      cmd: python make.py ${key} ${item.size} ${size}
      deps:
        - ${item.raw}
      params:
        - "splits.${key}"
      outs:
        - out/${key}
        - report/figures/${key}.svg:
            cache: false
      metrics:
        - metrics/${key}.json:
            cache: false
"""
MAKE = """\
import pathlib, sys

key, count, text = sys.argv[1:]
for name, content in {
    f"out/{key}": count,
    f"metrics/{key}.json": '{"x": %d}' % int(count),
    f"report/figures/{key}.svg": text * int(count),
}.items():
    pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(name).write_text(content)
"""
DEFAULT = {"size": "s", "splits": {"full": {"size": 1, "raw": "make.py"}}}
PRESET = {"size": "2.10", "splits": {"core": {"size": 2, "raw": "make.py"}}}
WRONG = PRESET["splits"] | {"second": {"size": "two", "raw": "make.py"}}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A repository with a pipeline of a moment, its default run and committed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    Path("presets").mkdir()
    Path("params.yaml").write_text(yaml.safe_dump(DEFAULT))
    Path("dvc.yaml").write_text(PIPELINE)
    Path("make.py").write_text(MAKE)
    Path("notes.txt").touch()
    Path(".gitignore").write_text("/out\n")
    run("git", "init", "-q")
    for key, value in {"user.name": "test", "user.email": "test@example.org"}.items():
        run("git", "config", key, value)
    run("dvc", "init", "-q")
    run("dvc", "config", "core.analytics", "false")
    run("dvc", "repro")
    run("git", "add", "-A")
    run("git", "commit", "-qm", "default")
    return tmp_path


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def experiment_of(name, *, fails=False):
    """Run and export as `main` does, in a process of its own: DVC's libraries warn."""
    code = (
        "import sys; from stages import experiment\n"
        "def main(name): return str(experiment.export(experiment.execute(name), name))\n"
        "experiment.run(main)"
    )
    words = (sys.executable, "-c", code, name)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


def test_a_preset_leaves_results_and_the_default_alone(study):
    # not tracked, as a preset that somebody just wrote
    Path("presets/big.yaml").write_text("# a comment\n" + yaml.safe_dump(PRESET))
    # changed and not committed
    Path("make.py").write_text(MAKE.replace("text * int", "'!' + text * int"))
    before = run("git", "status", "--porcelain").splitlines()
    assert "Running stage 'prune@core'" in experiment_of("big")
    assert run("git", "status", "--porcelain").splitlines() == [*before, "?? results/"]
    target = Path("results/big")
    found = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert found == {"params.yaml", "dvc.lock", "metrics/core.json", "report/figures/core.svg"}
    assert yaml.safe_load((target / "params.yaml").read_text()) == PRESET
    assert (target / "report/figures/core.svg").read_text() == "!2.102.10"
    assert yaml.safe_load((target / "dvc.lock").read_text())["stages"].keys() == {"prune@core"}
    kept = run("git", "for-each-ref", "refs/exps")
    assert kept.splitlines()[0].endswith("/big")
    # a failed run leaves nothing here, and the last good one with its name
    changed = yaml.safe_dump(PRESET | {"splits": WRONG})
    Path("presets/big.yaml").write_text(changed)
    failed = experiment_of("big", fails=True)
    assert "run the same command again" in failed.splitlines()[-1]
    assert run("git", "for-each-ref", "refs/exps") == kept
    assert yaml.safe_load((target / "params.yaml").read_text()) == PRESET
    # begun again, it goes on: what was finished is not run again, removed code is not there
    Path("presets/big.yaml").write_text(changed.replace("two", "2"))
    Path("notes.txt").unlink()
    output = experiment_of("big")
    assert "Running stage 'prune@second'" in output
    assert "Running stage 'prune@core'" not in output
    assert Path("results/big/metrics/second.json").exists()
    assert not Path(".dvc/tmp/presets/big/notes.txt").exists()
    assert len(run("git", "for-each-ref", "refs/exps").splitlines()) == 1


def test_unknown_presets_and_missing_paths_are_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("presets").mkdir()
    Path("presets/big.yaml").touch()
    with pytest.raises(ValueError, match="unknown preset 'bigg'; did you mean 'big'"):
        experiment.main("bigg")
    gone = [paths.Place("datasets.pool.place", "/nowhere", paths.MISSING)]
    monkeypatch.setattr(experiment, "check_preset", lambda _: ({}, gone))
    with pytest.raises(FileNotFoundError, match=r"1 path.* missing:\n.*/nowhere .datasets.pool"):
        experiment.main("big")
