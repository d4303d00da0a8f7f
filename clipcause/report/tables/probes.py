"""What linear classifiers on models' features reach, and how alike the images of a class are: the
numbers of the stages `probe` and `intraclass`, where a study has them."""

from typing import Any

from clipcause.config import FILE, item, layout, read
from clipcause.config.probes import NONE, Probe
from clipcause.report.colours import marks
from clipcause.report.kinds import every, kinds_of
from clipcause.report.study import Study
from clipcause.report.tables.imbalance import Rows
from clipcause.runtime import metrics

SECTIONS = {"probe": "probes", "intraclass": "intraclass"}  # stage to section
SHOTS = "shots-"
COLUMNS = (
    "test", "probe", "run", "condition", "kind", "trained", "shots", "value", "low", "high",
    "draws", "colour",
)  # fmt: skip


def measured(stage: str) -> dict[str, dict[str, Any]]:
    """The metrics of every entry of a section that a study may lack; those that were not made are
    left out."""
    entries = read(FILE).get(SECTIONS[stage])
    names = entries if isinstance(entries, dict) else {}
    paths = {str(name): layout.metrics(stage, str(name)) for name in names}
    return {name: metrics.read(path) for name, path in paths.items() if path.exists()}


def rows(study: Study) -> Rows:
    """Accuracy of every probe in % by test set and samples of a class (none: all rows), with one
    standard deviation over its draws to either side."""
    kinds, looks, made = kinds_of(study), marks(study), []
    condition = {run: name for name, one in every(study).items() for run in one.runs}
    for name, found in measured("probe").items():
        probe = item("probes", name, Probe)
        if probe.run not in condition:
            continue  # a pre-trained encoder, which is no run
        kind = kinds[condition[probe.run]]
        rows_of = probe.data if probe.split == NONE else probe.split
        for test, results in found["tests"].items():
            for shots, numbers in results.items():
                if not isinstance(numbers, dict):
                    continue  # counts of the test set
                value, spread = 100 * numbers["top1"], 100 * numbers.get("deviation", 0.0)
                made.append({
                    "test": test,
                    "probe": name,
                    "run": probe.run,
                    "condition": condition[probe.run],
                    "kind": kind,
                    "trained": f"on rows of {rows_of}",
                    "shots": int(shots.removeprefix(SHOTS)) if SHOTS in shots else "",
                    "value": round(value, 4),
                    "low": round(value - spread, 4),
                    "high": round(value + spread, 4),
                    "draws": len(numbers["draws"]),
                    "colour": looks[kind][0],
                })  # fmt: skip
    return made
