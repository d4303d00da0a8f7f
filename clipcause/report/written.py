"""The tables of all plots: columns and rows by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clipcause.report.tables import (
    agreement,
    bias,
    comparisons,
    copies,
    density,
    domains,
    explained,
    matrix,
    retrieval,
    robustness,
    series,
)
from clipcause.report.tables.tabular import Rows

if TYPE_CHECKING:
    from clipcause.report.content import Content


def tables(content: Content) -> dict[str, tuple[Sequence[str], Rows]]:
    """Columns and rows by the name of the file."""
    study, parameters, edges = content.study, content.parameters, content.edges
    plotted = {name: (series.COLUMNS[name], getattr(content, name)) for name in series.COLUMNS}
    biased = {name: (bias.COLUMNS[name], rows) for name, rows in content.bias.rows.items()}
    found = {name: (explained.COLUMNS[name], rows) for name, rows in content.explained.rows.items()}
    asked = retrieval.tables(study, parameters, content.retrieval)
    differences = comparisons.rows(study, comparisons.family(content.lines))
    return {
        **plotted,
        **biased,
        **found,
        **asked,
        "comparisons": (comparisons.COLUMNS, differences),
        "robustness": (robustness.COLUMNS, content.shifts.rows if content.shifts else []),
        "matrix": (matrix.COLUMNS["matrix"], matrix.accuracy_rows(study, content.lines)),
        "overlap": (matrix.COLUMNS["overlap"], matrix.overlap_rows(study)),
        "density": (density.COLUMNS, density.rows(edges)),
        "density_drops": (density.DROPS, density.drops(study, edges, parameters)),
        "hull_edge": (density.REMOVED, density.removed_rows(edges)),
        "copies": (copies.COLUMNS, copies.rows(study, parameters.copy_threshold)),
        "domains": (domains.COLUMNS["domains"], domains.rows(study, content.lines)),
        "yardsticks": (agreement.COLUMNS, agreement.rows(study, content.agreements)),
    }
