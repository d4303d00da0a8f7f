"""check: `params.yaml` comes in; nothing goes out but the word that it is valid.

The empty split, model and file that the DAG's slots `none` point at are made here too, and for
every stage the list of its code, which it depends on (`clipcause.runtime.code`). Every
parameter of every stage is checked before any work, and so is every name that one entry uses of
another: a typing error in a split must not be found after an hour of training. The output never
changes, so a change of parameters re-runs this stage and those that use what changed.

`python -m stages.check FILE` checks another file, a preset: besides, it resolves the graph of
`dvc.yaml` with it, and lists the paths that are missing here, which is no error.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipcause.check import graph, paths, studies
from clipcause.check.paths import HERE, Place
from clipcause.config import (
    FILE,
    Strict,
    exports,
    layout,
    nearest,
    parse,
    read,
    roles,
    splits,
    study,
    unknown,
    yardsticks,
)
from clipcause.config.datasets import Dataset, Prepare, Test
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
from clipcause.config.probes import Probe
from clipcause.config.relevance import Relevance
from clipcause.config.report import FIRST, Report
from clipcause.config.runs import ALL, Run
from clipcause.config.similarity import Similarity
from clipcause.config.train import Train, divided
from clipcause.config.versions import Versions
from clipcause.config.yardsticks import Yardstick
from clipcause.prune import split
from clipcause.runtime import atomic
from clipcause.runtime import code as imports
from clipcause.runtime.entry import run

ENCODER = "encoder"
OUTPUT = Path("data/checked")
CODE = Path("data/code")
EMPTY = Path("data/none")  # the raw source of data that is read in place
# folders of items; what lies in them without being in params.yaml is a leftover
FOLDERS = {
    "tests": ("data/tests",),
    "splits": ("splits", "gap"),
    "runs": ("models", "predictions", "features"),
    "probes": ("probes",),
    "intraclass": ("intraclass",),
    "domains": ("domains",),
    yardsticks.SECTION: ("yardsticks", "embeddings/by"),
}
RESERVED = {
    "datasets": {"catalogue", "checked", "classes", "code", "icons", "none", "raw", "tests"},
    "runs": {"encoder", "none"},
    yardsticks.SECTION: {yardsticks.NONE},
}
BY = "by"  # the folder of the embeddings that yardsticks make
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
    "datasets": Dataset,
    "tests": Test,
    "runs": Run,
}
# items of which a study may have none
FREE: dict[str, type[Strict]] = {
    "probes": Probe,
    "intraclass": Intraclass,
    "domains": Domain,
    yardsticks.SECTION: Yardstick,
}
OF_A_SPLIT = ("probes", "intraclass")  # those that have one
NAMES = ("reference", "classes")
# sections that may be absent
OPTIONAL: dict[str, type[Strict]] = {"engine": Engine}
NEEDED = (*SECTIONS, *ITEMS, *FREE, *NAMES, splits.SECTION)
KNOWN = (*NEEDED, *OPTIONAL, exports.SECTION, studies.PARENT)


def check(path: Path, *, preset: bool = False) -> dict[str, Any]:
    """Read and validate a whole parameter file; the content, or a ValueError that names the key.

    The class list of a preset may be missing, as its data may: `check_preset` lists them.
    """
    content = read(path)
    for name in content:
        if name not in KNOWN:
            raise unknown("section", name, KNOWN, str(path))
    for name in NEEDED:
        if name not in content:
            raise ValueError(f"{path}: section {name!r} is missing; {nearest(name, content)}")
    for name, model in {**SECTIONS, **OPTIONAL}.items():
        if name in content:
            parse(content[name], model, f"{path}: {name}")
    for name, model in {**ITEMS, **FREE}.items():
        items = content.get(name, {})
        if not isinstance(items, dict) or not (items or name in FREE):
            raise ValueError(f"{path}: {name}: expected a mapping of named items")
        for key, values in items.items():
            parse(values, model, f"{path}: {name}.{key}")
    check_loaders(content, path)
    splits.load_all(path)
    exports.load_all(path)
    if not preset:
        check_classes(content, path)
    check_names(content, path)
    return content


def check_preset(path: Path) -> tuple[dict[str, Any], list[Place]]:
    """Validate a parameter file and the graph that it makes of `dvc.yaml`; the paths it names."""
    content = check(path, preset=True)
    try:
        stages = graph.expand(graph.read(), content)
        graph.check(stages)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    made = (out for stage in stages.values() for out in stage.outs)
    return content, paths.places(content, made)


def check_names(content: Mapping[str, Any], path: Path) -> None:
    """Every name that one entry uses of another exists."""
    if layout.POOL not in content["datasets"]:
        raise ValueError(f"{path}: datasets.{layout.POOL} is missing: it is what a study prunes")
    if content["reference"] not in content["datasets"]:
        raise unknown("data set", content["reference"], content["datasets"], f"{path}: reference")
    roles.check_pool(content, str(path))
    classes = layout.classes(content["classes"])
    icons = content["icons"]["classes"]
    if any(entry["source"] == "icons" for entry in content["datasets"].values()) and (
        Path(icons) != classes
    ):
        raise ValueError(f"{path}: icons.classes is {icons}, but classes names {classes}")
    for kind, taken in RESERVED.items():
        for name in taken & content.get(kind, {}).keys():
            raise ValueError(f"{path}: {kind}.{name}: the name is taken; choose another")
    if content["encoder"]["name"] == BY:
        raise ValueError(f"{path}: encoder.name: {BY!r} is taken; choose another")
    usual = content["report"].get("in_distribution", FIRST)
    answered = study.to_classify(path)
    if usual not in (FIRST, *answered):
        raise unknown("test set to classify", usual, answered, f"{path}: report.in_distribution")
    check_runs(content, path)
    yardsticks.check_names(content, str(path))
    for kind in OF_A_SPLIT:
        for name, entry in content[kind].items():
            split_of(entry, content, f"{path}: {kind}.{name}")
    for name, entry in content.get("domains", {}).items():
        if name == splits.NONE:
            raise ValueError(f"{path}: domains.{name}: the name is taken; choose another")
        for slot in ("first", "second"):
            if entry[slot] not in content["datasets"]:
                where = f"{path}: domains.{name}.{slot}"
                raise unknown("data set", entry[slot], content["datasets"], where)
    for name, entry in content["probes"].items():
        if entry["run"] not in (*content["runs"], ENCODER):
            where = f"{path}: probes.{name}.run"
            raise unknown("run", entry["run"], (*content["runs"], ENCODER), where)


def check_runs(content: Mapping[str, Any], path: Path) -> None:
    """Every run has a split to learn from, and its donor is another run."""
    train = parse(content["train"], Train, f"{path}: train")
    for name, values in content["runs"].items():
        where = f"{path}: runs.{name}"
        entry = parse(values, Run, where)
        if entry.split == splits.NONE and entry.objective != "supervised":
            raise unknown("split", entry.split, content["splits"], f"{where}.split")
        split_of(values, content, where)
        roles.check_split(entry.split, content, where)
        if entry.donor == name:
            raise ValueError(f"{where}.donor: a run cannot be its own donor")
        if entry.donor not in (splits.NONE, ENCODER, *content["runs"]):
            raise unknown("run", entry.donor, (ENCODER, *content["runs"]), f"{where}.donor")
        if "donor" not in values:  # the graph needs the slot in every item
            raise ValueError(f"{where}: donor is missing: another run, or none")
        donor = content["runs"].get(entry.donor, {"objective": "clip"})
        if donor["objective"] != "clip":
            raise ValueError(
                f"{where}.donor: {entry.donor} is a {donor['objective']} run, whose text tower "
                "has learnt nothing; take a clip run"
            )
        if entry.objective == "dino" and train.dino is None:
            raise ValueError(f"{where}: train.dino is missing: how runs of objective dino learn")
        if train.dino and entry.prototypes != ALL and entry.prototypes > train.dino.prototypes:
            raise ValueError(
                f"{where}.prototypes: {entry.prototypes} of the {train.dino.prototypes} that "
                "train.dino.prototypes states"
            )


def split_of(entry: Mapping[str, Any], content: Mapping[str, Any], where: str) -> None:
    """Raise where an entry's split is neither `none` nor one that there is."""
    known = (*content["splits"], *splits.BASES)
    if entry["split"] not in (splits.NONE, *known):
        raise unknown("split", entry["split"], known, f"{where}.split")


