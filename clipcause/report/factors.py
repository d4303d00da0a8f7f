"""What sets a run apart: its factors in words for titles, and as columns for the tidy table.

Factors are the fields of a run's and a split's parameters, so that a new one is a column and a
part of the title without a change here; those that a title should say better have words below.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel

from clipcause.config import objectives
from clipcause.config.runs import NONE, Run

Values = dict[str, Any]

NAMED = ("model", "pretrained", "path")  # of models that others trained, which they are
# which data, which draw, and how it is looked at: no factor of a model
NOT_FACTORS = ("split", "objective", "seed", "add_reference", "frequency", *NAMED)
LENGTH = ("epochs", "samples_seen")
OBJECTIVES = {word: model.title for word, model in objectives.OBJECTIVES.models.items()}
HEADS = {"clip": "text tower", "supervised": "head"}


def settings(run: Run) -> Values:
    """The factors of a run that are not at their default, as plain values."""
    found, default = run.model_dump(), type(run).model_construct().model_dump()
    return {
        name: value
        for name, value in found.items()
        if name not in NOT_FACTORS and value != default.get(name)
    }


def key(run: Run) -> str:
    """The same text for runs that differ by nothing but split, seed and objective."""
    return json.dumps(settings(run), sort_keys=True)


def name(run: Run, *, in_full: bool = True) -> str:
    """The factors in words: "template captions, vocabulary 100"; empty where all are at their
    default. Where not ``in_full``, neither how long it learnt nor which run a tower is from."""
    values = settings(run)
    said: list[str] = []
    if captions := values.pop("captions", None):
        said += _captions(captions, "prompts" if run.objective == "supervised" else "captions")
    if text := values.pop("text", None):
        given = values.pop("text_from", None)
        of = f" of {given}" if given and given != NONE and in_full else ""
        said.append(f"{text} {HEADS.get(run.objective, 'text tower')}{of}")
    if vocabulary := values.pop("vocabulary", None):
        said.append(_vocabulary(vocabulary))
    if prototypes := values.pop("prototypes", None):
        said.append(f"{prototypes:,} prototypes" if isinstance(prototypes, int) else prototypes)
    for length, unit in zip(LENGTH, ("epochs", "samples seen"), strict=True):
        count = values.pop(length, None)
        if count is not None and in_full:
            said.append(f"{count:,g} {unit}" if isinstance(count, float) else f"{count:,} {unit}")
    values.pop("text_from", None)
    said += [f"{one} {_text(value)}" for one, value in values.items()]
    return ", ".join(said)


def title(run: Run, *, without: bool = False) -> str:
    """The name of a condition: its split, then what else is not as by default."""
    which = [one for key in NAMED if (one := getattr(run, key)) != NONE]
    which += [run.text_from] if run.is_published and run.text_from != NONE else []
    objective = " ".join([OBJECTIVES[run.objective], *which])
    if run.split == NONE:
        start = objective
    else:
        start = run.split if run.objective == "clip" else f"{objective} on {run.split}"
    start = f"{start} without the reference" if without else start
    return ", ".join(filter(None, [start, name(run)]))


def kind(run: Run, *, in_full: bool = False) -> str:
    """The kind of model, whatever data it was trained on: "CLIP, template captions"."""
    return ", ".join(filter(None, [OBJECTIVES[run.objective], name(run, in_full=in_full)]))


def columns(values: BaseModel | None, prefix: str = "", skip: Collection[str] = ()) -> Values:
    """Every field of a group of parameters, nested ones with a dot, as cells of a table."""
    if values is None:
        return {}
    found: Values = {}
    for one, value in flat(values.model_dump()).items():
        if one.split(".")[0] not in skip:
            found[f"{prefix}{one.rstrip('_')}"] = _text(value)
    return found


def flat(values: Mapping[str, Any], start: str = "") -> Values:
    """Nested values by their path with dots."""
    found: Values = {}
    for one, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{start}{one}.")
        else:
            found[f"{start}{one}"] = value
    return found


def _captions(values: Mapping[str, Any], noun: str) -> list[str]:
    """ "template captions", "captions of title + tags", and what else is chosen."""
    said = []
    if values.get("kind") == "template":
        templates = values.get("templates")
        many = f" ({templates})" if isinstance(templates, str) else ""
        if isinstance(templates, list | tuple) and len(templates) > 1:
            many = f" (one of {len(templates)})"
        said.append(f"template {noun}{many}")
    else:
        said.append(f"captions of {' + '.join(values.get('pieces') or ['caption'])}")
    if values.get("several") == "first":
        said.append("the first of several")
    if values.get("synonyms"):
        said.append("with synonyms")
    if values.get("prepend_class"):
        said.append("class name first")
    return said


def _vocabulary(values: Mapping[str, Any]) -> str:
    size = values.get("size", "all")
    more = [f"{values['weights']} weights"] if values.get("weights") != "frequency" else []
    more += ["global"] if values.get("scope") == "global" else []
    return f"vocabulary {size}" + (f" ({', '.join(more)})" if more else "")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return " ".join(str(one) for one in value)
    return str(value)
