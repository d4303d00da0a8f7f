import math
import os
import signal
import subprocess

import numpy as np
import pytest
import torch

from clipcause.config.train import Optimiser
from clipcause.embed import models, tokens
from clipcause.train import loop
from clipcause.train import state as state_module
from clipcause.train.distributed import ALONE
from clipcause.train.objective import limit_scale
from clipcause.train.objectives.clip import Contrastive
from clipcause.train.objectives.supervised import Supervised
from clipcause.train.step import Step
from tests import learning_study, warm

CONFIG = learning_study.PARAMS["train"]["model"]
CAPTIONS = ["red ball", "green wall", "blue sky", "ball"]


def make(objective, tmp_path):
    """A fresh objective, its model and toy data: colours, each with its caption or class."""
    merges = tmp_path / "merges.gz"
    tokens.write(merges, tokens.learn(CAPTIONS * 2, 10))
    clip = models.create(CONFIG, merges, image_size=32, seed=0)
    random = np.random.default_rng(0)
    label_N = np.arange(30) % 3
    colours = np.array(list(learning_study.COLOURS.values()))
    pixels_NSS3 = random.integers(0, 60, (30, 32, 32, 3)) + colours[label_N][:, None, None]
    pixels_NSS3 = pixels_NSS3.clip(0, 255).astype(np.uint8)
    if objective == "clip":
        target = tokens.encode(clip.tokenizer, [CAPTIONS[label] for label in label_N])
        return Contrastive(clip.model), clip, loop.Data(pixels_NSS3, target)
    supervised = Supervised(clip.model, 3, CONFIG["embed_dim"])
    return supervised, clip, loop.Data(pixels_NSS3, label_N)


def settings(**changes):
    values = {**learning_study.OPTIMISER, "samples_seen": 120, **changes}
    return Optimiser.model_validate(values)


def train(
    tmp_path, objective="clip", *, threads=1, state=None, code="", watch=lambda _: None, **changes
):
    device = models.settle(threads, "cpu")
    module, clip, data = make(objective, tmp_path)
    run = loop.Regime(settings(**changes), 0, "bf16", device)
    curve = loop.train(
        module, clip, data, run, state=state, code=code, watch=watch, save_every_s=0.0
    )
    return curve, models.weights(module), module, data


def equal(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("objective", ["clip", "supervised"])
def test_a_run_repeats_bit_for_bit(objective, threads, tmp_path):
    curve, weights, *_ = train(tmp_path, objective, threads=threads)
    again, same, *_ = train(tmp_path, objective, threads=threads)
    assert torch.get_num_threads() == threads
    assert curve == again
    assert equal(weights, same)


def test_states_on_the_way_change_nothing(tmp_path):
    _, weights, *_ = train(tmp_path)
    _, same, *_ = train(tmp_path, state=tmp_path / "run.state")
    assert (tmp_path / "run.state").exists()
    assert equal(weights, same)


KILLED = """
import os, signal, sys
from pathlib import Path
from tests import test_learning_loop as here

def watch(line):
    if line["step"] == 5:
        os.kill(os.getpid(), signal.SIGKILL)

here.train(Path(sys.argv[1]), state=Path(sys.argv[2]), watch=watch)
"""


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, capsys):
    state = tmp_path / "run.state"
    (tmp_path / "killed.py").write_text(KILLED)
    killed = subprocess.run(
        [warm.folder() / "python", "-m", "killed", tmp_path, state], check=False,
        capture_output=True, env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert torch.load(state, weights_only=True)["step"] == 4
    curve, weights, *_ = train(tmp_path)
    seen = []
    resumed, same, *_ = train(tmp_path, state=state, watch=seen.append)
    assert "going on from step 4" in capsys.readouterr().err
    assert resumed == curve == seen
    assert equal(weights, same)


def test_a_run_killed_within_a_line_of_the_curve_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LOGGED", 3)  # lines of three batches
    state = tmp_path / "run.state"
    curve, weights, *_ = train(tmp_path)
    batches = loop.Data.batches

    def failing(data, asked, first):
        for number, batch in enumerate(batches(data, asked, first), first):
            if number == 5:
                raise KeyboardInterrupt
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(loop.Data, "batches", failing)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, state=state)
    content = torch.load(state, weights_only=True)
    assert content["step"] == 5
    assert content["losses"].shape == (1, 2)
    resumed, same, *_ = train(tmp_path, state=state)
    assert resumed == curve
    assert equal(weights, same)


def test_states_that_take_long_are_written_more_rarely(tmp_path, monkeypatch):
    written = []
    module, clip, _ = make("clip", tmp_path)
    one = Step(
        module,
        clip,
        torch.optim.SGD(module.parameters(), lr=0.1),
        precision="fp32",
        device=torch.device("cpu"),
        world=ALONE,
        accumulate=1,
    )
    now = [100.0]
    monkeypatch.setattr(state_module.time, "monotonic", lambda: now[0])
    states = state_module.States(tmp_path / "run.state", "", one, ALONE, 20.0)

    def slow(content, path):
        path.write_bytes(b"")
        now[0] += 4.0  # a hundredth and more of the time would be lost
        written.append(now[0])

    monkeypatch.setattr(state_module.torch, "save", slow)
    for _ in range(500):
        now[0] += 1.0
        states.save(state_module.Progress(1), torch.device("cpu"))
    assert len(written) == 3
    assert written[0] == 124.0
    assert written[1] - written[0] == 204.0


