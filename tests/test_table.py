"""`make table`: what `dvc exp show` shows fits a terminal."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.repository import Repository

ROOT = Path(__file__).parent.parent
WIDTH = 120


def command(*variables):
    """What `make table` runs, without the environment that it would install first."""
    words = ["make", "-n", "-o", ".venv/.main", "table", *variables]
    made = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return next(line for line in made.splitlines() if line.startswith("dvc exp show"))


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository with the metrics of a study and no stage."""
    made = Repository(tmp_path_factory.mktemp("table"), COLUMNS=str(WIDTH))
    made.init()
    tests = ("val", "sketch", "r")
    numbers = {
        "accuracy": {run: dict.fromkeys(tests, 0.7123456) for run in ("full-0", "hull-r-0")},
        "drop": {name: dict.fromkeys(tests, 0.0123456) for name in ("hull-sketch", "hull-r")},
    }
    for name, text in {
        "metrics/report.json": json.dumps(numbers),
        "params.yaml": "deduplicate: {threshold: 0.98}\nseed: 0\n",
        "dvc.yaml": "metrics: [metrics/report.json]\nparams: [params.yaml]\nstages: {}\n",
    }.items():
        (made.folder / name).parent.mkdir(exist_ok=True)
        (made.folder / name).write_text(text)
    made.commit("a")
    return made


def shown(repository, line):
    return repository.run("sh", "-c", line.replace("dvc ", "python -m dvc ", 1))


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
