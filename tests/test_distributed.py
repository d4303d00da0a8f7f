"""Two processes with half the batch each follow the one that has all of it."""

import functools
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stages import train
from stages.artifacts import cache, checkpoint, dataset, layout, split
from stages.learning import curves, distributed, loop, models, step
from stages.learning.distributed import World
from stages.parameters import parse
from stages.parameters.train import Train
from tests import learning_study

ROOT = Path(__file__).parents[1]
# float32 sums in another order; the greatest difference seen over 20 steps is 2e-6
RELATIVE = 1e-4
STEPS = 20
MEMORY = {"data": "memory"}
STREAM = {"data": "stream", "streams": 2, "shuffle": 8}
KINDS = pytest.mark.parametrize("data", [MEMORY, STREAM], ids=["memory", "stream"])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A study with a model that is normalised layer by layer, in float32."""
    root = tmp_path_factory.mktemp("study")
    learning_study.build(root)
    optimiser = {**learning_study.OPTIMISER, "samples_seen": 16 * STEPS}
    objectives = {"clip": optimiser, "supervised": optimiser}
    learning_study.change(
        root,
        train={"model": learning_study.LAYER_NORM, "precision": "fp32", **objectives},
        runs={
            "half": {"split": "half", "objective": "clip", "seed": 0},
            "labels": {"split": "none", "objective": "supervised", "seed": 0},
        },
    )
    pool = dataset.read(root / layout.dataset("pool"))
    card = {"pool": pool.sha256, "pool_rows": len(pool)}
    split.write(root / layout.split("half"), range(1, 40, 2), card=card)
    return root


@pytest.fixture
def here(root, monkeypatch):
    monkeypatch.chdir(root)
    monkeypatch.setenv(cache.ENVIRONMENT, str(root / "shards"))
    return root


def rank(root, run, number, size, port, killed_at):
    """One of several processes, as torchrun starts them; a state is written after every step."""
    os.chdir(root)
    os.environ |= {"RANK": str(number), "WORLD_SIZE": str(size), "LOCAL_RANK": str(number)}
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        cache.ENVIRONMENT: "shards",
    }
    vars(loop)["train"] = functools.partial(loop.train, save_every_s=0.0)
    if killed_at:
        add = curves.Curves.add

        def killing(self, line):
            add(self, line)
            if line["step"] == killed_at and number == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        curves.Curves.add = killing
    train.main(run)


def started(root, run, size, killed_at=None):
    """Run all ranks; their exit codes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "torch._dynamo"])  # which DDP loads
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [
        context.Process(target=rank, args=(root, run, number, size, port, killed_at))
        for number in range(size)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(120)
    return [process.exitcode for process in ranks]


def trained(root, run, size, changes):
    learning_study.change(root, train={"accumulate": 1, **changes, "processes": size})
    if size == 1:
        train.main(run)
    else:
        assert started(root, run, size) == [0] * size
    return checkpoint.read(root / layout.model(run))


def losses(stored):
    return [line["loss"] for line in stored.log()]


@pytest.mark.parametrize(
    ("run", "changes"),
    [
        ("half", MEMORY),
        ("half", STREAM),
        ("labels", MEMORY),
        ("half", {**MEMORY, "accumulate": 2}),
    ],
    ids=["memory", "stream", "supervised", "accumulated"],
)
def test_two_processes_follow_the_curve_of_one(here, run, changes):
    alone = losses(trained(here, run, 1, {**changes, "accumulate": 1}))
    together = losses(trained(here, run, 2, changes))
    assert len(alone) == STEPS
    assert together == pytest.approx(alone, rel=RELATIVE)
    assert alone[-1] < alone[0]


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
    learning_study.change(here, train={"processes": 2, "accumulate": 1, **STREAM, "workers": 1})
    done = subprocess.run(
        [sys.executable, "-m", "stages.train", "half"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("train half: models/half, clip on 20 rows of the pool")
    assert done.stdout.count("\n") == 1
    learning_study.change(here, train={"workers": 0})
    stored = checkpoint.read(layout.model("half"))
    # loaders are in no recipe, for they change no bit
    assert stored.fingerprint == trained(here, "half", 2, STREAM).fingerprint
    assert "workers" not in stored.card["training"]["parameters"]


def settings(**changes):
    return parse({**learning_study.PARAMS["train"], **changes}, Train, "train")


@pytest.mark.parametrize(
    ("launcher", "expected"),
    [
        ("none", [sys.executable, "-m", "torch.distributed.run", "--standalone"]),
        ("srun -N 2 torchrun --nnodes 2", ["srun", "-N", "2", "torchrun", "--nnodes", "2"]),
    ],
)
def test_how_processes_are_launched(monkeypatch, launcher, expected):
    called = []
    monkeypatch.setattr(distributed.os, "execvp", lambda file, words: called.append(words))
    distributed.launch(settings(), "stages.train", "x")
    assert not called
    distributed.launch(settings(processes=4, launcher=launcher), "stages.train", "x")
    (words,) = called
    assert words[: len(expected)] == expected
    assert words[-3:] == ["-m", "stages.train", "x"]
    assert ("--nproc-per-node=4" in words) == (launcher == "none")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    distributed.launch(settings(processes=4), "stages.train", "x")
    assert len(called) == 1
    assert not distributed.first()


def test_as_many_processes_as_the_parameters_say(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "3")
    with (
        pytest.raises(ValueError, match=r"train\.processes is 2, and 3 were started"),
        distributed.joined(settings(processes=2)),
    ):
        pass


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"processes": 3}, r"train\.clip: .* 3 parts .*: take batch_size 15 or 18"),
        ({"data": "stream", "streams": 3, "processes": 2}, r"train\.streams: .*2 processes with 1"),
        ({"data": "stream", "streams": 6}, r"take batch_size 12 or 18"),
        ({"accumulate": 32}, "take batch_size 0 or 32"),
        ({"precision": "fp16"}, r"train\.device: .*fp16 needs device cuda"),
        ({"model": {"name": "ViT-B-23"}}, r"train\.model\.name: .*did you mean 'ViT-B-32'"),
        ({"model": {}}, r"train\.model\.embed_dim: .*missing"),
        ({"model": {"name": "ViT-B-32", "embed_dim": 4}}, "give the name alone"),
        ({"merges": "clap"}, r"train\.merges"),
        ({"clip": {**learning_study.OPTIMISER, "crop": [1.0, 0.5]}}, r"train\.clip\.crop"),
    ],
)
def test_parameters_that_do_not_go_together(changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


@pytest.fixture
def clip():
    config = learning_study.PARAMS["train"]["model"]
    return models.create(config, None, image_size=32, seed=0)


def test_batch_normalisation_in_several_processes_is_for_gpus(clip):
    with pytest.raises(ValueError, match="batch normalisation, which 2 processes"):
        step.prepare(clip, settings(processes=2), World(0, 2))
    step.prepare(clip, settings(), World())
