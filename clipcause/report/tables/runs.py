"""The tidy table: a line per run and test set, every factor of the run and every number of it."""

import csv
import io
from collections.abc import Mapping

from clipcause.config.runs import NONE
from clipcause.report import factors
from clipcause.report.kinds import every, kinds_of
from clipcause.report.study import Study
from clipcause.report.tables import locked_text
from clipcause.report.tables.imbalance import Evaluated

Line = tuple[dict[str, str], dict[str, str]]  # factors and numbers
DIGITS = 6


def lines(study: Study, found: Mapping[str, Evaluated], seen: locked_text.Seen) -> list[Line]:
    """Factors and numbers of every run on every test set, by run in the order of the parameters.

    Names of the split's parameters begin with `split.`; `rows` are those of the pool that the run
    learnt from, `reference_rows` those of the reference; `donor_rows_of_trimmed` are those of the
    donor, of the classes that the run's split trimmed. Numbers have the names of
    ``metrics/evaluate``.
    """
    kinds = kinds_of(study)
    condition = {run: one for one in every(study).values() for run in one.runs}
    made = []
    for run, entry in study.runs.items():
        one = condition[run]
        has_split = entry.split != NONE
        shared = {
            "condition": one.name,
            "kind": kinds[one.name],
            **factors.columns(entry, skip=("add_reference", *factors.NAMED)),
            "rows": str(len(study.splits[entry.split]) if has_split else 0),
            "base_rows": str(len(study.base_of(entry.split))) if has_split else "",
            "reference_rows": str(0 if one.without_reference else len(study.reference)),
            **factors.columns(study.rules.get(entry.split), "split."),
        }
        if (count := seen.get((run, entry.text_from))) is not None:
            shared["donor_rows_of_trimmed"] = str(count)
        for test in study.tests:
            numbers: Mapping[str, int | float] = found.get(run, {}).get(test, {})
            if not numbers and one.name in study.conditions:
                numbers = {"top1": study.outcomes[one.name, test].accuracy[run]}
            made.append(({"run": run, "test": test, **shared}, _cells(numbers)))
        made += [
            ({"run": run, "test": test, **shared}, _cells(numbers))
            for test in study.retrieval
            if (numbers := found.get(run, {}).get(test))  # of CLIP alone
        ]
    return made


def to_csv(made: list[Line]) -> str:
    """Factors first, in the order in which they come, then numbers; a cell that does not apply is
    empty, and a factor that no line has is no column."""
    stated = dict.fromkeys(name for one, _ in made for name, value in one.items() if value)
    measured = dict.fromkeys(name for _, one in made for name in one)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*stated, *measured])
    for one, numbers in made:
        cells = [one.get(name, "") for name in stated]
        writer.writerow([*cells, *(numbers.get(name, "") for name in measured)])
    return text.getvalue()


def _cells(numbers: Mapping[str, int | float]) -> dict[str, str]:
    return {name: _number(value) for name, value in numbers.items()}


def _number(value: int | float) -> str:
    return f"{value:d}" if isinstance(value, int) else f"{round(value, DIGITS) + 0:.{DIGITS}f}"
