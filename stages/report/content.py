"""All that the page and the figures show, in one object."""

from dataclasses import dataclass

from stages.parameters.report import Report
from stages.report import retrieval, series
from stages.report.agreement import Agreement
from stages.report.bias import Bias
from stages.report.density import Edge
from stages.report.explain import Explanation
from stages.report.pictures import Duplicate
from stages.report.robustness import Shifts
from stages.report.statistics import Bins
from stages.report.study import Study
from stages.report.table import Line


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
