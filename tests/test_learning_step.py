"""A batch in parts, with activations computed again, is the batch in one."""

import numpy as np
import pytest
import torch

from clipcause.config import parse
from clipcause.config.objectives.siglip import Siglip
from clipcause.config.train import Optimiser, Train
from clipcause.embed import models, tokens
from clipcause.train import loop, step
from clipcause.train.distributed import ALONE, World
from clipcause.train.feed import Data
from clipcause.train.objective import Others
from clipcause.train.objectives.clip import Contrastive
from clipcause.train.objectives.siglip import Sigmoid
from clipcause.train.objectives.supervised import Supervised
from tests import learning_study

CPU = torch.device("cpu")
CAPTIONS = ["red ball", "green wall", "blue sky", "ball"]


def made(config, objective="clip"):
    """A model of its own and 32 noisy images with captions or classes."""
    logits = Siglip.logits if objective == "siglip" else {}
    clip = models.create({**logits, **config}, None, image_size=32, seed=0)
    random = np.random.default_rng(0)
    pixels_NSS3 = random.integers(0, 256, (32, 32, 32, 3), dtype=np.uint8)
    if objective == "supervised":
        module = Supervised(clip.model, 4, config["embed_dim"])
        return clip, module, Data(pixels_NSS3, np.arange(32) % 4)
    target_NL = tokens.encode(clip.tokenizer, [CAPTIONS[row % 4] for row in range(32)])
    module = {"clip": Contrastive, "siglip": Sigmoid}[objective](clip.model)
    return clip, module, Data(pixels_NSS3, target_NL)


def trained(objective="clip", config=learning_study.LAYER_NORM, accumulate=1, prepare=None):
    clip, module, data = made(config, objective)
    if prepare:
        prepare(clip)
    values = {**learning_study.OPTIMISER, "samples_seen": 160}
    run = loop.Regime(Optimiser.model_validate(values), 0, "fp32", CPU, accumulate=accumulate)
    curve = loop.train(module, clip, data, run)
    return [line["loss"] for line in curve], models.weights(clip.model)


def settings(**changes):
    return parse({**learning_study.PARAMS["train"], **changes}, Train, "train")


@pytest.mark.parametrize("objective", ["clip", "siglip", "supervised"])
@pytest.mark.parametrize("parts", [2, 4])
def test_parts_of_a_batch_are_the_batch(objective, parts):
    losses, weights = trained(objective)
    again, same = trained(objective, accumulate=parts)
    assert again == pytest.approx(losses, rel=1e-4)
    for name, values in weights.items():
        assert np.allclose(values, same[name], atol=2e-3), name
    assert same["logit_scale"] == pytest.approx(weights["logit_scale"], rel=1e-6)


@pytest.mark.parametrize("objective", ["clip", "siglip"])
@pytest.mark.parametrize("parts", [2, 4])
def test_gradients_of_parts_sum_to_those_of_the_batch(objective, parts):
    """Before an optimiser hides their size, and for the scale as well; the loss is in float32."""
    clip, module, data = made(learning_study.LAYER_NORM, objective)
    module = module.double()
    images = clip.normalise(data.pixels, CPU).double()
    target = torch.from_numpy(data.target)
    module(images, target).backward()
    whole = {name: values.grad.clone() for name, values in module.named_parameters()}
    module.zero_grad()
    pieces = list(zip(images.chunk(parts), target.chunk(parts), strict=True))
    features = [module.features(*piece) for piece in pieces]
    for index, piece in enumerate(pieces):
        module(*piece, Others(index, parts, features)).backward()
    for name, values in module.named_parameters():
        assert torch.allclose(values.grad, whole[name], rtol=1e-4, atol=1e-6), name


def test_what_is_random_is_the_same_in_both_passes():
    """With patches dropped at random, a part's features must be those that the others saw."""
    config = {**learning_study.LAYER_NORM}
    config["vision_cfg"] = {**config["vision_cfg"], "patch_dropout": 0.5}
    clip, module, data = made(config)
    seen = []
    features = module.features
    module.features = lambda *piece: seen.append(features(*piece)) or seen[-1]
    forward = module.model.forward
    again = []
    module.model.forward = lambda *piece: again.append(forward(*piece)) or again[-1]
    optimiser = torch.optim.SGD(module.parameters(), lr=0.0)
    one = step.Step(
        module, clip, optimiser, precision="fp32", device=CPU, world=ALONE, accumulate=2
    )
    module.train()
    one(clip.normalise(data.pixels, CPU), torch.from_numpy(data.target))
    assert len(again) == 4
    for first, second in zip(again[:2], again[2:], strict=True):
        assert torch.equal(first[0], second[0])
    assert not torch.equal(again[0][0][:8], again[1][0][:8])


def test_activations_computed_again_change_nothing():
    losses, weights = trained()
    prepare = lambda clip: step.prepare(clip, settings(gradient_checkpointing=True), ALONE)  # noqa: E731
    again, same = trained(prepare=prepare)
    assert again == losses
    assert all(np.array_equal(weights[name], same[name]) for name in weights)


def test_a_tower_that_cannot_compute_again():
    clip, *_ = made(learning_study.PARAMS["train"]["model"])
    with pytest.raises(ValueError, match="ModifiedResNet cannot"):
        step.prepare(clip, settings(gradient_checkpointing=True), ALONE)


def test_batch_normalisation_wants_its_batch_in_one_place():
    clip, *_ = made(learning_study.PARAMS["train"]["model"])
    with pytest.raises(ValueError, match=r"train\.accumulate is 2, and the model has batch norm"):
        step.prepare(clip, settings(accumulate=2), ALONE)
    step.prepare(clip, settings(accumulate=2, accumulate_batchnorm=True), ALONE)
    with pytest.raises(ValueError, match="batch normalisation, which 2 processes can do"):
        step.prepare(clip, settings(processes=2), World(0, 2))
    clip, *_ = made(learning_study.LAYER_NORM)
    step.prepare(clip, settings(accumulate=2, processes=2), World(0, 2))


def test_a_named_model_is_open_clips_own(tmp_path):
    """Its configuration, vocabulary and view of an image; only the size is the parameters'."""
    named = settings(model={"name": "RN50"}, merges="clip", image_size=64)
    assert named.model.config()["vision_cfg"]["layers"] == [3, 4, 6, 3]
    assert named.deciding()["model"]["name"] == "RN50"
    config = {**learning_study.LAYER_NORM}
    clip = models.create(config, None, image_size=32, seed=0, published=True)
    assert clip.config["text_cfg"]["vocab_size"] == 49408
    assert clip.files == {}
    assert clip.preprocess["interpolation"] == "bicubic"
    assert clip.preprocess["mean"][0] == pytest.approx(0.48145466)


def test_a_text_tower_of_a_hub_is_refused():
    config = {**learning_study.LAYER_NORM, "text_cfg": {"hf_model_name": "roberta-base"}}
    with pytest.raises(ValueError, match="hf_model_name: its text tower is no part of open_clip"):
        models.create(config, None, image_size=32, seed=0)
