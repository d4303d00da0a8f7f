"""How dense the edge of the hull is: pool rows just under the test images' thresholds.

Hull pruning removes the rows above a threshold of any test image. Counted are the rows just under
an image's own threshold, before the thresholds of other images remove rows: it is not what a test
image keeps. What pruning with a lower delta would remove as well is counted apart, over all images.

Shapes: Q test images, N pool rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from clipcause.config import layout
from clipcause.config.layout import NONE
from clipcause.config.study import name as named
from clipcause.prune import split
from clipcause.prune.rules.hull import Hull
from clipcause.prune.split import Split as Rows
from clipcause.report.conditions import Condition
from clipcause.report.inputs import Inputs
from clipcause.report.outline import Outline
from clipcause.report.study import Study
from clipcause.report.tables import table
from clipcause.search import density
from clipcause.search.density import ABOVE, Density
from clipcause.stats.comparison import paired_bootstrap
from clipcause.stats.statistics import spearman


@dataclass(frozen=True)
class Counted:
    """Pool rows about test images' thresholds, over the test images."""

    median: float
    mean: float
    none: float  # share of the test images without any


@dataclass(frozen=True)
class Edge:
    """One test set: the rows of the base about its images' thresholds, and those that hull pruning
    with respect to it removes, for delta 0 and for minus each band."""

    base: str
    base_rows: int
    bands: list[float]
    images: int
    removed: list[int]
    counts: dict[str, Counted]  # above the threshold, then within each band
    correlation: float | None  # Spearman's, of the rows above and those in the widest band

    @property
    def further(self) -> list[int]:
        """Rows that each lower delta removes beside those of delta 0."""
        return [count - self.removed[0] for count in self.removed[1:]]


@dataclass(frozen=True)
class Row:
    """The test images with at least so many pool rows about their threshold."""

    test: table.Test
    rows: Annotated[str, "the split whose rows are counted"]
    band: Annotated[str, "`above` the threshold, or `within` so much under it"]
    least: Annotated[int, "at least so many rows"]
    images: Annotated[float, "test images that have them, in %"]


@dataclass(frozen=True)
class Drop:
    """What a group of test images lost by hull pruning."""

    test: table.Test
    split: table.Split
    group: Annotated[str, "test images by the share of rows that is just under their threshold"]
    images: table.Images
    drop: Annotated[float | None, "accuracy of the random split minus that of the split, in points"]
    low: Annotated[float | None, "lower end of the 95 % interval"]
    high: Annotated[float | None, "upper end of the 95 % interval"]


@dataclass(frozen=True)
class Removed:
    """What hull pruning with a delta of minus the band removes."""

    test: table.Test
    band: Annotated[float, "so far under the thresholds"]
    removed: Annotated[int, "rows of the base that go"]
    further: Annotated[int, "those that stay at delta 0"]
    share_of_base: Annotated[float, "`removed` over the rows of the base"]


def stored(inputs: Inputs) -> dict[str, Density]:
    """The densities of all test sets; none where the study has no stage `density`.

    Raises ``FileNotFoundError`` where one is missing, ``ValueError`` where one is of another
    study's pool or test set.
    """
    study = inputs.study
    root = layout.density(study.encoder, named("reference"), "any").parent
    if not root.exists():
        return {}
    found = {}
    for test, scores in study.sources.scores.items():
        if not (root / test / density.CARD).exists():
            raise FileNotFoundError(
                f"{root / test}: not found; `dvc repro density@{test}` makes it"
            )
        found[test] = one = density.read(root / test)
        for source in density.SOURCES:
            if one.card[source] != scores.card[source]:
                raise ValueError(
                    f"{one.folder}: made with another {source} than {scores.folder}; `dvc repro "
                    f"density@{test}` makes it again"
                )
    return found


def edges(inputs: Inputs) -> dict[str, Edge]:
    """The edges of the hulls of all test sets."""
    return {test: _edge(inputs.study, test, one) for test, one in inputs.of(stored).items()}


def rows(inputs: Inputs) -> list[Row]:
    """Per test set and band the share of test images in % with at least so many rows of the base in
    it. Also for the rows above the threshold, which are no band."""
    found = []
    for test, one in inputs.of(stored).items():
        most = max(int(count_Q.max()) for count_Q in one.base.values())
        found += [
            Row(test, one.card["base"], name, least, table.rounded(100 * (count_Q >= least).mean()))
            for name, count_Q in _named(one).items()
            for least in _steps(most)
            if (count_Q >= least).any()
        ]
    return found


def drops(inputs: Inputs) -> list[Drop]:
    """Whether test images with more rows just under their own threshold lose less accuracy.

    For every condition on a split that hull pruning made with respect to a test set as the edges
    are (``is_of_edge``), and that has a random split of its size: the drop in points, with its
    paired-bootstrap interval over test images, of the images with no row above their own threshold,
    and of the others in two halves by the share of the rows above the lowest edge (threshold less
    the widest band) that lie under the own threshold. Rows that other images' thresholds remove are
    among them, so that the share is not that of what is left.
    """
    study, known, found = inputs.study, inputs.of(edges), []
    for name, (one, rule) in _pruned(study).items():
        for test in _counted(study, rule, known):
            if is_of_edge(rule, known[test]):
                groups = _groups(inputs.of(stored)[test])
                found += [_drop(inputs, one, name, test, *group) for group in groups.items()]
    return found


