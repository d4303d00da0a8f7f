"""The objective `siglip`: its loss by hand, where it begins, what its checkpoints have."""

import json
import math

import open_clip
import pytest
import torch

from clipcause.config import layout, objectives
from clipcause.config.objectives.siglip import Siglip
from clipcause.embed import checkpoint, models
from clipcause.train.objectives import BY_NAME
from stages import train
from tests import learning_processes, learning_study

RUN = {"split": "half", "objective": "siglip", "seed": 0, "text_from": "none"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    learning_processes.build(tmp_path)  # with two runs on captions, "half" and "pairs"
    return learning_study.enter(tmp_path, monkeypatch)


def test_the_loss_by_hand():
    config = {**Siglip.logits, **learning_study.LAYER_NORM}
    clip = models.create(config, None, image_size=32, seed=0)
    objective = BY_NAME["siglip"].Sigmoid(clip.model)
    images = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    target = clip.tokenizer([f"icon {number}" for number in range(6)])
    with torch.no_grad():
        loss = objective(images, target).item()
        image_ND, text_ND = (part.double().numpy() for part in objective.features(images, target))
    # Zhai et al. 2023, equation 1: t = 10 and b = -10 at the start, the sum over pairs by images
    total = 0.0
    for i in range(6):
        for j in range(6):
            sign = 1 if i == j else -1
            total += math.log1p(math.exp(-sign * (10 * image_ND[i] @ text_ND[j] - 10)))
    assert loss == pytest.approx(total / 6, rel=1e-5)


def test_a_checkpoint_has_scale_and_bias_and_open_clip_loads_it(here):
    train.main("pairs")
    folder = layout.model("pairs")
    stored = checkpoint.read(folder)
    assert stored.model_config["init_logit_bias"] == -10.0
    bias = stored.weights()["logit_bias"].item()
    assert bias != -10.0  # it has learnt
    loaded = open_clip.create_model(f"local-dir:{folder}")
    assert models.weights(loaded)["logit_bias"].item() == bias
    lines = stored.log()
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert lines[0]["scale"] == pytest.approx(10.0, rel=0.05)
    config = json.loads((folder / checkpoint.CONFIG).read_text())
    assert config == stored.model_config


def test_a_model_of_clip_has_no_bias(here):
    train.main("half")
    stored = checkpoint.read(layout.model("half"))
    assert "logit_bias" not in stored.weights()
    assert not {"init_logit_bias", "init_logit_scale"} & stored.model_config.keys()


def test_the_keys_of_its_runs():
    assert objectives.parse(RUN, "runs.x").has_text
    with pytest.raises(ValueError, match="vocabulary is for runs of supervised alone"):
        objectives.parse({**RUN, "vocabulary": {"size": 5}}, "runs.x")
    assert math.exp(Siglip.logits["init_logit_scale"]) == pytest.approx(10)
