"""What the report reads: all small artifacts of a study in one object, checked against each other.

Shapes: Q images of a test set, S runs of a condition, T runs or random splits that it is compared
with.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64

from clipcause.config import FILE, layout, parse, read, study
from clipcause.config.runs import NONE, Run
from clipcause.data import manifest
from clipcause.data.manifest import Manifest
from clipcause.embed import checkpoint
from clipcause.evaluate import predictions
from clipcause.prune import rules as prune_rules
from clipcause.prune import split
from clipcause.prune.rule import Rule
from clipcause.prune.split import Split
from clipcause.report import retrieved
from clipcause.report.conditions import Condition, group, on_splits, twins
from clipcause.report.retrieved import Retrieved
from clipcause.runtime import atomic
from clipcause.search import gap, scores
from clipcause.search.scores import Scores

TOP = 5
MADE_BY = {layout.ALL: f"prepare@{layout.POOL}", "dedup": "deduplicate"}  # splits without a rule


@dataclass(frozen=True)
class Outcome:
    """Per test image: its row, and the share of the seeds that had it right (first, among five)."""

    row_Q: Int64[np.ndarray, " Q"]
    top1_Q: Float64[np.ndarray, " Q"]
    top5_Q: Float64[np.ndarray, " Q"]
    accuracy: Mapping[str, float]  # top-1 of every run
    right_SQ: Bool[np.ndarray, "S Q"]  # of every run: whether its first answer was right


@dataclass(frozen=True)
class Gap:
    """Nearest similarity of every test image to a split, with the reference added and alone."""

    similarity_Q: Float64[np.ndarray, " Q"]
    alone_Q: Float64[np.ndarray, " Q"]


@dataclass(frozen=True)
class Study:
    """A study's artifacts. Names are in the order of the parameters."""

    encoder: str
    tests: dict[str, Manifest]  # whose images have classes
    retrieval: dict[str, Retrieved]  # the others: whose images have captions
    pool: Manifest
    reference: Manifest
    rules: dict[str, Rule]
    splits: dict[str, Split]
    runs: dict[str, Run]  # one on a base is on the split that is all of it
    conditions: dict[str, Condition]  # whose models name a class
    unnamed: dict[str, Condition]  # self-supervised ones, which do not, and published ones
    outcomes: dict[tuple[str, str], Outcome]  # by condition and test set
    scores: dict[str, Scores]
    gaps: dict[tuple[str, str], Gap]  # by split and test set
    cards: dict[str, dict[str, Any]]  # of every run's checkpoint

    @cached_property
    def suite(self) -> dict[str, Manifest]:
        """All test sets, whatever is asked about them."""
        of_captions = {test: found.manifest for test, found in self.retrieval.items()}
        return {test: (self.tests | of_captions)[test] for test in self.scores}

    @cached_property
    def twins(self) -> dict[str, tuple[str, ...]]:
        """A random split's name to those of the splits that are compared with it."""
        return twins(self.rules, {name: len(found) for name, found in self.splits.items()})

    def is_encoder(self, condition: Condition) -> bool:
        """Whether one of its models is the encoder that measures similarity."""
        encoders = {found.card.get("encoder") for found in self.scores.values()}
        return any(self.cards[run]["fingerprint"] in encoders for run in condition.runs)

    def base_of(self, name: str) -> Split:
        """The split that a split was made from."""
        return self.splits[self.rules[name].base]

    def similarity(self, condition: Condition, test: str) -> Float64[np.ndarray, " Q"]:
        """Nearest similarity of every test image to what a condition was trained on."""
        if condition.is_supervised:
            return self.scores[test].test.reference_sim
        found = self.gaps[condition.split, test]
        return found.alone_Q if condition.without_reference else found.similarity_Q

    def twin_outcome(self, condition: Condition, test: str) -> Float64[np.ndarray, " Q"] | None:
        """Mean top-1 of every test image over the random splits of a condition's size."""
        found = [self.outcomes[twin, test].top1_Q for twin in condition.twins]
        return np.mean(found, axis=0) if found else None

    def twin_units(self, condition: Condition, test: str) -> Float64[np.ndarray, "T Q"] | None:
        """What a condition is compared with: the runs on the random split of its size; of several
        such splits each is one unit, the mean of its runs, for another draw of rows is what they
        differ by."""
        found = [self.outcomes[twin, test] for twin in condition.twins]
        if len(found) == 1:
            return found[0].right_SQ.astype(np.float64)
        return np.stack([one.top1_Q for one in found]) if found else None


