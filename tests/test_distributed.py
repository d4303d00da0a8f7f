"""Two processes with half the batch each follow the one that has all of it."""

import dataclasses
import shutil
import sys

import pytest

from clipcause.config import layout, parse
from clipcause.config.train import Train, divided
from clipcause.data import dataset
from clipcause.embed import models
from clipcause.prune import split
from clipcause.runtime import shard_cache as cache
from clipcause.train import distributed, step
from clipcause.train.distributed import World
from stages import train
from tests import learning_processes, learning_study
from tests.learning_processes import MEMORY, STEPS, STREAM, trained

# float32 sums in another order; the greatest difference seen over 20 steps is 3e-6
RELATIVE = 1e-4
PLAIN = {"accumulate": 1, "gradient_checkpointing": False}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    learning_processes.build(root)
    return root


@pytest.fixture
def here(root, monkeypatch):
    return learning_study.enter(root, monkeypatch)


def losses(stored):
    return [line["loss"] for line in stored.log()]


@pytest.mark.parametrize(
    ("run", "changes"),
    [
        ("half", MEMORY),
        ("half", STREAM),
        ("labels", MEMORY),
        ("pairs", MEMORY),
        ("pairs", {**MEMORY, "accumulate": 2}),
        ("half", {**MEMORY, "accumulate": 2, "gradient_checkpointing": True}),
    ],
    ids=["memory", "stream", "supervised", "sigmoid", "sigmoid accumulated", "accumulated"],
)
def test_two_processes_follow_the_curve_of_one(here, run, changes):
    alone = losses(trained(here, run, 1, changes | PLAIN))
    together = losses(trained(here, run, 2, PLAIN | changes))
    assert len(alone) == STEPS
    assert together == pytest.approx(alone, rel=RELATIVE)
    assert alone[-1] < alone[0]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A study whose pool has twenty classes, and runs with vocabularies of eighteen."""
    root = tmp_path_factory.mktemp("many")
    learning_processes.build(root)
    shutil.rmtree(root / "data/pool")
    samples = [
        dataclasses.replace(one, label=f"c{index % 20:02}")
        for index, one in enumerate(learning_study.samples(40, 0, labelled=True))
    ]
    dataset.write(root / "data/pool", samples, shard_size=16, max_drop_fraction=0.0)
    card = {"pool": dataset.read(root / "data/pool").sha256, "pool_rows": 40}
    split.write(root / layout.split("all"), range(40), card=card)
    entry = {"split": "all", "objective": "supervised", "seed": 0, "add_reference": False}
    runs = {
        scope: {**entry, "vocabulary": {"size": 18, "scope": scope}}
        for scope in ("global", "device")
    }
    learning_study.change(root, runs=runs)
    return root


def test_the_scope_of_a_vocabulary(many, monkeypatch):
    """Global: two processes draw what one does; device: each for its own half of the batch."""
    monkeypatch.chdir(many)
    monkeypatch.setenv(cache.ENVIRONMENT, str(many / "shards"))
    curves = {
        (scope, size): trained(many, scope, size, MEMORY).log()
        for scope in ("global", "device")
        for size in (1, 2)
    }
    assert curves["device", 1] == curves["global", 1]
    one, together, apart = (
        [line["loss"] for line in curves[key]]
        for key in (("global", 1), ("global", 2), ("device", 2))
    )
    assert together == pytest.approx(one, rel=RELATIVE)
    assert apart != pytest.approx(one, rel=RELATIVE)
    assert all(line["vocabulary"] == 18 for curve in curves.values() for line in curve)


def settings(**changes):
    return parse({**learning_study.PARAMS["train"], **changes}, Train, "train")


@pytest.mark.parametrize(
    ("launcher", "expected"),
    [
        ("none", [sys.executable, "-m", "clipcause.train.torchrun", "--standalone"]),
        ("srun -N 2 torchrun --nnodes 2", ["srun", "-N", "2", "torchrun", "--nnodes", "2"]),
    ],
)
def test_how_processes_are_launched(monkeypatch, launcher, expected):
    called = []
    monkeypatch.setattr(distributed.os, "execvp", lambda file, words: called.append(words))
    distributed.launch(settings(), "none", "stages.train", "x")
    assert not called
    distributed.launch(settings(processes=4), launcher, "stages.train", "x")
    (words,) = called
    assert words[: len(expected)] == expected
    assert words[-3:] == ["-m", "stages.train", "x"]
    assert ("--nproc-per-node=4" in words) == (launcher == "none")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    distributed.launch(settings(processes=4), launcher, "stages.train", "x")
    assert len(called) == 1


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
        ({"workers": 2}, r"train\.workers: unknown parameter"),
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


@pytest.mark.parametrize(("loaders", "processes", "streams"), [(0, 2, 3), (3, 1, 4), (4, 2, 4)])
def test_loaders_that_do_not_divide_the_streams(here, loaders, processes, streams):
    batches = {
        name: {**learning_study.OPTIMISER, "batch_size": 24, "samples_seen": 48}
        for name in ("clip", "supervised")
    }
    changes = {"data": "stream", "processes": processes, "streams": streams, **batches}
    message = (
        rf"engine\.loaders is {loaders}, train\.processes {processes} and train\.streams {streams}"
    )
    with pytest.raises(ValueError, match=message):
        divided(settings(**changes), loaders)
    divided(settings(**changes | MEMORY), loaders)


def test_training_says_it_before_it_begins(here):
    learning_study.change(here, engine={"loaders": 3})
    try:
        with pytest.raises(ValueError, match=r"engine\.loaders is 3"):
            trained(here, "half", 1, {**STREAM, **PLAIN})
        with pytest.raises(ValueError, match=r"engine\.loaders is 3"):
            train.main("full-0")
    finally:
        learning_study.change(here, engine={"loaders": 0})


@pytest.fixture
def clip():
    config = learning_study.PARAMS["train"]["model"]
    return models.create(config, None, image_size=32, seed=0)


def test_batch_normalisation_in_several_processes_is_for_gpus(clip):
    with pytest.raises(ValueError, match="batch normalisation, which 2 processes"):
        step.prepare(clip, settings(processes=2), World(0, 2))
    step.prepare(clip, settings(), World())
