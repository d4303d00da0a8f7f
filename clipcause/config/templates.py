"""Prompts with a place for a class's name: a set that open_clip has, or a list."""

from typing import Annotated

from pydantic import AfterValidator

from clipcause.config import nearest

# sets of prompts that open_clip has: the 80 of the CLIP paper, and the 7 that do nearly as well
NAMED = ("openai-imagenet", "simple-imagenet")


def _checked(templates: str | list[str]) -> str | list[str]:
    if isinstance(templates, str):
        if templates not in NAMED:
            raise ValueError(f"unknown set of templates; {nearest(templates, NAMED)}")
        return templates
    if not templates:
        raise ValueError("at least one template is needed")
    for template in templates:
        if "{name}" not in template:
            raise ValueError(f"template {template!r} has no {{name}}")
    return templates


# the name of a set, or a list; {name} is the class's name
Templates = Annotated[str | list[str], AfterValidator(_checked)]
