"""`make table`: what `dvc exp show` shows fits a terminal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WIDTH = 120


def command(*variables):
    """What `make table` runs, without the environment that it would install first."""
    words = ["make", "-n", "-o", ".venv/.main", "table", *variables]
    made = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return next(line for line in made.splitlines() if line.startswith("dvc exp show"))


@pytest.fixture
def repository(tmp_path):
    """A repository with the metrics of a study and no stage."""

    def run(*words):
        subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)

    dvc = (sys.executable, "-m", "dvc")
    run("git", "init", "-q")
    run(*dvc, "init", "-q")
    run(*dvc, "config", "core.analytics", "false")
    tests = ("val", "sketch", "r")
    numbers = {
        "accuracy": {run: dict.fromkeys(tests, 0.7123456) for run in ("full-0", "hull-r-0")},
        "drop": {name: dict.fromkeys(tests, 0.0123456) for name in ("hull-sketch", "hull-r")},
    }
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/report.json").write_text(json.dumps(numbers))
    (tmp_path / "params.yaml").write_text("deduplicate: {threshold: 0.98}\nseed: 0\n")
    (tmp_path / "dvc.yaml").write_text(
        "metrics: [metrics/report.json]\nparams: [params.yaml]\nstages: {}\n"
    )
    run("git", "add", ".")
    run("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "a")
    return tmp_path


def shown(folder, line):
    line = line.replace("dvc ", f"{sys.executable} -m dvc ", 1)
    environment = {**os.environ, "COLUMNS": str(WIDTH)}
    done = subprocess.run(
        line, shell=True, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_table_of_experiments_fits_a_terminal(repository):
    text = shown(repository, command())
    columns = "Experiment accuracy.full-0.val drop.hull-r.r drop.hull-sketch.sketch"
    head = next(line for line in text.splitlines() if "Experiment" in line)
    assert set(head.split()) == {*columns.split(), "deduplicate.threshold"}
    assert "workspace" in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_a_column_can_be_added(repository):
    assert "seed" in shown(repository, command("KEEP=seed$$"))
