"""The names that one entry of the parameters uses of another: each is there, and fits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipcause.check import item_names
from clipcause.config import (
    layout,
    objectives,
    other_scores,
    parse,
    roles,
    study,
    texts,
    unknown,
    weights,
)
from clipcause.config.objective import Published
from clipcause.config.objectives.pretrained import Pretrained
from clipcause.config.report import FIRST
from clipcause.config.runs import learns_beyond
from clipcause.config.train import Train

DATA = {
    "asked",
    "catalogue",
    "checked",
    "classes",
    "code",
    "icons",
    "none",
    "places",
    "raw",
    "tests",
}
RESERVED = {
    "datasets": DATA,
    "runs": {layout.NONE, weights.SECTION},
    other_scores.SECTION: {other_scores.NONE},
}
BY = "by"  # the folder of the embeddings by another encoder


def check(content: Mapping[str, Any], path: Path) -> None:
    """Every name that one entry uses of another exists."""
    if layout.POOL not in content["datasets"]:
        raise ValueError(f"{path}: datasets.{layout.POOL} is missing: it is what a study prunes")
    data = [name for name in content["datasets"] if not layout.is_test(name)]
    if content["reference"] not in data:
        raise unknown("data set", content["reference"], data, f"{path}: reference")
    roles.check_pool(content, str(path))
    classes = layout.classes(content["classes"])
    icons = content["icons"]["classes"]
    if Path(icons) != classes and "icons" in {content["datasets"][name]["source"] for name in data}:
        raise ValueError(f"{path}: icons.classes is {icons}, but classes names {classes}")
    for kind, taken in RESERVED.items():
        for name in taken & content.get(kind, {}).keys():
            raise ValueError(f"{path}: {kind}.{name}: the name is taken; choose another")
    usual = content["report"].get("in_distribution", FIRST)
    answered = study.to_classify(path)
    if usual not in (FIRST, *answered):
        raise unknown("test set to classify", usual, answered, f"{path}: report.in_distribution")
    check_runs(content, path)
    check_encoder(content, path)
    other_scores.check_names(content, str(path))
    texts.check_names(content, str(path))
    for name, entry in content.get("domains", {}).items():
        if name == layout.NONE:
            raise ValueError(f"{path}: domains.{name}: the name is taken; choose another")
        for slot in ("first", "second"):
            if entry[slot] not in data:
                raise unknown("data set", entry[slot], data, f"{path}: domains.{name}.{slot}")
    for name, entry in content["probes"].items():
        if entry["run"] not in content["runs"]:
            raise unknown("run", entry["run"], content["runs"], f"{path}: probes.{name}.run")


def check_runs(content: Mapping[str, Any], path: Path) -> None:
    """Every run has a split to learn from, and takes a text tower that has learnt."""
    train = parse(content["train"], Train, f"{path}: train")
    for name, values in content["runs"].items():
        where = f"{path}: runs.{name}"
        entry = objectives.parse(values, where)
        if entry.split == layout.NONE and entry.needs_split:
            raise unknown("split", entry.split, content["splits"], f"{where}.split")
        split_of(values, content, where)
        if name != content["encoder"].get("run"):  # which may be in no table of the report
            roles.check_split(entry.split, content, where)
        check_text(name, values, content, where)
        entry.check(train, where)
        if isinstance(entry, Published):
            weights.check_run(name, values, content, where)
        if isinstance(entry, Pretrained):
            check_published(entry.model, entry.pretrained, where, entry.like)


def check_published(model: str, tag: str, where: str, like: str = layout.NONE) -> None:
    """Raise where open_clip has no such model and tag, they do not fit together, or a package that
    the model needs is not here."""
    # here, for torch comes with it, and few studies need it
    from clipcause.embed import tags, text_models

    try:
        tags.check(model, tag, like)
        text_models.check(tags.config(model), model)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def check_text(
    name: str, values: Mapping[str, Any], content: Mapping[str, Any], where: str
) -> None:
    """Raise where the run whose text tower a run takes is none that there is, or has none."""
    if "text_from" not in values:  # the graph needs the slot in every item
        raise ValueError(f"{where}: text_from is missing: another run, or none")
    given = values["text_from"]
    if given == layout.NONE or objectives.parse(values, where).is_published:
        return
    if given == name:
        raise ValueError(f"{where}.text_from: a run cannot take its own text tower")
    if given not in content["runs"]:
        raise unknown("run", given, content["runs"], f"{where}.text_from")
    other = objectives.parse(content["runs"][given], f"{where}.text_from: runs.{given}")
    if not other.has_text:
        raise ValueError(
            f"{where}.text_from: {given} is a {other.objective} run, whose text tower has learnt "
            "nothing; take a clip run"
        )


def check_encoder(content: Mapping[str, Any], path: Path) -> None:
    """The encoder is a run of which nothing is made of embeddings, which it makes itself."""
    entry, runs = content["encoder"], content["runs"]
    item_names.check_name(entry["name"], f"{path}: encoder.name {entry['name']!r}")
    if entry["name"] == BY:
        raise ValueError(f"{path}: encoder.name: {BY!r} is taken; choose another")
    if entry["run"] not in runs:
        raise unknown("run", entry["run"], runs, f"{path}: encoder.run")
    beyond = learns_beyond(entry["run"], runs, (layout.NONE, layout.ALL))
    if beyond is not None:
        run, split = beyond
        raise ValueError(
            f"{path}: encoder.run: {run} learns from the split {split}, which is made of "
            f"embeddings, and so of the encoder: a circle; take a run whose split is "
            f"{layout.ALL} or {layout.NONE}"
        )


def split_of(entry: Mapping[str, Any], content: Mapping[str, Any], where: str) -> None:
    """Raise where an entry's split is neither `none` nor one that there is."""
    known = (*content["splits"], *layout.BASES)
    if entry["split"] not in (layout.NONE, *known):
        raise unknown("split", entry["split"], known, f"{where}.split")
