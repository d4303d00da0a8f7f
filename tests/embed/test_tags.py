"""Published models: the activation that weights were learnt with is the one that the model has."""

from pathlib import Path

import open_clip
import pytest

from clipcause.check import names
from clipcause.embed import models, tags, text_models

QUICK = [
    *(("ViT-B-32", "openai"), ("ViT-B-32", "laion400m_e32"), ("ViT-B-32", "metaclip_400m")),
    *(("ViT-B-16", "openai"), ("ViT-B-16", "dfn2b"), ("RN50", "yfcc15m")),
]


@pytest.mark.parametrize(("name", "tag"), QUICK)
def test_weights_of_another_activation_are_refused_and_the_model_is_named(name, tag):
    with pytest.raises(ValueError, match=f"the model is {name}-quickgelu$"):
        models.pretrained(name, tag)
    tags.check(f"{name}-quickgelu", tag)


@pytest.mark.parametrize(
    ("name", "tag"),
    [("ViT-B-16", "laion400m_e32"), ("ViT-B-32", "laion2b_s34b_b79k"), ("RN50", "cc12m")],
)
def test_what_open_clip_warns_of_is_what_is_refused(name, tag):
    config = open_clip.get_model_config(name)
    assert config is not None
    if open_clip.get_pretrained_cfg(name, tag).get("quick_gelu"):
        with pytest.raises(ValueError, match="QuickGELU"):
            tags.check(name, tag)
    else:
        tags.check(name, tag)


def test_every_tag_of_open_clip_fits_its_model_or_another_that_is_there():
    refused = 0
    for name, tag in open_clip.list_pretrained():
        try:
            tags.check(name, tag)
        except ValueError as error:
            refused += 1
            meant = str(error).rpartition(" ")[2]
            assert tag in open_clip.list_pretrained_tags_by_model(meant)
            tags.check(meant, tag)
    assert refused > 20


def test_a_file_of_weights_says_nothing_of_them(tmp_path: Path):
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"")
    tags.check("ViT-B-32", str(weights))


@pytest.mark.parametrize(
    ("model", "tag", "message"),
    [
        ("ViT-B-3", "openai", r"^p: unknown open_clip model 'ViT-B-3'; did you mean 'ViT-B-32'"),
        ("ViT-B-32", "openia", r"^p: unknown pre-trained tag 'openia' of ViT-B-32; did you mean"),
        ("ViT-B-32", "openai", r"^p: the weights openai were learnt with QuickGELU"),
    ],
)
def test_the_check_of_the_parameters_says_it_before_any_work(model, tag, message):
    with pytest.raises(ValueError, match=message):
        names.check_published(model, tag, "p")


def test_a_file_for_a_model_is_seen_as_its_tags_state():
    """open_clip takes OpenAI's pixels for any file; SigLIP, CLIPA and PE learnt from others."""
    asked = set()
    for name in open_clip.list_models():
        try:
            found = tags.pixels(name, "none")
        except ValueError as error:
            asked.add(name)
            like = str(error).rpartition("`like: ")[2].removesuffix("`")
            tags.check(name, "none", like)
            continue
        for tag in open_clip.list_pretrained_tags_by_model(name):
            if open_clip.get_pretrained_cfg(name, tag).get("quick_gelu") and "quick" not in name:
                continue  # refused with this name
            assert found == tags.pixels(name, tag)
    assert asked == {"ViT-L-14", "ViT-H-14-quickgelu"}
    assert tags.pixels("PE-Core-B-16", "none")["resize_mode"] == "squash"
    assert tags.pixels("ViT-S-16", "none") == {}  # no tag: open_clip's own settings


@pytest.mark.parametrize(
    ("model", "tag", "like", "message"),
    [
        (
            "ViT-L-14",
            "none",
            "none",
            r"mean is \(0.481.* of laion400m_e31, .* of laion2b_s32b_b82k",
        ),
        ("ViT-L-14", "none", "openai", "learnt with QuickGELU"),
        ("ViT-L-14", "none", "laion2b", "unknown pre-trained tag 'laion2b'"),
        ("ViT-L-14", "laion400m_e32", "laion400m_e32", "like is laion400m_e32, and the tag"),
        ("ViT-B-32", "./no.pt", "none", r"^\./no\.pt: no such file"),
        ("hf-hub:timm/x", "openai", "none", "pretrained is openai, and hf-hub:timm/x names"),
        ("hf-hub:", "none", "none", "names no repository"),
        ("local-dir:models/x", "none", "none", "an entry of the section weights"),
    ],
)
def test_names_that_do_not_go_together(model, tag, like, message):
    with pytest.raises(ValueError, match=message):
        tags.check(model, tag, like)


def test_repositories_of_the_hub_are_looked_at_when_they_are_fetched():
    tags.check("hf-hub:timm/ViT-B-16-SigLIP", "none")
    assert tags.config("hf-hub:timm/ViT-B-16-SigLIP") == {}


def test_every_model_whose_texts_need_an_extra_says_which(monkeypatch):
    monkeypatch.setattr(text_models, "find_spec", lambda _: None)
    needing = set()
    for name in open_clip.list_models():
        text = tags.config(name)["text_cfg"]
        if {"hf_model_name", "hf_tokenizer_name"} & text.keys():
            needing.add(name)
            with pytest.raises(ValueError, match=r"transformers, which is not .*\[transformers\]"):
                text_models.check(tags.config(name), name)
        else:
            text_models.check(tags.config(name), name)
    for name in ("ViT-B-16-SigLIP", "ViT-L-14-CLIPA", "roberta-ViT-B-32", "nllb-clip-base"):
        assert name in needing
    assert not needing & {"PE-Core-B-16", "MobileCLIP2-B", "coca_ViT-B-32", "ViT-B-32"}
    with pytest.raises(ValueError, match=r"^p: ViT-B-16-SigLIP: its texts are read by"):
        names.check_published("ViT-B-16-SigLIP", "webli", "p")


def test_a_tokenizer_that_cannot_be_had_is_told_before_weights_are_fetched(monkeypatch):
    def gone(name):
        raise OSError(f"no {name}\non the hub")

    monkeypatch.setattr(text_models, "find_spec", lambda _: True)
    monkeypatch.setattr(open_clip, "get_tokenizer", gone)
    for step in ("_built", "_fetched"):
        monkeypatch.delattr(models, step)
    message = "ViT-B-16-SigLIP: its tokenizer: no ViT-B-16-SigLIP on the hub; is there a network"
    with pytest.raises(ValueError, match=message):
        models.pretrained("ViT-B-16-SigLIP", "webli")
