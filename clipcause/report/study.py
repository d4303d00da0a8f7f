"""What the report reads: all small artifacts of a study in one object, checked against each other.

Shapes: Q images of a test set, S runs of a condition, C distinct captions.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int32, Int64

from clipcause.config import FILE, layout, objectives, read, study
from clipcause.config.runs import NONE, Run
from clipcause.data import manifest
from clipcause.data.manifest import Manifest
from clipcause.embed import checkpoint
from clipcause.evaluate import predictions, ranks
from clipcause.prune import rules as prune_rules
from clipcause.prune import split
from clipcause.prune.rule import Rule
from clipcause.prune.split import Split
from clipcause.report.conditions import Condition, group, on_splits
from clipcause.report.outline import Outline, Sized
from clipcause.runtime import atomic
from clipcause.runtime.notices import notice
from clipcause.search import gap, scores
from clipcause.search.scores import Scores

Pair = tuple[str, str]  # condition and test set
Reader = Callable[[Path, str], pa.Table]

TOP = 5
MADE_BY = {layout.ALL: f"prepare@{layout.POOL}", "dedup": "deduplicate"}  # splits without a rule


@dataclass(frozen=True)
class Outcome:
    """Per test image the share of the seeds that had it right (first, among five)."""

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
class Ranks:
    """Ranks of the nearest right item by every run of a condition, on a test set of captions."""

    image_to_text: Int32[np.ndarray, "S Q"]
    text_to_image: Int32[np.ndarray, "S C"]
    row_C: Int64[np.ndarray, " C"]  # the first image of every caption


@dataclass(frozen=True)
class Sources:
    """What images and their similarities are read from, by name in the parameters' order."""

    encoder: str
    pool: Manifest
    reference: Manifest
    suite: dict[str, Manifest]  # all test sets
    rules: dict[str, Rule]
    splits: dict[str, Split]
    scores: dict[str, Scores]

    def base_of(self, name: str) -> Split:
        """The split that a split was made from."""
        return self.splits[self.rules[name].base]

    def removed(self, name: str) -> Split:
        """The rows of its base that a split lacks."""
        return split.difference(self.base_of(name), self.splits[name])


@dataclass(frozen=True)
class Study(Outline):
    """All of a study that tables are made from."""

    sources: Sources
    outcomes: dict[Pair, Outcome]
    gaps: dict[Pair, Gap]  # by split and test set
    ranks: dict[str, dict[str, Ranks]]  # by test set of captions and condition

    def similarity(self, condition: Condition, test: str) -> Float64[np.ndarray, " Q"]:
        """Nearest similarity of every test image to what a condition was trained on; the mean over
        the draws of its split."""
        if condition.is_supervised:
            return self.sources.scores[test].test.reference_sim
        of_draws = [self.nearest(condition, name, test) for name in condition.splits]
        return of_draws[0] if len(of_draws) == 1 else np.mean(of_draws, axis=0)

    def nearest(self, condition: Condition, split: str, test: str) -> Float64[np.ndarray, " Q"]:
        """That to one of its splits, with the reference where its models saw that."""
        found = self.gaps[split, test]
        return found.alone_Q if condition.without_reference else found.similarity_Q

    def control_outcome(self, condition: Condition, test: str) -> Float64[np.ndarray, " Q"] | None:
        """Mean top-1 of every test image over the random splits of a condition's size."""
        found = [self.outcomes[name, test].top1_Q for name in condition.controls]
        return np.mean(found, axis=0) if found else None


def load_sources(path: Path = FILE) -> Sources:
    """Read what pictures are chosen from, as ``params.yaml`` names it; errors are those of
    ``load``."""
    names, rules = study.suite(path), prune_rules.load_all(path)
    encoder, _ = study.encoder(path)
    reference = study.name("reference", path)
    pool = _manifest(layout.POOL)
    # what nothing was trained on or evaluated for is no part of the report's tables
    root = layout.similarities(encoder, reference)
    for test in names:
        needed(root / test / scores.CARD, f"similarity@{test}")
    bases = dict.fromkeys(rule.base for rule in rules.values())
    others = [base for base in bases if base not in rules]
    return Sources(
        encoder,
        pool,
        _manifest(reference),
        {test: _manifest(layout.test(test)) for test in names},
        rules,
        {name: _split(name, pool) for name in (*others, *rules)},
        scores.read_all(root, names, pool=pool.sha256),
    )


def load(path: Path = FILE) -> Study:
    """Read a study as ``params.yaml`` names it.

    Raises ``FileNotFoundError`` with the file and the stage that makes it, and ``ValueError`` where
    artifacts do not fit each other.
    """
    sources = load_sources(path)
    rules, scored = sources.rules, sources.scores
    tests = study.to_classify(path)
    sizes = {name: len(one) for name, one in sources.splits.items()}
    runs = on_splits(load_runs(path), rules, study.encoder(path)[1])
    runs = finished(runs, group(runs, rules, sizes, ()), tests)
    cards = {
        run: atomic.read_json(needed(layout.model(run) / checkpoint.CARD, f"train@{run}"))
        for run in runs
    }
    # a published model's card does not say what it saw
    without = {run for run, card in cards.items() if card["training"].get("reference") == NONE}
    grouped = group(runs, rules, sizes, without)
    conditions = {name: one for name, one in grouped.items() if one.answers}
    suite = {name: Sized(len(one), one.sha256) for name, one in sources.suite.items()}
    return Study(
        encoder=sources.encoder,
        fingerprints=sorted({one.card["encoder"] for one in scored.values()}),
        pool=Sized(len(sources.pool), sources.pool.sha256),
        reference=Sized(len(sources.reference), sources.reference.sha256),
        suite=suite,
        tests={test: suite[test] for test in tests},
        rules=rules,
        splits={name: Sized(len(one), card=dict(one.card)) for name, one in sources.splits.items()},
        runs=runs,
        conditions=conditions,
        unnamed={name: one for name, one in grouped.items() if not one.answers},
        cards=cards,
        sources=sources,
        outcomes={
            (name, test): _outcome(one, test, scored[test])
            for name, one in conditions.items()
            for test in tests
        },
        ranks={
            test: _ranks(test, conditions.values(), scored[test])
            for test in study.to_retrieve(path)
        },
        gaps={(name, test): _gap(name, test, scored[test]) for name in rules for test in suite},
    )


