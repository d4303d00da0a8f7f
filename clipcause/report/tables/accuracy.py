"""The table of conditions x test sets: its numbers, as CSV and as Markdown."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clipcause.config import splits
from clipcause.config.report import Report
from clipcause.report import classwise
from clipcause.report.conditions import Condition
from clipcause.report.decimals import percent, points, ranged
from clipcause.report.study import Study
from clipcause.stats.comparison import Comparison, Interval, compare
from clipcause.stats.statistics import wilson

COLUMNS = (
    "split", "run", "n", "test", "top1", "top5", "n_test", "wilson_low", "wilson_high",
    "random_twin", "drop", "drop_low", "drop_high", "share_removed", "seeds",
)  # fmt: skip
DIGITS = 6


@dataclass(frozen=True)
class Cell:
    """One condition on one test set. Accuracies are shares, means over the seeds."""

    top1: Interval
    top5: float
    images: int
    against: Comparison | None  # this minus the random splits of its size; None where there is none

    @property
    def difference(self) -> Interval | None:
        """This minus the mean of the random splits: what readers see."""
        return self.against.difference if self.against else None

    @property
    def drop(self) -> Interval | None:
        """The mean of the random splits minus this: what the CSV and the metrics have."""
        return self.against.difference.reversed() if self.against else None


@dataclass(frozen=True)
class Line:
    """One condition: rows trained on (of the pool; of the reference where it is supervised)."""

    condition: Condition
    rows: int
    removed: float | None  # share of the base; None where nothing was pruned
    cells: dict[str, Cell]


def make(study: Study, parameters: Report) -> list[Line]:
    """All lines, in the order of the study's conditions."""
    return [_line(study, one, parameters) for one in study.conditions.values()]


def to_csv(lines: list[Line]) -> str:
    """Long form: a line per condition and test set; several runs and seeds are joined by blanks."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for line in lines:
        one = line.condition
        shared = {
            "split": one.name,
            "run": " ".join(one.runs),
            "n": line.rows,
            "random_twin": " ".join(one.twins),
            "share_removed": _number(line.removed),
            "seeds": " ".join(str(seed) for seed in one.seeds),
        }
        for test, cell in line.cells.items():
            writer.writerow({**shared, "test": test, **_columns(cell)})
    return text.getvalue()


def to_markdown(study: Study, lines: list[Line]) -> str:
    """A row per condition: rows kept, share removed, top-1 in %, the difference, its interval."""
    tests = list(study.tests)
    head = ["training data", "images", "removed", *tests]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for line in lines:
        removed = "–" if line.removed is None else percent(line.removed)
        cells = [_markdown(line.cells[test]) for test in tests]
        rows.append([line.condition.name, f"{line.rows:,}", removed, *cells])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows) + "\n" + note(study, lines) + "\n"


def note(study: Study, lines: list[Line]) -> str:
    """What the numbers of the table are, in one paragraph."""
    seeds = max((len(line.condition.seeds) for line in lines), default=0)
    trained = (
        "Every number is one training run, and intervals do not cover the noise between runs."
        if seeds <= 1
        else f"Accuracies are means over up to {seeds} training seeds; intervals cover the choice "
        f"of test images{_runs_covered(lines)}."
    )
    return (
        "Top-1 accuracy in %. With it, points above (+) or below (−, worse) the random split of "
        "the same size and [their 95 % paired-bootstrap interval over test images]; bold where it "
        f"leaves out zero. {trained}{_other_base(study, lines)} In table.csv and "
        "metrics/report.json “drop” is the same the other way round, random minus split."
    )


def _runs_covered(lines: list[Line]) -> str:
    """Whether intervals cover the noise between runs, as the end of a sentence."""
    covers = {cell.against.covers_runs for one in lines for cell in one.cells.values()
              if cell.against}  # fmt: skip
    if covers == {True}:
        return " and the noise between runs"
    if True in covers:
        return ", and the noise between runs where both sides have several"
    return ", not the noise between runs"


def _other_base(study: Study, lines: list[Line]) -> str:
    """Which conditions cannot be held against the pruned ones, because their base is another."""
    rules = {line.condition.name: study.rules.get(line.condition.split) for line in lines}
    # what was chosen from some other split is in no danger of being compared with the whole
    bases = {
        rule.base
        for rule in rules.values()
        if not isinstance(rule, splits.Everything | None)
        and not classwise.is_classwise(rule)
        and rule.base in splits.BASES
    }
    text = ""
    for line in lines:
        one, rule = line.condition, rules[line.condition.name]
        if isinstance(rule, splits.Everything) and bases - {rule.base}:
            what = "also the encoder, " if study.is_encoder(one) else ""
            rest = (
                "trained on the pool before de-duplication; the pruned splits were made after it"
                if rule.base == "all"
                else "trained on the pool after de-duplication; not all pruned splits were"
            )
            text += (
                f" “{one.name}” is {what}{rest}: compare a pruned split with the random split of "
                f"its size, not with “{one.name}”."
            )
    return text


def numbers(study: Study, lines: list[Line]) -> dict[str, Any]:
    """The metrics: top-1 by run and test set, drops by condition and test set.

    One number a path, as `dvc metrics diff` shows them; intervals are in the table.
    """
    accuracy: dict[str, dict[str, float]] = {}
    for (_, test), outcome in study.outcomes.items():
        for run, value in outcome.accuracy.items():
            accuracy.setdefault(run, {})[test] = value
    drops = {
        path(line.condition.name): {
            test: cell.drop.value for test, cell in line.cells.items() if cell.drop
        }
        for line in lines
        if line.condition.twins
    }
    return {"accuracy": accuracy, "drop": drops}


def path(condition: str) -> str:
    """A condition's name as part of a metric's path."""
    return condition.replace(" ", "-")


def _line(study: Study, condition: Condition, parameters: Report) -> Line:
    if condition.is_supervised:
        rows, removed = len(study.reference), None
    else:
        rows, base = len(study.splits[condition.split]), study.base_of(condition.split)
        removed = 1 - rows / len(base)
    cells = {test: _cell(study, condition, test, parameters) for test in study.tests}
    return Line(condition, rows, removed, cells)


def _cell(study: Study, condition: Condition, test: str, parameters: Report) -> Cell:
    outcome = study.outcomes[condition.name, test]
    count = len(outcome.top1_Q)
    twins_TQ = study.twin_units(condition, test)
    against = None
    if twins_TQ is not None:
        against = compare(
            twins_TQ, outcome.right_SQ, resamples=parameters.resamples, seed=parameters.seed
        ).reversed()
    hits = float(outcome.top1_Q.sum())
    low, high = wilson(hits, count)
    return Cell(Interval(hits / count, low, high), float(outcome.top5_Q.mean()), count, against)


def _columns(cell: Cell) -> Mapping[str, str | int]:
    drop = cell.drop
    return {
        "top1": _number(cell.top1.value),
        "top5": _number(cell.top5),
        "n_test": cell.images,
        "wilson_low": _number(cell.top1.low),
        "wilson_high": _number(cell.top1.high),
        "drop": _number(drop.value if drop else None),
        "drop_low": _number(drop.low if drop else None),
        "drop_high": _number(drop.high if drop else None),
    }


def _number(value: float | None) -> str:
    # + 0 so that a rounded zero has no sign
    return "" if value is None else f"{round(value, DIGITS) + 0:.{DIGITS}f}"


def _markdown(cell: Cell) -> str:
    top1 = points(cell.top1.value)
    if cell.difference is None:
        return top1
    text = ranged(cell.difference)
    return f"{top1} (**{text}**)" if cell.difference.is_distinguishable else f"{top1} ({text})"
