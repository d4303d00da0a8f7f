"""What choosing rows did, beside what labels do: every difference from a random control, and how
far the classifier that learnt from the reference's labels alone is from the same control."""

from dataclasses import dataclass
from typing import Annotated

from clipcause.report.inputs import Inputs
from clipcause.report.tables import accuracy, comparisons
from clipcause.report.tables.table import High, Low, Split, Table, Test, percent, rounded


@dataclass(frozen=True)
class Row:
    """A condition on a test set, in points from its random control."""

    test: Test
    split: Split
    line: Annotated[str, "both, as a line of the figure is called"]
    difference: Annotated[float, "top-1 accuracy minus that of the control, in points"]
    low: Low
    high: High
    supervised: Annotated[float | None, "the same of the supervised classifier, in points"]
    kind: Annotated[str, "`beyond noise` where the corrected p is below 0.05 over several runs"]


def rows(inputs: Inputs) -> list[Row]:
    """A row for every condition that has a random control and every test set."""
    lines = inputs.of(accuracy.lines)
    beside = next((line for line in lines if line.condition.is_supervised), None)
    top1 = {line.condition.name: line.cells for line in lines}
    known, made = inputs.study.conditions, []
    for one in inputs.of(comparisons.family):
        if one.other in known[one.name].alike:
            continue
        labelled = None
        if beside:
            own = top1[one.name][one.test].top1.value - one.found.difference.value
            labelled = rounded(100 * (beside.cells[one.test].top1.value - own))
        kind = comparisons.SURE if one.is_sure else comparisons.UNSURE
        ends = percent(one.found.difference)
        line = f"{one.name} on {one.test}"
        made.append(Row(one.test, one.name, line, *ends, labelled, kind))
    return made


TABLES = (Table("effects", Row, rows),)
