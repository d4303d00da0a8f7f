"""All that the page and the figures show, in one object."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from clipcause.config.report import Report
from clipcause.report import written
from clipcause.report.pictures import Duplicate
from clipcause.report.statistics import Bins
from clipcause.report.study import Study
from clipcause.report.tables import retrieval, tabular
from clipcause.report.tables.accuracy import Line
from clipcause.report.tables.agreement import Agreement
from clipcause.report.tables.bias import Bias
from clipcause.report.tables.density import Edge
from clipcause.report.tables.explained import Explanation
from clipcause.report.tables.robustness import Shifts


@dataclass(frozen=True)
class Content:
    """All that the page shows."""

    study: Study
    parameters: Report
    lines: list[Line]
    bins: dict[tuple[str, str], Bins]
    accuracy: tabular.Rows
    similarity: tabular.Rows
    binned: tabular.Rows
    duplicate_count: int
    duplicates: list[Duplicate]
    bias: Bias
    edges: dict[str, Edge]  # of the hulls, by test set
    explained: Explanation
    shifts: Shifts | None
    retrieval: retrieval.Found  # of test sets of captions
    agreements: list[Agreement]  # of splits that differ in their yardstick

    @cached_property
    def tables(self) -> dict[str, tuple[Sequence[str], tabular.Rows]]:
        """Columns and rows of every table, by the name of its CSV."""
        return written.tables(self)

    def rows(self, name: str) -> tabular.Rows:
        """The rows of a table, by the name of its CSV."""
        return self.tables[name][1]
