"""Killed runs go on to the same weights; torchrun starts several processes."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
import torch

from clipcause.config import layout
from clipcause.embed import checkpoint
from tests import learning_processes, learning_study, warm
from tests.learning_processes import MEMORY, STREAM, started, trained
from tests.learning_study import LAYER_NORM

ROOT = Path(__file__).parents[1]
# random in the model: what reads the data may draw nothing from its generator
DROPOUT = {**LAYER_NORM, "vision_cfg": {**LAYER_NORM["vision_cfg"], "patch_dropout": 0.5}}
KINDS = pytest.mark.parametrize(
    "data",
    [{**MEMORY, "model": LAYER_NORM}, {**STREAM, "model": DROPOUT}],
    ids=["memory", "stream"],
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    learning_processes.build(root)
    return root


@pytest.fixture
def here(root, monkeypatch):
    return learning_study.enter(root, monkeypatch)


@KINDS
@pytest.mark.parametrize("size", [1, 2])
def test_a_killed_run_goes_on_to_the_same_bits(here, data, size, capsys):
    whole = trained(here, "half", size, data)
    codes = started(here, "half", size, killed_at=7)
    assert codes[0] == -signal.SIGKILL
    assert all(code not in (0, None) for code in codes)
    (left,) = (here / "shards").glob("*.state")
    assert torch.load(left, weights_only=True)["step"] == 6
    again = trained(here, "half", size, data)
    assert again.fingerprint == whole.fingerprint
    assert again.log() == whole.log()
    assert not left.exists()
    if size == 1:
        assert "going on from step 6" in capsys.readouterr().err


def test_torchrun_is_started_and_one_process_speaks(here):
    learning_study.change(
        here, train={"processes": 2, "accumulate": 1, **STREAM}, engine={"loaders": 1}
    )
    done = subprocess.run(
        [warm.folder() / "python", "-m", "stages.train", "half"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("train half: models/half, clip on 20 rows of the pool")
    assert done.stdout.count("\n") == 1
    learning_study.change(here, engine={"loaders": 0})
    stored = checkpoint.read(layout.model("half"))
    # loaders are in no recipe, for they change no bit
    assert stored.fingerprint == trained(here, "half", 2, STREAM).fingerprint
    assert not {"loaders", "workers"} & stored.card["training"]["parameters"].keys()