def check_loaders(content: Mapping[str, Any], path: Path) -> None:
    """Processes and their loaders share out the streams of the training data."""
    where = parse(content.get(SECTION, {}), Engine, f"{path}: {SECTION}")
    train = parse(content["train"], Train, f"{path}: train")
    try:
        divided(train, where.loaders)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def check_classes(content: Mapping[str, Any], path: Path) -> None:
    """The list of classes is here."""
    classes = layout.classes(content["classes"])
    if not classes.exists():
        lists = [file.stem for file in classes.parent.glob("*.yaml")]
        raise unknown("class list", content["classes"], lists, f"{path}: classes")


def leftovers(content: Mapping[str, Any]) -> list[Path]:
    """Folders of items that the parameters no longer name; stages that read all would see them."""
    named = {kind: {*content.get(kind, ()), "none", "all", "dedup", "encoder"} for kind in FOLDERS}
    return [
        folder
        for kind, parents in FOLDERS.items()
        for parent in parents
        for folder in sorted(Path(parent).glob("*/"))
        if folder.name not in named[kind] and not folder.name.startswith(".")
    ]


def main() -> str:
    content = check(FILE)
    for folder in leftovers(content):
        print(f"check: {folder} is not in {FILE}; remove it, or it counts as data", file=sys.stderr)
    # the slots `none` of the DAG point at these
    split.write(layout.split(splits.NONE), [])
    atomic.write_json(layout.model(splits.NONE) / "card.json", {})
    atomic.write_json(layout.domains(splits.NONE) / "card.json", {})
    atomic.write_json(layout.yardstick(splits.NONE) / "card.json", {})
    atomic.write_json(layout.embeddings_by(splits.NONE) / "card.json", {})
    with atomic.file(EMPTY) as temporary:
        temporary.touch()
    with atomic.folder(CODE) as out:
        for module in imports.stages():
            name = module.removeprefix(f"{imports.PROJECT}.")
            (out / f"{name}.txt").write_text(imports.code(module))
    with atomic.file(OUTPUT) as temporary:
        temporary.write_text("parameters are valid\n")
    counts = (f"{len(content[name])} {name}" for name in ("tests", "splits", "runs"))
    return ", ".join(counts)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        try:
            _, found = check_preset(Path(sys.argv[1]))
        except (ValueError, OSError) as error:
            print(f"check: error: {error}", file=sys.stderr)
            raise SystemExit(1) from None
        print(f"check: {sys.argv[1]} is valid")
        for place in found:
            if place.state != HERE:
                print(f"  {place}")
    else:
        run(main)
