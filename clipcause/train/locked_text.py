"""What a run takes from a model that was trained before: its text tower, or what that tower says.

The controlled factor "language head" of the imbalance study: a text tower that is random, starts
from another run's or stays it; and a classifier of class prototypes in place of learnt class
weights. Another run's text tower comes with its vocabulary of tokens.

Shapes: C classes, P prompts of all of them, D dimensions.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from open_clip.model import CLIPTextCfg

from clipcause.captions.classes import ClassNames
from clipcause.config import nearest
from clipcause.config.captions import Captions
from clipcause.config.objectives import OBJECTIVES
from clipcause.embed import models
from clipcause.embed.checkpoint import Checkpoint
from clipcause.embed.models import FOREIGN, Clip
from clipcause.evaluate import zeroshot
from clipcause.train import texts

# the objectives whose text towers have learnt
TAUGHT = [word for word, model in OBJECTIVES.models.items() if model.has_text]
PROMPTS = 4096  # texts that are encoded at once
IMAGE_SIDE = ("visual.", "logit_scale", "logit_bias")  # of an open_clip model's weights
# what the vocabulary decides, which is taken over
TOKENS = frozenset({"vocab_size", "tokenizer_kwargs", "tokenizer_mode"})


def check(stored: Checkpoint, objective: str, config: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for a model that a run cannot take from, with what is wrong.

    Its text tower must have learnt and be CLIP's. A run on captions takes that tower, so all of its
    shape must be that of the run's configuration ``config``; of a supervised run the dimensions.
    """
    given = stored.card["training"]["objective"]
    if given not in TAUGHT:
        raise ValueError(
            f"{stored.folder}: it is a {given} run, whose text tower is untrained; take one of "
            f"objective {' or '.join(TAUGHT)}"
        )
    theirs = stored.model_config
    if foreign := sorted(FOREIGN & {*theirs, *theirs.get("text_cfg", {})}):
        raise ValueError(f"{stored.folder}: it has {foreign[0]}: not a text tower of CLIP's")
    own, other = _shape(config), _shape(theirs)
    needed = own if OBJECTIVES.models[objective].learns == "captions" else ["embed_dim"]
    if different := [key for key in needed if own[key] != other[key]]:
        what = ", ".join(f"{key} {other[key]} (here {own[key]})" for key in different)
        raise ValueError(
            f"{stored.folder}: its text tower has {what}; make train.model fit it, or take that of "
            "another run"
        )


def check_names(ids: Sequence[str], classes: Mapping[str, ClassNames]) -> None:
    """Raise ``ValueError`` for a class that is not in the list, and so has no name."""
    for key in ids:
        if key not in classes:
            raise ValueError(
                f"class {key!r} is not in the list of classes, and a prototype is made of its "
                f"name; {nearest(key, classes)}"
            )


def take_text(clip: Clip, stored: Checkpoint, *, frozen: bool) -> None:
    """Put the text tower of ``stored`` into a model, in place; ``frozen``: it learns no more.

    Raises ``ValueError`` where their weights have different names or shapes.
    """
    weights = stored.weights()
    state = clip.model.state_dict()
    names = [name for name in state if not name.startswith(IMAGE_SIDE)]
    for name in names:
        if name not in weights or weights[name].shape != tuple(state[name].shape):
            raise ValueError(
                f"{stored.folder}: its {name} does not fit the model's text tower; make "
                "train.model fit it, or take that of another run"
            )
        with torch.no_grad():
            state[name].copy_(torch.from_numpy(weights[name]))
    if frozen:
        for name, parameter in clip.model.named_parameters():
            if not name.startswith(IMAGE_SIDE):
                parameter.requires_grad_(requires_grad=False)


def prototypes(
    stored: Checkpoint,
    ids: Sequence[str],
    classes: Mapping[str, ClassNames],
    captions: Captions,
    device: torch.device,
) -> Float[np.ndarray, "C D"]:
    """The class prototypes of ``stored``, of length one, from captions' templates and synonyms.

    Raises ``ValueError`` for a class that is not in the list.
    """
    check_names(ids, classes)
    clip = models.restore(stored)
    clip.model.to(device)
    templates, named = zeroshot.named(captions.templates), texts.named(captions, classes)
    prompts = [prompt for key in ids for prompt in zeroshot.prompts(named[key], templates)]
    text_PD = np.concatenate(
        [
            models.encode_texts(
                clip, prompts[first : first + PROMPTS], precision="fp32", device=device
            )
            for first in range(0, len(prompts), PROMPTS)
        ]
    )
    count_C = [len(named[key]) * len(templates) for key in ids]
    parts = np.split(text_PD, np.cumsum(count_C)[:-1])
    return np.concatenate([zeroshot.prototypes(part, len(part)) for part in parts])


def _shape(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a text tower's weights and their use depend on, with open_clip's defaults filled in."""
    text = dataclasses.asdict(CLIPTextCfg(**config["text_cfg"]))
    shape = {key: value for key, value in text.items() if key not in TOKENS}
    of_both = {"embed_dim": config["embed_dim"], "quick_gelu": config.get("quick_gelu", False)}
    return {**of_both, **shape}
