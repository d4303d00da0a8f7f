"""The tidy table: a line per run and test set, every factor of the run and every number of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from clipcause.config.runs import NONE
from clipcause.prune.rule import Rule
from clipcause.report import factors
from clipcause.report.evaluated import evaluated
from clipcause.report.inputs import Inputs
from clipcause.report.tables import locked_text, table

SPLIT = "split."
SOURCES = {f"{SPLIT}{name}" for name in ("base", "of", "with", "tests", "scores")}


@dataclass(frozen=True)
class Line:
    """A run on a test set, as text."""

    factors: dict[str, str]
    numbers: dict[str, str]


def lines(inputs: Inputs) -> list[Line]:
    """Factors and numbers of every run on every test set, by run in the order of the parameters.

    Names of the split's parameters begin with `split.`; `rows` are those of the pool that the run
    learnt from, `reference_rows` those of the reference; `text_rows_of_trimmed` are those of the
    run whose text tower it takes, of the classes that the run's split trimmed. Numbers have the
    names of ``metrics/evaluate``.
    """
    study, made = inputs.study, []
    kinds, found, seen = study.models, inputs.of(evaluated), inputs.of(locked_text.seen)
    condition = {run: one for one in study.every.values() for run in one.runs}
    for run, entry in study.runs.items():
        one, has_split = condition[run], entry.split != NONE
        shared = {
            "condition": one.name,
            "kind": kinds[one.name],
            **factors.columns(entry, skip=("add_reference", *factors.NAMED)),
            "rows": str(len(study.splits[entry.split]) if has_split else 0),
            "base_rows": str(len(study.base_of(entry.split))) if has_split else "",
            "reference_rows": str(0 if one.without_reference else len(study.reference)),
            **_stated(study.rules.get(entry.split)),
        }
        if (count := seen.get((run, entry.text_from))) is not None:
            shared["text_rows_of_trimmed"] = str(count)
        for test in (*study.tests, *study.ranks):
            numbers: Mapping[str, int | float] = found[run].get(test, {})
            if test in study.ranks and not numbers:
                continue  # captions are asked of CLIP alone
            if not numbers and one.name in study.conditions:
                numbers = {"top1": study.outcomes[one.name, test].accuracy[run]}
            cells = {name: table.text(value) for name, value in numbers.items()}
            made.append(Line({"run": run, "test": test, **shared}, cells))
    return made


def to_csv(found: list[Line]) -> str:
    """Factors first, in the order in which they come, then numbers; a cell that does not apply is
    empty, and a factor that no line has is no column."""
    stated = dict.fromkeys(name for one in found for name, value in one.factors.items() if value)
    measured = dict.fromkeys(name for one in found for name in one.numbers)
    rows = [
        [one.factors.get(name, "") for name in stated]
        + [one.numbers.get(name, "") for name in measured]
        for one in found
    ]
    return table.lines([*stated, *measured], rows)


def _stated(rule: Rule | None) -> dict[str, str]:
    """The parameters of a split; which splits and test sets it is from comes before its rule."""
    found = factors.columns(rule, SPLIT)
    return {name: found[name] for name in sorted(found, key=lambda name: name not in SOURCES)}
