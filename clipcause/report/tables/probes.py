"""What linear classifiers on models' features reach, and how alike the images of a class are: the
numbers of the stages `probe` and `intraclass`, where a study has them."""

from dataclasses import dataclass
from typing import Annotated, Any

from clipcause.config import FILE, item, layout, read
from clipcause.config.probes import NONE, Probe
from clipcause.report import factors
from clipcause.report.inputs import Inputs
from clipcause.report.tables.table import Model, Table, Test, rounded
from clipcause.runtime import metrics

SECTIONS = {"probe": "probes", "intraclass": "intraclass"}  # stage to section
SHOTS = "shots-"


@dataclass(frozen=True)
class Row:
    """A probe on a test set."""

    test: Test
    probe: Annotated[str, "the entry of `probes`"]
    run: Annotated[str, "the run whose features it reads"]
    condition: Annotated[str, "that run's condition"]
    kind: Model
    trained: Annotated[str, "the rows that it was trained on"]
    shots: Annotated[int | None, "rows of each class; empty: all"]
    value: Annotated[float, "top-1 accuracy in %, mean over draws"]
    low: Annotated[float, "one standard deviation over draws below"]
    high: Annotated[float, "one standard deviation over draws above"]
    draws: Annotated[int, "draws of rows"]


def stated(stage: str) -> dict[str, dict[str, Any]]:
    """The metrics of every entry of a section that a study may lack; those that were not made are
    left out."""
    entries = read(FILE).get(SECTIONS[stage])
    names = entries if isinstance(entries, dict) else {}
    paths = {str(name): layout.metrics(stage, str(name)) for name in names}
    return {name: metrics.read(path) for name, path in paths.items() if path.exists()}


def intraclass(_: Inputs) -> dict[str, dict[str, int | float]]:
    """Numbers by their path with dots, by entry."""
    return {name: factors.flat(found) for name, found in stated("intraclass").items()}


def rows(inputs: Inputs) -> list[Row]:
    """Accuracy of every probe in % by test set and samples of a class (none: all rows)."""
    study, made = inputs.study, []
    kinds = study.models
    condition = {run: name for name, one in study.every.items() for run in one.runs}
    for name, found in stated("probe").items():
        probe = item("probes", name, Probe)
        if probe.run not in condition:
            continue  # a pre-trained encoder, which is no run
        of = condition[probe.run]
        trained = f"on rows of {probe.data if probe.split == NONE else probe.split}"
        for test, results in found["tests"].items():
            for shots, numbers in results.items():
                if not isinstance(numbers, dict):
                    continue  # counts of the test set
                value, spread = 100 * numbers["top1"], 100 * numbers.get("deviation", 0.0)
                count = int(shots.removeprefix(SHOTS)) if SHOTS in shots else None
                ends = map(rounded, (value, value - spread, value + spread))
                draws = len(numbers["draws"])
                made.append(Row(test, name, probe.run, of, kinds[of], trained, count, *ends, draws))
    return made


TABLES = (Table("probes", Row, rows, by="kind"),)
