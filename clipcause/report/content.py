"""All that the page and the figures show, in one object."""

from dataclasses import dataclass

from clipcause.config.report import Report
from clipcause.report import retrieval, series
from clipcause.report.agreement import Agreement
from clipcause.report.bias import Bias
from clipcause.report.density import Edge
from clipcause.report.explain import Explanation
from clipcause.report.pictures import Duplicate
from clipcause.report.robustness import Shifts
from clipcause.report.statistics import Bins
from clipcause.report.study import Study
from clipcause.report.table import Line


@dataclass(frozen=True)
class Content:
    """All that the page shows."""

    study: Study
    parameters: Report
    lines: list[Line]
    bins: dict[tuple[str, str], Bins]
    accuracy: series.Rows
    similarity: series.Rows
    binned: series.Rows
    duplicate_count: int
    duplicates: list[Duplicate]
    bias: Bias
    edges: dict[str, Edge]  # of the hulls, by test set
    explained: Explanation
    shifts: Shifts | None
    retrieval: retrieval.Found  # of test sets of captions
    agreements: list[Agreement]  # of splits that differ in their yardstick
