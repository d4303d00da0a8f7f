"""How dense the edge of the hull is: pool rows just under the test images' thresholds.

Hull pruning removes the rows above a threshold of any test image. Counted are the rows just under
an image's own threshold, before the thresholds of other images remove rows: it is not what a test
image keeps. What pruning with a lower delta would remove as well is counted apart, over all images.

Shapes: Q test images, N pool rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clipcause.config import FILE, layout
from clipcause.config import study as names
from clipcause.config.report import Report
from clipcause.config.splits import NONE, Hull
from clipcause.prune import split
from clipcause.prune.split import Split
from clipcause.report.statistics import paired_bootstrap
from clipcause.report.study import Study
from clipcause.report.tables.tabular import Rows
from clipcause.search import density
from clipcause.search.density import ABOVE, Density

COLUMNS = ("test", "rows", "band", "least", "images")
DROPS = ("test", "split", "group", "images", "drop", "low", "high")
REMOVED = ("test", "band", "removed", "further", "share_of_base")


@dataclass(frozen=True)
class Edge:
    """One test set: its counts, and the rows of the base that hull pruning with respect to it
    removes, for delta 0 and for minus each band."""

    density: Density
    removed: tuple[int, ...]
    base_rows: int

    @property
    def names(self) -> list[str]:
        """What the report calls the counts, in their order."""
        return [ABOVE, *(f"within {band:g}" for band in self.density.bands)]

    @property
    def further(self) -> tuple[int, ...]:
        """Rows that each lower delta removes beside those of delta 0."""
        return tuple(count - self.removed[0] for count in self.removed[1:])


def load(study: Study) -> dict[str, Edge]:
    """The edges of the hulls of all test sets; none where the study has no stage `density`.

    Raises ``FileNotFoundError`` where one is missing, ``ValueError`` where one is of another
    study's pool or test set.
    """
    root = layout.density(study.encoder, names.name("reference", FILE), "any").parent
    if not root.exists():
        return {}
    found = {}
    for test, scores in study.scores.items():
        if not (root / test / density.CARD).exists():
            raise FileNotFoundError(
                f"{root / test}: not found; `dvc repro density@{test}` makes it"
            )
        one = density.read(root / test)
        for source in density.SOURCES:
            if one.card[source] != scores.card[source]:
                raise ValueError(
                    f"{one.folder}: made with another {source} than {scores.folder}; `dvc repro "
                    f"density@{test}` makes it again"
                )
        # a study whose splits have another base has it all the same: the stage read it
        base = study.splits.get(one.card["base"]) or split.read(layout.split(one.card["base"]))
        deltas = [0.0, *(-band for band in one.bands)]
        found[test] = Edge(one, _removed(study, test, deltas, base), len(base))
    return found


def _removed(study: Study, test: str, deltas: Sequence[float], base: Split) -> tuple[int, ...]:
    """Rows of the base whose margin is greater than each delta, as rule `hull` compares them."""
    counts = np.zeros(len(deltas), np.int64)
    for start, block in study.scores[test].pool_blocks(["margin"]):
        margin_N = block["margin"]
        margin_N = margin_N[base.within(start, start + len(margin_N))]
        counts += [int((margin_N > delta).sum()) for delta in deltas]
    return tuple(counts.tolist())


def rows(edges: Mapping[str, Edge]) -> Rows:
    """Per test set and band the share of test images in % with at least so many rows in it.

    Of the base split. Also for the rows above the threshold, which are no band.
    """
    found: Rows = []
    for test, edge in edges.items():
        counts = edge.density.base
        most = max(int(count_Q.max()) for count_Q in counts.values())
        for name, count_Q in zip(edge.names, counts.values(), strict=True):
            found += [
                {
                    "test": test,
                    "rows": edge.density.card["base"],
                    "band": name,
                    "least": least,
                    "images": round(float(100 * (count_Q >= least).mean()), 4),
                }
                for least in _steps(most)
                if (count_Q >= least).any()
            ]
    return found


def _steps(most: int) -> list[int]:
    """1, 2, 3, … and from ten on about ten numbers a decade, up to ``most``."""
    steps = np.unique(np.round(10 ** np.arange(0, np.log10(max(most, 1)) + 1e-9, 0.1)))
    return [int(step) for step in steps]


def drops(study: Study, edges: Mapping[str, Edge], parameters: Report) -> Rows:
    """Whether test images with more rows just under their own threshold lose less accuracy.

    For every condition on a split that hull pruning made with respect to a test set as the edges
    are (``is_of_edges``), and that has a random split of its size: the drop in points, with its
    paired-bootstrap interval over test images, of the images with no row above their own threshold,
    and of the others in two halves by the share of the rows above the lowest edge (threshold less
    the widest band) that lie under the own threshold. Rows that other images' thresholds remove are
    among them, so that the share is not that of what is left.
    """
    found: Rows = []
    for name, one in study.conditions.items():
        rule = study.rules.get(one.split)
        if not (isinstance(rule, Hull) and one.twins):
            continue
        for test in [test for test in rule.tests if test in edges and test in study.tests]:
            if not is_of_edges(rule, edges[test]):
                continue
            above_Q, *_, within_Q = edges[test].density.base.values()
            under_Q = within_Q / np.maximum(above_Q + within_Q, 1)
            has_Q = above_Q > 0
            middle = np.median(under_Q[has_Q]) if has_Q.any() else 0.0
            groups = {
                "nothing above": ~has_Q,
                "smaller share under": has_Q & (under_Q <= middle),
                "larger share under": has_Q & (under_Q > middle),
            }
            twin_Q = study.twin_outcome(one, test)
            assert twin_Q is not None
            for group, chosen_Q in groups.items():
                row: dict[str, Any] = {"test": test, "split": name, "group": group}
                row |= {"images": int(chosen_Q.sum()), "drop": None, "low": None, "high": None}
                if chosen_Q.any():
                    drop = paired_bootstrap(
                        twin_Q[chosen_Q],
                        study.outcomes[name, test].top1_Q[chosen_Q],
                        resamples=parameters.resamples,
                        seed=parameters.seed,
                    )
                    ends = {"drop": drop.value, "low": drop.low, "high": drop.high}
                    row |= {key: round(100 * value, 4) + 0.0 for key, value in ends.items()}
                found.append(row)
    return found


def is_of_edges(rule: Hull, edge: Edge) -> bool:
    """Whether a split was pruned at the edges that were counted: those of the main encoder and
    reference, at delta 0, from the same base."""
    return rule.scores == NONE and rule.delta == 0 and rule.base == edge.density.card["base"]


def left_out(study: Study, edges: Mapping[str, Edge]) -> dict[str, str]:
    """Conditions on hull splits that ``drops`` leaves out, and why: their edges are others."""
    found = {}
    for name, one in study.conditions.items():
        rule = study.rules.get(one.split)
        if not (isinstance(rule, Hull) and one.twins):
            continue
        counted = [edges[test] for test in rule.tests if test in edges and test in study.tests]
        if counted and not all(is_of_edges(rule, edge) for edge in counted):
            found[name] = _why(rule)
    return found


def _why(rule: Hull) -> str:
    if rule.scores != NONE:
        return f"yardstick {rule.scores}"
    return f"delta {rule.delta:g}".replace("-", "−") if rule.delta else f"base {rule.base}"


def removed_rows(edges: Mapping[str, Edge]) -> Rows:
    """Per test set and band, what hull pruning with delta 0 and with minus the band removes."""
    return [
        {
            "test": test,
            "band": band,
            "removed": count,
            "further": count - edge.removed[0],
            "share_of_base": round(count / edge.base_rows, 6),
        }
        for test, edge in edges.items()
        for band, count in zip([0.0, *edge.density.bands], edge.removed, strict=True)
    ]