def removed(inputs: Inputs) -> list[Removed]:
    """Per test set and band, what hull pruning with delta 0 and with minus the band removes."""
    return [
        Removed(
            test, band, count, count - edge.removed[0], round(count / edge.base_rows, table.SHARES)
        )
        for test, edge in inputs.of(edges).items()
        for band, count in zip([0.0, *edge.bands], edge.removed, strict=True)
    ]


def is_of_edge(rule: Hull, edge: Edge) -> bool:
    """Whether a split was pruned at the edge that was counted: that of the main encoder and
    reference, at delta 0, from the same base."""
    return rule.scores == NONE and rule.delta == 0 and rule.base == edge.base


def left_out(study: Outline, known: dict[str, Edge]) -> dict[str, Hull]:
    """Conditions on hull splits that ``drops`` leaves out, whose edges are others."""
    found = {}
    for name, (_, rule) in _pruned(study).items():
        counted = [known[test] for test in _counted(study, rule, known)]
        if counted and not all(is_of_edge(rule, edge) for edge in counted):
            found[name] = rule
    return found


TABLES = (
    table.Table("density", Row, rows, looks=()),
    table.Table("density_drops", Drop, drops, looks=()),
    table.Table("hull_edge", Removed, removed, looks=()),
)


def _pruned(study: Outline) -> dict[str, tuple[Condition, Hull]]:
    """Conditions on hull splits that have a random split of their size."""
    return {
        name: (one, rule)
        for name, one in study.conditions.items()
        if isinstance(rule := study.rules.get(one.split), Hull) and one.controls
    }


def _counted(study: Outline, rule: Hull, known: dict[str, Edge]) -> list[str]:
    return [test for test in rule.tests if test in known and test in study.tests]


def _edge(study: Study, test: str, one: Density) -> Edge:
    name = one.card["base"]
    # a study whose splits have another base has it all the same: the stage read it
    base = study.sources.splits.get(name) or split.read(layout.split(name))
    deltas = [0.0, *(-band for band in one.bands)]
    first_Q, *_, last_Q = one.base.values()
    counts = {
        name: Counted(
            float(np.median(count_Q)), float(count_Q.mean()), float((count_Q == 0).mean())
        )
        for name, count_Q in _named(one).items()
    }
    correlation = spearman(first_Q, last_Q)
    gone = _removed(study, test, deltas, base)
    return Edge(name, len(base), list(one.bands), one.images, gone, counts, correlation)


def _removed(study: Study, test: str, deltas: Sequence[float], base: Rows) -> list[int]:
    """Rows of the base whose margin is greater than each delta, as rule `hull` compares them."""
    counts = np.zeros(len(deltas), np.int64)
    for start, block in study.sources.scores[test].pool_blocks(["margin"]):
        margin_N = block["margin"]
        margin_N = margin_N[base.within(start, start + len(margin_N))]
        counts += [int((margin_N > delta).sum()) for delta in deltas]
    return counts.tolist()


def _named(one: Density) -> dict[str, np.ndarray]:
    """The counts in the base by what the report calls them, in their order."""
    names = [ABOVE, *(f"within {band:g}" for band in one.bands)]
    return dict(zip(names, one.base.values(), strict=True))


def _steps(most: int) -> list[int]:
    """1, 2, 3, … and from ten on about ten numbers a decade, up to ``most``."""
    steps = np.unique(np.round(10 ** np.arange(0, np.log10(max(most, 1)) + 1e-9, 0.1)))
    return [int(step) for step in steps]


def _groups(one: Density) -> dict[str, np.ndarray]:
    """Which test images are of each group."""
    above_Q, *_, within_Q = one.base.values()
    under_Q = within_Q / np.maximum(above_Q + within_Q, 1)
    has_Q = above_Q > 0
    middle = np.median(under_Q[has_Q]) if has_Q.any() else 0.0
    return {
        "nothing above": ~has_Q,
        "smaller share under": has_Q & (under_Q <= middle),
        "larger share under": has_Q & (under_Q > middle),
    }


def _drop(
    inputs: Inputs, one: Condition, name: str, test: str, group: str, chosen_Q: np.ndarray
) -> Drop:
    """The paired bootstrap of a group; without images it has no numbers."""
    ends = (None, None, None)
    control_Q = inputs.study.control_outcome(one, test)
    assert control_Q is not None
    if chosen_Q.any():
        own_Q = inputs.study.outcomes[name, test].top1_Q
        ends = table.percent(paired_bootstrap(control_Q[chosen_Q], own_Q[chosen_Q], **inputs.draws))
    return Drop(test, name, group, int(chosen_Q.sum()), *ends)
