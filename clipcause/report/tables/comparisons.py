"""How sure differences are: every condition against the random splits of its size, as one family.

The family is the report's question: did choosing rows this way matter on this test set, beside
choosing as many at random? It holds every condition that has such a random split on every test set,
and p values are corrected over all of it. Other pairs are for `python -m stages.report compare`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clipcause.report import colours
from clipcause.report.study import Study
from clipcause.report.tables import tabular
from clipcause.report.tables.accuracy import Line, path
from clipcause.stats.comparison import ALPHA, Comparison, holm

SURE, UNSURE = "beyond noise", "not beyond noise"
COLUMNS = (
    "test", "split", "difference", "low", "high", "p", "p_holm", "detectable", "kind", "colour",
)  # fmt: skip


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


def family(lines: Sequence[Line]) -> list[Compared]:
    """Every condition with the random splits of its size, test set by test set."""
    return corrected([
        (line.condition.name, " ".join(line.condition.twins), test, cell.against)
        for line in lines
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
        by_name.setdefault(path(one.name), {})[one.test] = values
    counts = {
        "comparisons": len(found),
        "beyond_noise": sum(one.is_sure for one in found),
        "beyond_noise_covering_runs": sum(one.is_sure for one in found if one.found.covers_runs),
    }
    return {"random": by_name, "family": counts}


def rows(study: Study, found: Sequence[Compared]) -> tabular.Rows:
    """The forest plot's data: points, a line per comparison."""
    colour = colours.colours(study)
    return [
        {
            "test": one.test,
            "split": one.name,
            "difference": _points(one.found.difference.value),
            "low": _points(one.found.difference.low),
            "high": _points(one.found.difference.high),
            "p": _digits(one.found.p),
            "p_holm": _digits(one.p_holm),
            "detectable": "" if one.found.detectable is None else _points(one.found.detectable),
            "kind": SURE if one.is_sure else UNSURE,
            "colour": colour.get(one.name, colours.GREY),
        }
        for one in found
    ]


def _points(share: float) -> float:
    return round(100 * share, 4) + 0.0


def _digits(p: float) -> float:
    return float(f"{p:.4g}")
