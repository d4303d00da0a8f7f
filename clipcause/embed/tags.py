"""open_clip's published models by name and tag: whether there is one, and that both fit together.

A tag states how its weights were learnt. open_clip takes the pixels' mean, deviation, filter and
resizing from it, but the activation from the model's name: `ViT-B-32` with `openai` gives GELU, and
its weights were learnt with QuickGELU. That is a warning there; accuracy falls by points
(open_clip issue 1109) and every similarity is another one, so that here it is an error.
"""

from pathlib import Path

import open_clip

from clipcause.config import nearest

QUICK = "-quickgelu"  # the end of the names of models with that activation


def check(name: str, tag: str) -> None:
    """Raise ``ValueError`` unless ``tag`` is a tag or a file for the model ``name`` that fits it.

    Nothing is fetched. A file says nothing of how its weights were learnt.
    """
    config = open_clip.get_model_config(name)
    if config is None:
        raise ValueError(
            f"unknown open_clip model {name!r}; {nearest(name, open_clip.list_models())}"
        )
    tags = open_clip.list_pretrained_tags_by_model(name)
    if tag not in tags:
        if Path(tag).is_file():
            return
        raise ValueError(f"unknown pre-trained tag {tag!r} of {name}; {nearest(tag, tags)}")
    # a tag that says nothing fits: the one of roberta-ViT-B-32 is silent, and its model is quick
    learnt = open_clip.get_pretrained_cfg(name, tag).get("quick_gelu")
    if learnt and not config.get("quick_gelu"):
        raise ValueError(
            f"the weights {tag} were learnt with QuickGELU and {name} has GELU: similarities and "
            f"accuracy would be wrong; the model is {name}{QUICK}"
        )
