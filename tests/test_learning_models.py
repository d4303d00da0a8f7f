import json
import logging

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from clipcause.embed import checkpoint, models, tokens
from clipcause.embed.pixels import View
from tests import learning_study

CONFIG = learning_study.PARAMS["train"]["model"]
CPU = torch.device("cpu")


@pytest.fixture
def clip(tmp_path):
    return learning_study.clip_with_words(tmp_path / "merges.gz")


@pytest.fixture
def stored(clip, tmp_path):
    learning_study.store(clip, tmp_path / "model")
    return tmp_path / "model"


def images(count=5):
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def encode(clip, batch_size=5):
    clip.model.eval()
    return models.encode_images(clip, images(), batch_size=batch_size, precision="fp32", device=CPU)


def test_the_seed_decides_the_weights(tmp_path):
    merges = tmp_path / "merges.gz"
    tokens.write(merges, [])
    made = [models.create(CONFIG, merges, image_size=32, seed=seed) for seed in (0, 0, 1)]
    first, same, other = (models.weights(one.model)["visual.conv1.weight"] for one in made)
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_a_checkpoint_gives_the_model_back(clip, stored):
    found = models.restore(checkpoint.read(stored))
    assert np.array_equal(encode(found), encode(clip))
    assert found.view == clip.view
    texts = ["red ball", "zebra"]
    assert np.array_equal(
        models.encode_texts(found, texts, precision="fp32", device=CPU),
        models.encode_texts(clip, texts, precision="fp32", device=CPU),
    )


def test_open_clip_loads_it_alone_with_the_same_pixels(clip, stored):
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{stored}")
    picture = Image.fromarray(images()[0])
    with torch.no_grad():
        features = model.eval().encode_image(transform(picture)[None], normalize=True).numpy()
    assert np.allclose(features[0], encode(clip)[0], atol=1e-6)
    bpe = str(stored / tokens.MERGES)
    tokenizer = open_clip.get_tokenizer(f"local-dir:{stored}", bpe_path=bpe)
    assert torch.equal(tokenizer(["red ball"]), clip.tokenizer(["red ball"]))


def test_in_its_folder_open_clip_finds_the_tokenizer_by_itself(clip, stored, monkeypatch):
    """As tools need it that take one name for a model and its tokenizer."""
    monkeypatch.chdir(stored)
    tokenizer = open_clip.get_tokenizer("local-dir:.")
    assert torch.equal(tokenizer(["red ball"]), clip.tokenizer(["red ball"]))


def test_embeddings_have_length_one(clip):
    assert np.allclose(np.linalg.norm(encode(clip, 2), axis=1), 1.0, atol=1e-6)


def test_unknown_names_say_which_was_meant():
    with pytest.raises(ValueError, match="did you mean 'ViT-B-32'"):
        models.pretrained("ViT-B-3", "openai")
    with pytest.raises(ValueError, match="did you mean 'laion400m_e32'"):
        models.pretrained("ViT-B-32", "laion400m_e23")


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(FileNotFoundError, match="is it an open_clip checkpoint"):
        models.load(tmp_path)


def test_a_configuration_that_open_clip_does_not_take(tmp_path):
    merges = tmp_path / "merges.gz"
    tokens.write(merges, [])
    wrong = {**CONFIG, "vision_cfg": {"layres": 3}}
    with pytest.raises(ValueError, match="layres"):
        models.create(wrong, merges, image_size=32, seed=0)


def test_only_squares(clip):
    with pytest.raises(ValueError, match="only squares"):
        _ = models.Clip(None, None, {}, {**clip.preprocess, "size": [32, 48]}, {}).view


def test_open_clip_and_logging_are_left_as_they_were(clip, stored):
    before = set(open_clip.list_models())
    models.load(stored)
    assert set(open_clip.list_models()) == before
    assert models.OWN_NAME not in before
    assert logging.getLogger().level == logging.WARNING
    assert json.loads((stored / "model_config.json").read_text())["text_cfg"]["vocab_size"]


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no GPU"):
        models.settle(1, "cuda")


def test_a_model_of_the_published_vocabulary_is_given_back(tmp_path):
    clip = models.create(CONFIG, None, image_size=32, seed=0, published=True)
    learning_study.store(clip, tmp_path / "model")
    found = models.load(tmp_path / "model")
    assert torch.equal(found.tokenizer(["a red zebra"]), clip.tokenizer(["a red zebra"]))
    assert found.view == clip.view == View(size=32, interpolation="bicubic")
    assert found.preprocess["mean"] == clip.preprocess["mean"]
    assert np.array_equal(encode(found), encode(clip))
