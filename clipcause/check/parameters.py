"""A parameter file against what every stage takes: each section and each item, by its own model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipcause.check import item_names, names, paths
from clipcause.check.studies import PARENT, repository
from clipcause.config import (
    Strict,
    benchmark,
    exports,
    layout,
    objectives,
    other_scores,
    parse,
    places,
    read,
    texts,
    unknown,
    weights,
)
from clipcause.config.datasets import Prepare, Test, check_tests
from clipcause.config.deduplicate import Deduplicate
from clipcause.config.density import Density
from clipcause.config.domains import Domain
from clipcause.config.embed import Embed
from clipcause.config.encoder import Encoder
from clipcause.config.engine import SECTION, Engine
from clipcause.config.evaluate import Evaluate
from clipcause.config.fetch import Fetch
from clipcause.config.frequency import Frequency
from clipcause.config.icons import Icons
from clipcause.config.intraclass import Intraclass
from clipcause.config.kinds import Kinds
from clipcause.config.other_scores import OtherScores
from clipcause.config.probes import Probe
from clipcause.config.relevance import Relevance
from clipcause.config.report import Report
from clipcause.config.similarity import Similarity
from clipcause.config.train import Train, divided
from clipcause.config.versions import Versions
from clipcause.data.sources import union
from clipcause.prune import rules
from clipcause.signals import kinds as signals

SECTIONS: dict[str, type[Strict]] = {
    "versions": Versions,
    "icons": Icons,
    "prepare": Prepare,
    "encoder": Encoder,
    "embed": Embed,
    "deduplicate": Deduplicate,
    "frequency": Frequency,
    "relevance": Relevance,
    "similarity": Similarity,
    "density": Density,
    "train": Train,
    "evaluate": Evaluate,
    "report": Report,
}
ITEMS: dict[str, type[Strict]] = {
    "fetch": Fetch,
    "tests": Test,
}
# items that come in kinds, which packages of theirs know
KINDS: dict[str, Kinds[Any]] = {
    union.SECTION: union.SOURCES,
    objectives.SECTION: objectives.OBJECTIVES,
}
# items of which a study may have none
FREE: dict[str, type[Strict] | Kinds[Any]] = {
    "probes": Probe,
    "intraclass": Intraclass,
    "domains": Domain,
    other_scores.SECTION: OtherScores,
    texts.SECTION: texts.Captions,
    signals.SECTION: signals.SIGNALS,
}
NAMES = ("reference", "classes")
# sections that may be absent
OPTIONAL: dict[str, type[Strict]] = {"engine": Engine}
NEEDED = (
    *SECTIONS, *ITEMS, *KINDS, *FREE, *NAMES, rules.SECTION, places.SECTION, weights.SECTION,
)  # fmt: skip
KNOWN = (*NEEDED, *OPTIONAL, exports.SECTION, PARENT)
# names that sections had, and what takes their place
RENAMED = {"yardsticks": "this section is called scores now"}


def check(path: Path, *, here: bool = True) -> dict[str, Any]:
    """Read and validate a whole parameter file; the content, or a ValueError that names the key.

    With ``here`` false the class list may be missing, as data may: ``command.whole`` lists them.
    """
    content = read(path)
    for name in content:
        if name in RENAMED:
            raise ValueError(f"{path}: {name}: {RENAMED[name]}")
        if name not in KNOWN:
            raise unknown("section", name, KNOWN, str(path))
    for name in NEEDED:
        if name not in content:
            raise ValueError(
                f"{path}: section {name!r} is missing; studies/own/params.yaml has one to copy"
            )
    sections = (rules.SECTION, exports.SECTION, places.SECTION, weights.SECTION)
    named = (*ITEMS, *KINDS, *FREE, *sections)
    item_names.check({name: content.get(name) for name in named}, path)
    for name, model in {**SECTIONS, **OPTIONAL}.items():
        if name in content:
            parse(content[name], model, f"{path}: {name}")
    places.check(content, str(path))
    for name, model in {**ITEMS, **KINDS, **FREE}.items():
        items = content.get(name, {})
        if not isinstance(items, dict) or not (items or name in FREE):
            raise ValueError(f"{path}: {name}: expected a mapping of named items")
        for key, values in items.items():
            where = f"{path}: {name}.{key}"
            if name == union.SECTION:
                values = places.resolved(values, content, where)
            item(values, model, where)
    weights.check(content, str(path))
    check_tests(content, str(path), union.CAPTIONED)
    benchmark.check(content, str(path))
    check_loaders(content, path)
    signals.check_names(content, path)
    rules.load_all(path)
    exports.load_all(path)
    if here:
        check_classes(content, path)
    names.check(content, path)
    check_splits(content, path)
    paths.check_inside(content, path, repository())
    paths.check_pictures(content, path)
    return content


def item(values: Any, model: type[Strict] | Kinds[Any], where: str) -> Strict:
    """One item of a section, of the one model that all have or of its kind's."""
    return model.parse(values, where) if isinstance(model, Kinds) else parse(values, model, where)


def check_splits(content: Mapping[str, Any], path: Path) -> None:
    """Items of ``FREE`` that have a key `split` name one that there is, or `none`."""
    for section, model in FREE.items():
        if not isinstance(model, Kinds) and "split" in model.model_fields:
            for name, entry in content[section].items():
                names.split_of(entry, content, f"{path}: {section}.{name}")


def check_loaders(content: Mapping[str, Any], path: Path) -> None:
    """Processes and their loaders share out the streams of the training data."""
    where = parse(content.get(SECTION, {}), Engine, f"{path}: {SECTION}")
    train = parse(content["train"], Train, f"{path}: train")
    try:
        divided(train, where.loaders)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def check_classes(content: Mapping[str, Any], path: Path) -> None:
    """The lists of classes are here."""
    named = {"classes": content["classes"]}
    for name, again in parse(content["evaluate"], Evaluate, f"{path}: evaluate").again.items():
        if again.classes is not None:
            named[f"evaluate.again.{name}.classes"] = again.classes
    for key, name in named.items():
        classes = layout.classes(name)
        if not classes.exists():
            lists = [file.stem for file in classes.parent.glob("*.yaml")]
            raise unknown("class list", name, lists, f"{path}: {key}")
