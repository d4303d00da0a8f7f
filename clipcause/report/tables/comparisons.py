"""How sure differences are: every condition against the random splits of its size, as one family.

The family is the report's question: did choosing rows this way matter on this test set, beside
choosing as many at random? It holds every condition that has such a random split on every test set,
and p values are corrected over all of it. Other pairs are for `python -m clipcause compare`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from clipcause.report.inputs import Inputs
from clipcause.report.tables import accuracy
from clipcause.report.tables.table import High, Low, Split, Table, Test, percent, rounded
from clipcause.stats.comparison import ALPHA, Comparison, holm

SURE, UNSURE = "beyond noise", "not beyond noise"


@dataclass(frozen=True)
class Compared:
    """One comparison of a family."""

    name: str  # of what is compared: the first, where all are compared with the same
    other: str
    test: str
    found: Comparison
    p_holm: float

    @property
    def is_sure(self) -> bool:
        """Whether the difference is beyond noise: p below 0.05 after the correction."""
        return self.p_holm < ALPHA


@dataclass(frozen=True)
class Row:
    """A condition minus the random split of its size on a test set, in points."""

    test: Test
    split: Split
    difference: Annotated[float, "top-1 accuracy minus that of the random split, in points"]
    low: Low
    high: High
    p: Annotated[float, "p value of no difference, for this comparison alone"]
    p_holm: Annotated[float, "after Holm's correction over all of the table"]
    detectable: Annotated[
        float | None, "smallest true difference found with probability 80 %, in points"
    ]
    kind: Annotated[str, "`beyond noise` where the corrected p value is below 0.05"]


def family(inputs: Inputs) -> list[Compared]:
    """Every condition with the random splits of its size, test set by test set."""
    return corrected([
        (line.condition.name, " ".join(line.condition.controls), test, cell.against)
        for line in inputs.of(accuracy.lines)
        for test, cell in line.cells.items()
        if cell.against
    ])  # fmt: skip


def corrected(found: Sequence[tuple[str, str, str, Comparison]]) -> list[Compared]:
    """Comparisons as one family, by Holm's correction."""
    p_M = holm(np.array([one[-1].p for one in found], np.float64))
    return [Compared(*one, float(p)) for one, p in zip(found, p_M, strict=True)]


def numbers(found: Sequence[Compared]) -> dict[str, Any]:
    """The metrics: differences are shares, condition minus random split.

    ``covers_runs`` is 1 where noise between runs is in interval and p, 0 where a side was trained
    once: what is beyond noise there is beyond the choice of test images alone.
    """
    by_name: dict[str, dict[str, dict[str, float]]] = {}
    for one in found:
        difference = one.found.difference
        values = {
            "difference": difference.value,
            "low": difference.low,
            "high": difference.high,
            "p": one.found.p,
            "p_holm": one.p_holm,
            "covers_runs": int(one.found.covers_runs),
        }
        if one.found.detectable is not None:
            values["detectable"] = one.found.detectable
        by_name.setdefault(accuracy.path(one.name), {})[one.test] = values
    counts = {
        "comparisons": len(found),
        "beyond_noise": sum(one.is_sure for one in found),
        "beyond_noise_covering_runs": sum(one.is_sure for one in found if one.found.covers_runs),
    }
    return {"random": by_name, "family": counts}


def rows(inputs: Inputs) -> list[Row]:
    """The forest plot's data: a line per comparison."""
    made = []
    for one in inputs.of(family):
        found, kind = one.found, SURE if one.is_sure else UNSURE
        chances = float(f"{found.p:.4g}"), float(f"{one.p_holm:.4g}")
        least = None if found.detectable is None else rounded(100 * found.detectable)
        made.append(Row(one.test, one.name, *percent(found.difference), *chances, least, kind))
    return made


TABLES = (Table("comparisons", Row, rows),)
