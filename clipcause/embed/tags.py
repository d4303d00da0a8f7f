"""open_clip's published models by name and tag: whether there is one, and that both fit together.

A tag states how its weights were learnt. open_clip takes the pixels' mean, deviation, filter and
resizing from it, but the activation from the model's name: `ViT-B-32` with `openai` gives GELU, and
its weights were learnt with QuickGELU. That is a warning there; accuracy falls by points
(open_clip issue 1109) and every similarity is another one, so that here it is an error.

A file states nothing. open_clip then takes OpenAI's pixels, which are not those that SigLIP, CLIPA,
MobileCLIP or PE learnt from, without a word: here they are those of the model's tags.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip

from clipcause.config import nearest
from clipcause.config.layout import NONE
from clipcause.config.weights import HUB

QUICK = "-quickgelu"  # the end of the names of models with that activation
PIXELS = ("mean", "std", "interpolation", "resize_mode")
FOLDER = "local-dir:"  # before the name of a folder, as HUB is before that of a repository


def check(name: str, tag: str, like: str = NONE) -> None:
    """Raise ``ValueError`` unless ``tag`` is a tag or a file for the model ``name`` that fits it.

    Of a file, ``like`` may be the tag by whose settings it was learnt. With tag `none` the file is
    not known yet, or the name is that of a repository of the hub. Nothing is fetched.
    """
    if name.startswith(HUB):
        for key, given in (("pretrained", tag), ("like", like)):
            if given != NONE:
                raise ValueError(f"{key} is {given}, and {name} names weights and settings")
        if not name.removeprefix(HUB).strip("/"):
            raise ValueError(f"{name} names no repository: {HUB}owner/name")
        return
    if name.startswith(FOLDER):
        raise ValueError(
            f"{name} is a folder, which DVC has to watch: an entry of the section weights, and a "
            "run of objective checkpoint"
        )
    config = open_clip.get_model_config(name)
    if config is None:
        raise ValueError(
            f"unknown open_clip model {name!r}; {nearest(name, open_clip.list_models())}"
        )
    tags = open_clip.list_pretrained_tags_by_model(name)
    if tag not in tags and Path(tag).is_file():
        tag = NONE
    for one in (tag, like):
        if one == NONE:
            continue
        if one not in tags and one.startswith(("/", "./", "../")):
            raise ValueError(f"{one}: no such file")
        if one not in tags:
            raise ValueError(f"unknown pre-trained tag {one!r} of {name}; {nearest(one, tags)}")
        if not _fits(name, one, config):
            raise ValueError(
                f"the weights {one} were learnt with QuickGELU and {name} has GELU: similarities "
                f"and accuracy would be wrong; the model is {name}{QUICK}"
            )
    if tag != NONE and like != NONE:
        raise ValueError(f"like is {like}, and the tag {tag} says how its weights were learnt")
    pixels(name, tag, like)


def config(name: str) -> dict[str, Any]:
    """The configuration that open_clip has of a model; of one of the hub, which has it, nothing."""
    return (None if name.startswith(HUB) else open_clip.get_model_config(name)) or {}


def pixels(name: str, tag: str, like: str = NONE) -> dict[str, Any]:
    """How images become the model's pixels: open_clip's `preprocess_cfg`, but for the size.

    By the tag, or that which a file is ``like``; of a file without it, by all tags of the model
    that fit it. Raises ``ValueError`` where these are of several minds.
    """
    known = open_clip.list_pretrained_tags_by_model(name)
    for one in (tag, like):
        if one in known:
            return _pixels(open_clip.get_pretrained_cfg(name, one))
    config = open_clip.get_model_config(name)
    assert config is not None  # looked up before
    tags = [one for one in known if _fits(name, one, config)]
    stated = {one: _pixels(open_clip.get_pretrained_cfg(name, one)) for one in tags}
    first = next(iter(stated.values()), {})
    for one, other in stated.items():
        if different := [key for key in first if first[key] != other[key]]:
            key = different[0]
            raise ValueError(
                f"a file of weights for {name} does not say from which pixels they were learnt: "
                f"{key} is {first[key]} of {tags[0]}, {other[key]} of {one}; say whose hold, "
                f"`like: {tags[0]}`"
            )
    return first


def _fits(name: str, tag: str, config: Mapping[str, Any]) -> bool:
    """Whether the model has the activation that a tag's weights were learnt with."""
    # a tag that says nothing fits: the one of roberta-ViT-B-32 is silent, and its model is quick
    learnt = open_clip.get_pretrained_cfg(name, tag).get("quick_gelu")
    return not learnt or bool(config.get("quick_gelu"))


def _pixels(stated: Mapping[str, Any]) -> dict[str, Any]:
    return {key: stated[key] for key in PIXELS}
