"""All tables of class frequency and bias, made once."""

from collections.abc import Mapping
from dataclasses import dataclass

from clipcause.report import colours, factors
from clipcause.report.study import Study
from clipcause.report.tables import (
    corpora,
    frequencies,
    imbalance,
    locked_text,
    parts,
    probes,
    runs,
)
from clipcause.report.tables.frequencies import Frequencies
from clipcause.report.tables.imbalance import Measured, Rows
from clipcause.report.tables.tabular import table

Looks = Mapping[str, tuple[str, str]]  # name to colour and shape
COLUMNS = corpora.COLUMNS | imbalance.COLUMNS | {"probes": probes.COLUMNS}


@dataclass(frozen=True)
class Bias:
    """Rows of the plots by name, and what the tables are made from."""

    frequencies: Frequencies | None
    measured: list[Measured]
    rows: dict[str, Rows]
    looks: dict[str, tuple[str, str]]  # kind of model to colour and shape
    runs: list[runs.Line]
    intraclass: dict[str, dict[str, int | float]]
    donors: locked_text.Seen

    def kinds(self, name: str) -> Looks:
        """The looks of the kinds that a plot has."""
        present = {row["kind"] for row in self.rows[name]}
        return {kind: look for kind, look in self.looks.items() if kind in present}


def load(study: Study) -> Bias:
    """Read what `evaluate`, `frequency`, `probe` and `intraclass` made, as far as they did."""
    found = {run: imbalance.evaluated(run) for run in study.runs}
    measured = imbalance.collect(study, found)
    counted, seen = frequencies.load(study), locked_text.seen(study)
    rows = {
        "frequency": counted.curves if counted else [],
        "sources": counted.agreement if counted else [],
        "bias": imbalance.bias_rows(study, measured),
        "scale": parts.scale_rows(study, measured),
        "tail": parts.tail_rows(study, measured),
        "perclass": imbalance.class_rows(study),
        "probes": probes.rows(study),
    }
    return Bias(
        counted,
        measured,
        rows,
        colours.marks(study),
        runs.lines(study, found, seen),
        {name: factors.flat(found) for name, found in probes.measured("intraclass").items()},
        seen,
    )


def to_csv(name: str, rows: Rows) -> str:
    """The rows of the plot ``name`` as CSV; without rows, the names of its columns."""
    return table(COLUMNS[name], rows)