@pytest.mark.parametrize("content", [b"", b"not a state"])
def test_a_damaged_state_begins_again_and_says_so(content, tmp_path, capsys):
    state = tmp_path / "run.state"
    state.write_bytes(content)
    _, weights, *_ = train(tmp_path)
    _, same, *_ = train(tmp_path, state=state)
    assert f"{state}: damaged; training begins again\n" in capsys.readouterr().err
    assert equal(weights, same)


def test_a_state_of_other_code_begins_again_and_says_so(tmp_path, capsys):
    state = tmp_path / "run.state"
    train(tmp_path, state=state, code="old")
    before = len(train(tmp_path)[0])
    seen = []
    train(tmp_path, state=state, code="new", watch=seen.append)
    assert f"{state}: made by other code; training begins again\n" in capsys.readouterr().err
    assert len(seen) == before
    train(tmp_path, state=state, code="new")
    assert "going on from step" in capsys.readouterr().err


def test_the_last_batch_is_what_is_left(tmp_path):
    curve, *_ = train(tmp_path, samples_seen=40)
    assert [line["samples"] for line in curve] == [16, 32, 40]
    assert [line["step"] for line in curve] == [1, 2, 3]


def test_the_schedule_by_hand():
    one = settings(learning_rate=1.0, warmup=0.25)
    rates = [loop.learning_rate(step, 8, one) for step in range(8)]
    expected = [0.5, 1.0, *(0.5 + 0.5 * math.cos(math.pi * share / 6) for share in range(6))]
    assert rates == pytest.approx(expected)
    assert loop.learning_rate(0, 8, settings(warmup=0.0)) == settings().learning_rate
    assert loop.learning_rate(7, 8, settings(warmup=1.0)) == settings().learning_rate


def test_supervised_learns_a_toy_set(tmp_path):
    curve, _, module, data = train(tmp_path, "supervised", samples_seen=480)
    assert curve[-1]["loss"] < curve[0]["loss"] / 2
    clip = models.Clip(module.model, None, {}, {"mean": (0.5,) * 3, "std": (0.5,) * 3}, {})
    image_ND = models.encode_images(
        clip, data.pixels, batch_size=30, precision="fp32", device=torch.device("cpu")
    )
    predicted_N = (image_ND @ module.classifier.detach().numpy().T).argmax(axis=1)
    assert (predicted_N == data.target).mean() > 0.9


def test_the_scale_is_limited(tmp_path):
    module, *_ = make("supervised", tmp_path)
    with torch.no_grad():
        module.log_scale.fill_(9.0)
    limit_scale(module)
    assert module.log_scale.exp().item() == pytest.approx(100.0)


def test_the_supervised_loss_by_hand(tmp_path):
    module, clip, data = make("supervised", tmp_path)
    module.eval()
    images = clip.normalise(data.pixels[:4], torch.device("cpu"))
    target = torch.tensor([0, 1, 2, 0])
    with torch.no_grad():
        loss = module(images, target).item()
        image_BD = module.model.encode_image(images).numpy().astype(np.float64)
    image_BD /= np.linalg.norm(image_BD, axis=1, keepdims=True)
    class_CD = module.classifier.detach().numpy().astype(np.float64)
    logits_BC = image_BD @ (class_CD / np.linalg.norm(class_CD, axis=1, keepdims=True)).T / 0.07
    chance_B = np.exp(logits_BC)[range(4), target] / np.exp(logits_BC).sum(axis=1)
    assert loss == pytest.approx(-np.log(chance_B).mean(), rel=1e-5)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(ValueError, match="training diverged"):
        train(tmp_path, learning_rate=1e30, warmup=0.0)


@pytest.mark.parametrize(("every", "wrong"), [(3, "loss"), (3, "weight"), (1, "weight")])
def test_what_is_not_finite_does_not_replace_the_last_good_state(
    tmp_path, monkeypatch, every, wrong
):
    """Once, in step 5: within a line of the curve the mean of its losses is not looked at yet."""
    monkeypatch.setattr(loop, "LOGGED", math.ceil(8 / every))
    state, count = tmp_path / "run.state", 0
    whole, *_ = train(tmp_path)
    step = Step.__call__

    def once(self, images, target):
        nonlocal count
        count += 1
        loss = step(self, images, target)
        if count == 5 and wrong == "loss":
            return loss * math.nan
        if count == 5:
            with torch.no_grad():
                next(iter(self.objective.parameters())).fill_(math.inf)
        return loss

    with monkeypatch.context() as patch:
        patch.setattr(Step, "__call__", once)
        said = {"loss": "loss is not finite at step 5", "weight": "weights are not finite after"}
        with pytest.raises(ValueError, match=f"{said[wrong]}.*diverged.* is kept: {state};"):
            train(tmp_path, state=state)
    assert torch.load(state, weights_only=True)["step"] == 4
    # a passing fault of the machine: the run goes on from there to the end that it would have had
    resumed, *_ = train(tmp_path, state=state)
    assert resumed == whole