def finished(
    runs: Mapping[str, Run], grouped: Mapping[str, Condition], tests: Collection[str]
) -> dict[str, Run]:
    """The runs without those that failed where others of their condition did not; a line on stderr
    names each. The only ones of a condition stay, and are missed where they are read."""
    found = dict(runs)
    for one in grouped.values():
        lost = {run: path for run in one.runs if (path := _missing(run, tests, one))}
        if len(lost) == len(one.runs):
            continue
        left = len(one.runs) - len(lost)
        for run, path in lost.items():
            stage = f"train@{run}" if path.name == checkpoint.CARD else f"evaluate@{run}"
            notice(
                "analyse",
                f"{path} is not there: {run} is left out, and {one.name} is told of by {left} of "
                f"its {len(one.runs)} runs; `dvc repro {stage}` makes it",
            )
            del found[run]
    return found


def _missing(run: str, tests: Collection[str], condition: Condition) -> Path | None:
    """The first file that a run lacks."""
    paths = [layout.model(run) / checkpoint.CARD]
    if condition.answers:
        paths += [layout.predictions(run) / f"{test}.parquet" for test in tests]
    return next((path for path in paths if not path.exists()), None)


def load_runs(path: Path = FILE) -> dict[str, Run]:
    """The entries of `runs`."""
    content = read(path).get("runs")
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path}: section 'runs' is missing or empty")
    return {
        str(name): objectives.parse(entry, f"{path}: runs.{name}")
        for name, entry in content.items()
    }


def needed(path: Path, stage: str) -> Path:
    """A file or folder; raises ``FileNotFoundError`` with the stage that makes it."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: not found; `dvc repro {stage}` makes it")
    return path


def _manifest(name: str) -> Manifest:
    needed(layout.manifest(name), f"prepare@{name}")
    return manifest.read(layout.dataset(name), shards=False)


def _split(name: str, pool: Manifest) -> Split:
    stage = MADE_BY.get(name, f"prune@{name}")
    needed(layout.split(name) / split.CARD, stage)
    found = split.read(layout.split(name))
    if found.card.get("pool") != pool.sha256:
        raise ValueError(
            f"{layout.split(name)}: made from another pool than {pool.folder}; "
            f"`dvc repro {stage}` makes it again"
        )
    return found


def _outcome(condition: Condition, test: str, against: Scores) -> Outcome:
    tables = [_evaluated(run, test, ".parquet", predictions.read, against)
              for run in condition.runs]  # fmt: skip
    rank_SQ = np.stack([table["rank"].to_numpy() for table in tables])
    right_SQ = rank_SQ == 1
    accuracy = dict(zip(condition.runs, right_SQ.mean(axis=1).tolist(), strict=True))
    return Outcome(right_SQ.mean(axis=0), (rank_SQ <= TOP).mean(axis=0), accuracy, right_SQ)


def _ranks(test: str, conditions: Iterable[Condition], against: Scores) -> dict[str, Ranks]:
    """Of all conditions that learnt captions: others do not know what these say."""
    found = {}
    for one in conditions:
        if one.learns != "captions":
            continue
        tables = [_evaluated(run, test, ranks.ENDING, ranks.read, against) for run in one.runs]
        # a line for every caption of an image: it counts in its first one, a caption likewise
        is_image_P = tables[0]["caption_index"].to_numpy() == 0
        is_text_P = tables[0]["caption"].to_numpy() == np.arange(tables[0].num_rows)
        found[one.name] = Ranks(
            np.stack([table["image_to_text"].to_numpy()[is_image_P] for table in tables]),
            np.stack([table["text_to_image"].to_numpy()[is_text_P] for table in tables]),
            tables[0]["row"].to_numpy()[is_text_P],
        )
    return found


def _gap(name: str, test: str, against: Scores) -> Gap:
    table = _of_images(layout.gap(name), test, ".parquet", f"gap@{name}", gap.read, against)
    return Gap(table["similarity"].to_numpy(), table["split_similarity"].to_numpy())


def _evaluated(run: str, test: str, ending: str, read: Reader, against: Scores) -> pa.Table:
    return _of_images(layout.predictions(run), test, ending, f"evaluate@{run}", read, against)


def _of_images(
    folder: Path, test: str, ending: str, stage: str, read: Reader, against: Scores
) -> pa.Table:
    """A file of the images of a test set, which are those that were scored."""
    path = needed(folder / f"{test}{ending}", stage)
    table = read(folder, test)
    row_Q = table["row"].unique().to_numpy()
    if not np.array_equal(row_Q, against.test.row):
        raise ValueError(
            f"{path}: its {len(row_Q)} rows are not the {len(against.test.row)} test images of "
            f"{against.folder}; one of them is of an older test set"
        )
    return table
