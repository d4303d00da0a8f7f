"""What the report reads: all small artifacts of a study in one object, checked against each other.

Shapes: Q images of a test set.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64

from stages.artifacts import atomic, checkpoint, layout, manifest, predictions, scores, split
from stages.artifacts.manifest import Manifest
from stages.artifacts.scores import Scores
from stages.artifacts.split import Split
from stages.parameters import FILE, nearest, parse, read, splits, study
from stages.parameters.runs import NONE, Run
from stages.parameters.splits import Rule

TOP = 5
GAP_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("similarity", pa.float64()),
        ("split_similarity", pa.float64()),
        ("split_row", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Condition:
    """Runs that differ in their seed alone, and the names of the conditions on random splits of
    the same size, with which they are compared."""

    name: str
    split: str
    objective: str
    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    twins: tuple[str, ...] = ()
    add_reference: bool | None = None  # None: as `train` says for all runs

    @property
    def is_supervised(self) -> bool:
        """Whether it learnt from the reference's labels alone."""
        return self.objective == "supervised"


@dataclass(frozen=True)
class Outcome:
    """Per test image: its row, and the share of the seeds that had it right (first, among five)."""

    row_Q: Int64[np.ndarray, " Q"]
    top1_Q: Float64[np.ndarray, " Q"]
    top5_Q: Float64[np.ndarray, " Q"]
    accuracy: Mapping[str, float]  # top-1 of every run


@dataclass(frozen=True)
class Gap:
    """Nearest similarity of every test image to a split, with the reference added and alone."""

    similarity_Q: Float64[np.ndarray, " Q"]
    alone_Q: Float64[np.ndarray, " Q"]


@dataclass(frozen=True)
class Study:
    """A study's artifacts. Names are in the order of the parameters."""

    encoder: str
    tests: dict[str, Manifest]
    pool: Manifest
    reference: Manifest
    rules: dict[str, Rule]
    splits: dict[str, Split]
    conditions: dict[str, Condition]
    outcomes: dict[tuple[str, str], Outcome]  # by condition and test set
    scores: dict[str, Scores]
    gaps: dict[tuple[str, str], Gap]  # by split and test set
    cards: dict[str, dict[str, Any]]  # of every run's checkpoint

    @cached_property
    def twins(self) -> dict[str, str]:
        """A random split's name to that of the split whose size it has."""
        return {
            name: rule.of
            for name, rule in self.rules.items()
            if isinstance(rule, splits.Random) and rule.of in self.rules
        }

    def base_of(self, name: str) -> Split:
        """The split that a split was made from."""
        return self.splits[self.rules[name].base]

    def similarity(self, condition: Condition, test: str) -> Float64[np.ndarray, " Q"]:
        """Nearest similarity of every test image to what a condition was trained on."""
        if condition.is_supervised:
            return self.scores[test].test.reference_sim
        gap = self.gaps[condition.split, test]
        return gap.alone_Q if condition.add_reference is False else gap.similarity_Q

    def twin_outcome(self, condition: Condition, test: str) -> Float64[np.ndarray, " Q"] | None:
        """Mean top-1 of every test image over the random splits of a condition's size."""
        found = [self.outcomes[twin, test].top1_Q for twin in condition.twins]
        return np.mean(found, axis=0) if found else None


def load(path: Path = FILE) -> Study:
    """Read a study as ``params.yaml`` names it.

    Raises ``FileNotFoundError`` with the file and the stage that makes it, and ``ValueError`` where
    artifacts do not fit each other.
    """
    names, rules, runs = study.suite(path), splits.load_all(path), load_runs(path)
    encoder = _encoder(path)
    pool, reference = _manifest(layout.POOL), _manifest(study.name("reference", path))
    tests = {test: _manifest(layout.test(test)) for test in names}
    # what nothing was trained on or evaluated for is no part of the report's tables
    root = layout.similarities(encoder, study.name("reference", path))
    for test in names:
        _need(root / test / scores.CARD, f"similarity@{test}")
    found = scores.read_all(root, names, pool=pool.sha256)
    bases = dict.fromkeys(rule.base for rule in rules.values())
    stored = {name: _split(name, pool) for name in (*bases, *rules)}
    conditions = group(runs, rules)
    outcomes = {
        (one.name, test): _outcome(one, test, found[test])
        for one in conditions.values()
        for test in names
    }
    gaps = {(name, test): _gap(name, test, found[test]) for name in rules for test in names}
    cards = {
        run: atomic.read_json(_need(layout.model(run) / checkpoint.CARD, f"train@{run}"))
        for run in runs
    }
    return Study(
        encoder, tests, pool, reference, rules, stored, conditions, outcomes, found, gaps, cards
    )


def stage(verb: str, name: str) -> str:
    """The stage that prepares or embeds a data set, as DVC calls it: test sets have their own."""
    folder, slash, base = name.rpartition("/")
    return f"{verb}-test@{base}" if slash and folder == "tests" else f"{verb}@{name}"


