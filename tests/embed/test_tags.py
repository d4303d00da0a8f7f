"""Published models: the activation that weights were learnt with is the one that the model has."""

from pathlib import Path

import open_clip
import pytest

from clipcause.check import names
from clipcause.embed import models, tags

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