def load(path: Path = FILE) -> Study:
    """Read a study as ``params.yaml`` names it.

    Raises ``FileNotFoundError`` with the file and the stage that makes it, and ``ValueError`` where
    artifacts do not fit each other.
    """
    names, rules = study.suite(path), prune_rules.load_all(path)
    encoder, trained = study.encoder(path)
    runs = on_splits(load_runs(path), rules, trained)
    pool, reference = _manifest(layout.POOL), _manifest(study.name("reference", path))
    tests = {test: _manifest(layout.test(test)) for test in study.to_classify(path)}
    # what nothing was trained on or evaluated for is no part of the report's tables
    root = layout.similarities(encoder, study.name("reference", path))
    for test in names:
        _need(root / test / scores.CARD, f"similarity@{test}")
    found = scores.read_all(root, names, pool=pool.sha256)
    bases = dict.fromkeys(rule.base for rule in rules.values())
    others = [base for base in bases if base not in rules]
    stored = {name: _split(name, pool) for name in (*others, *rules)}
    cards = {
        run: atomic.read_json(_need(layout.model(run) / checkpoint.CARD, f"train@{run}"))
        for run in runs
    }
    # a published model's card does not say what it saw
    without = {run for run, card in cards.items() if card["training"].get("reference") == NONE}
    sizes = {name: len(one) for name, one in stored.items()}
    grouped = group(runs, rules, sizes, without)
    conditions = {name: one for name, one in grouped.items() if one.answers}
    unnamed = {name: one for name, one in grouped.items() if not one.answers}
    outcomes = {
        (one.name, test): _outcome(one, test, found[test])
        for one in conditions.values()
        for test in tests
    }
    of_captions = {
        test: retrieved.load(_manifest(layout.test(test)), test, conditions.values(), found[test])
        for test in study.to_retrieve(path)
    }
    gaps = {(name, test): _gap(name, test, found[test]) for name in rules for test in names}
    return Study(
        encoder, tests, of_captions, pool, reference, rules, stored, runs, conditions, unnamed,
        outcomes, found, gaps, cards,
    )  # fmt: skip


def load_runs(path: Path = FILE) -> dict[str, Run]:
    """The entries of `runs`."""
    content = read(path).get("runs")
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path}: section 'runs' is missing or empty")
    return {str(name): parse(entry, Run, f"{path}: runs.{name}") for name, entry in content.items()}


def _need(path: Path, stage: str) -> Path:
    if not path.exists():
        raise FileNotFoundError(f"{path}: not found; `dvc repro {stage}` makes it")
    return path


def _manifest(name: str) -> Manifest:
    _need(layout.manifest(name), f"prepare@{name}")
    return manifest.read(layout.dataset(name), shards=False)


def _split(name: str, pool: Manifest) -> Split:
    stage = MADE_BY.get(name, f"prune@{name}")
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
        np.stack([rank_Q == 1 for rank_Q in ranks.values()]),
    )


def _gap(name: str, test: str, against: Scores) -> Gap:
    path = _need(layout.gap(name) / f"{test}.parquet", f"gap@{name}")
    table = gap.read(path.parent, test)
    _check_rows(path, table, against)
    return Gap(table["similarity"].to_numpy(), table["split_similarity"].to_numpy())


def _check_rows(path: Path, table: pa.Table, against: Scores) -> None:
    if not np.array_equal(table["row"].to_numpy(), against.test.row):
        raise ValueError(
            f"{path}: its {table.num_rows} rows are not the {len(against.test.row)} test images of "
            f"{against.folder}; one of them is of an older test set"
        )