def load_runs(path: Path = FILE) -> dict[str, Run]:
    """The entries of `runs`."""
    content = read(path).get("runs")
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path}: section 'runs' is missing or empty")
    return {str(name): parse(entry, Run, f"{path}: runs.{name}") for name, entry in content.items()}


def group(runs: Mapping[str, Run], rules: Mapping[str, Rule]) -> dict[str, Condition]:
    """Runs to conditions, in the order of the splits; supervised ones come last."""
    members: dict[tuple[str, str, bool | None], list[str]] = {}
    for name, run in runs.items():
        if run.split != NONE and run.split not in rules:
            raise ValueError(
                f"params.yaml: runs.{name}.split: unknown split {run.split!r}; "
                f"{nearest(run.split, rules)}"
            )
        members.setdefault((run.objective, run.split, run.add_reference), []).append(name)
    order = [*_families(rules), NONE]
    keys = sorted(members, key=lambda key: (key[0] == "supervised", order.index(key[1])))
    names = {key: _title(*key) for key in keys}
    of_split = {(key[0], key[1], key[2]): names[key] for key in keys}
    conditions = {}
    for key in keys:
        objective, own, reference = key
        random = [
            name
            for name, rule in rules.items()
            if isinstance(rule, splits.Random) and rule.of == own
        ]
        twins = [of_split.get((objective, name, reference)) for name in random]
        seeds = tuple(runs[run].seed for run in members[key])
        conditions[names[key]] = Condition(
            names[key],
            own,
            objective,
            tuple(members[key]),
            seeds,
            tuple(filter(None, twins)),
            reference,
        )
    return conditions


def _families(rules: Mapping[str, Rule]) -> list[str]:
    """Splits in their order, but a random one directly after the one whose size it has."""
    of = {name: rule.of for name, rule in rules.items() if isinstance(rule, splits.Random)}
    ordered = []
    for name in rules:
        if of.get(name) not in rules:
            ordered += [name, *(random for random, own in of.items() if own == name)]
    # a random split of a random split's size is in nobody's family
    return ordered + [name for name in rules if name not in ordered]


def _title(objective: str, own: str, reference: bool | None) -> str:
    title = objective if own == NONE else own
    if objective == "supervised" and own != NONE:
        title = f"supervised ({own})"
    if reference is not None:
        title += " with the reference" if reference else " without the reference"
    return title


def _encoder(path: Path) -> str:
    content = read(path).get("encoder")
    name = content.get("name") if isinstance(content, dict) else None
    if not isinstance(name, str):
        raise ValueError(f"{path}: encoder.name is missing")  # noqa: TRY004 - a user's error
    return name


def _need(path: Path, stage: str) -> Path:
    if not path.exists():
        raise FileNotFoundError(f"{path}: not found; `dvc repro {stage}` makes it")
    return path


def _manifest(name: str) -> Manifest:
    _need(layout.manifest(name), stage("prepare", name))
    return manifest.read(layout.dataset(name), shards=False)


def _split(name: str, pool: Manifest) -> Split:
    stage = "deduplicate" if name in splits.BASES else f"prune@{name}"
    _need(layout.split(name) / split.CARD, stage)
    found = split.read(layout.split(name))
    if found.card.get("pool") != pool.sha256:
        raise ValueError(
            f"{layout.split(name)}: made from another pool than {pool.folder}; "
            f"`dvc repro {stage}` makes it again"
        )
    return found


def _outcome(condition: Condition, test: str, against: Scores) -> Outcome:
    tables = {}
    for run in condition.runs:
        path = layout.predictions(run) / f"{test}.parquet"
        _need(path, f"evaluate@{run}")
        tables[run] = predictions.read(path.parent, test)
        _check_rows(path, tables[run], against)
    ranks = {run: table["rank"].to_numpy() for run, table in tables.items()}
    return Outcome(
        against.test.row,
        np.mean([rank_Q == 1 for rank_Q in ranks.values()], axis=0),
        np.mean([rank_Q <= TOP for rank_Q in ranks.values()], axis=0),
        {run: float((rank_Q == 1).mean()) for run, rank_Q in ranks.items()},
    )


def _gap(name: str, test: str, against: Scores) -> Gap:
    path = _need(layout.gap(name) / f"{test}.parquet", f"gap@{name}")
    table = atomic.read_parquet(path, GAP_SCHEMA)
    _check_rows(path, table, against)
    return Gap(table["similarity"].to_numpy(), table["split_similarity"].to_numpy())


def _check_rows(path: Path, table: pa.Table, against: Scores) -> None:
    if not np.array_equal(table["row"].to_numpy(), against.test.row):
        raise ValueError(
            f"{path}: its {table.num_rows} rows are not the {len(against.test.row)} test images of "
            f"{against.folder}; one of them is of an older test set"
        )
