"""Files of weights: what is no such file, or of another model, is one line that says so."""

import io
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from clipcause.embed import models, weight_files
from tests import learning_study

CONFIG = learning_study.LAYER_NORM | {
    "vision_cfg": learning_study.LAYER_NORM["vision_cfg"] | {"image_size": 32}
}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"


@pytest.fixture(scope="module")
def model():
    return models._built(CONFIG, {}, "tiny")


@pytest.fixture(scope="module")
def state(model):
    return model.state_dict()


def saved(content) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def told(model, path: Path) -> str:
    """What is said of a file that goes into no model: one line, and no advice to run code."""
    with pytest.raises(ValueError, match=re.escape(f"{path}: ")) as found:
        weight_files.into(model, path, "tiny")
    text = str(found.value)
    assert "\n" not in text
    assert "weights_only" not in text
    assert "network" not in text
    return text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pt", b"", "it is empty"),
        ("a.safetensors", b"", "it is empty"),
        ("a.pt", b"\n<!DOCTYPE html><html>sign in</html>", "it is an HTML page, as a server sends"),
        ("a.safetensors", b"<html>not found</html>", "it is an HTML page, as a server sends"),
        ("a.bin", POINTER, "it is a pointer of Git LFS; `git lfs pull`"),
        ("a.bin", b'{"error": "Not found"}', "it is JSON, as a server answers"),
        ("a.pt", b"no weights at all", "it is neither safetensors nor a file of torch.save"),
        ("a.safetensors", b"no weights at all", "it is not safetensors"),
        ("a.pt", saved({"epoch": 3}), r"missing .*, 1 that it lacks \(epoch\)"),
        ("a.pt", saved([1, 2]), "it has no weights by name"),
        ("a.pt", saved({"epoch": np.float64(1), "state_dict": {}}), r"holds code \(numpy"),
        ("a.pt", pickle.dumps(Path("x"), protocol=2), r"holds code \(pathlib"),
    ],
)
def test_what_is_no_file_of_weights(model, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    assert re.search(message, told(model, tmp_path / name))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_half_of_a_file(model, state, tmp_path, share):
    whole = safetensors.torch.save(state)
    for name, content in (("a.safetensors", whole), ("a.pt", saved(state))):
        (tmp_path / name).write_bytes(content[: int(len(content) * share)])
        assert "it ends early" in told(model, tmp_path / name)
    cut = int(len(whole) * share)
    (tmp_path / "a.safetensors").write_bytes(whole[:cut])
    if share > 0.2:  # with its header
        assert f"{cut:,} of {len(whole):,} bytes" in told(model, tmp_path / "a.safetensors")


def test_a_kind_under_the_name_of_the_other(model, state, tmp_path):
    (tmp_path / "a.pt").write_bytes(safetensors.torch.save(state))
    assert "give it the name x.safetensors" in told(model, tmp_path / "a.pt")
    (tmp_path / "a.safetensors").write_bytes(saved(state))
    assert "give it the name x.pt" in told(model, tmp_path / "a.safetensors")


def test_a_program_is_not_run(model, tmp_path):
    archive = tmp_path / "a.pt"
    with pytest.warns(FutureWarning, match=r"torch\.jit"):
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(archive))
    assert "it is a TorchScript archive, a program, which is not run" in told(model, archive)


def test_weights_of_another_model_are_counted(model, state, tmp_path):
    other = dict(state) | {"visual.extra": torch.zeros(1)}
    del other["text_projection"], other["logit_scale"]
    other["visual.proj"] = torch.zeros(32, 24)
    torch.save({"state_dict": other}, tmp_path / "a.pt")
    assert told(model, tmp_path / "a.pt").endswith(
        "these are not the weights of tiny: keys 2 missing (text_projection …), "
        "1 that it lacks (visual.extra), 1 of another shape (visual.proj: 32 x 24, here 32 x 16)"
    )


def test_weights_that_are_no_numbers(state, tmp_path):
    broken = dict(state) | {"visual.proj": state["visual.proj"] * float("nan")}
    safetensors.torch.save_file(broken, tmp_path / "a.safetensors")
    fresh = models._built(CONFIG, {}, "tiny")
    assert "1 of its weights hold NaN or infinity (visual.proj)" in told(
        fresh, tmp_path / "a.safetensors"
    )


def test_a_temperature_of_another_shape(model, state, tmp_path):
    torch.save(dict(state) | {"logit_scale": torch.zeros(3)}, tmp_path / "a.pt")
    assert "these are not the weights of tiny: one has another shape" in told(
        model, tmp_path / "a.pt"
    )


def test_a_folder_with_the_name_of_a_file(model, tmp_path):
    (tmp_path / "a.pt").mkdir()
    assert told(model, tmp_path / "a.pt").endswith("it is a folder; name the file of weights in it")


def test_what_open_clip_writes_is_taken(model, state, tmp_path):
    """Its trainer puts `module.` before the keys, and an optimiser beside the weights."""
    trained = {f"module.{key}": value + 1 for key, value in state.items()}
    optimiser = torch.optim.AdamW(model.parameters()).state_dict()
    torch.save({"epoch": 1, "state_dict": trained, "optimizer": optimiser}, tmp_path / "epoch_1.pt")
    fresh = models._built(CONFIG, {}, "tiny")
    weight_files.into(fresh, tmp_path / "epoch_1.pt", "tiny")
    assert torch.equal(fresh.state_dict()["visual.proj"], state["visual.proj"] + 1)


def test_a_folder_without_weights_is_no_random_model(tmp_path):
    settings = {"model_cfg": CONFIG, "preprocess_cfg": {}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=r"it has no weights: no \.safetensors, \.bin or \.pth"):
        models.load(tmp_path)
    for content in ("{", "[]", "{}"):
        (tmp_path / "open_clip_config.json").write_text(content)
        with pytest.raises(ValueError, match=r"open_clip_config\.json: damaged"):
            models.load(tmp_path)


def test_a_folder_says_how_its_model_sees(model, tmp_path):
    seen = {"mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bilinear"}
    settings = {"model_cfg": CONFIG, "preprocess_cfg": seen | {"resize_mode": "squash"}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(settings))
    torch.save(model.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    found = models.load(tmp_path)
    assert found.source == tmp_path / "open_clip_pytorch_model.bin"
    assert found.view.model_dump() == {"size": 32, "interpolation": "bilinear", "resize": "squash"}
    assert found.preprocess["std"] == [0.25] * 3
