"""Two matrices: every split on every test set, and how far splits removed the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from clipcause.prune import split
from clipcause.prune.split import Split as Rows
from clipcause.report.decimals import points, signed
from clipcause.report.inputs import Inputs
from clipcause.report.study import Sources
from clipcause.report.tables import accuracy
from clipcause.report.tables.table import Kind, Split, Table, Test, percent, rounded

Removed = Annotated[int, "rows of the base that it lacks"]


@dataclass(frozen=True)
class Cell:
    """A condition on a test set. ``said`` and ``told`` are as the plot says them, since its own
    rounding is not the page's; a star where the difference's interval leaves out zero."""

    test: Test
    split: Split
    kind: Kind
    top1: Annotated[float, "top-1 accuracy in %"]
    difference: Annotated[float | None, "points above (+) the random split of its size"]
    low: Annotated[float | None, "lower end of its 95 % interval"]
    high: Annotated[float | None, "upper end of its 95 % interval"]
    said: Annotated[str, "the accuracy as text"]
    told: Annotated[str | None, "the difference as text, starred where it leaves out zero"]


@dataclass(frozen=True)
class Overlap:
    """Two splits of one base, and how far they removed the same rows."""

    base: Annotated[str, "the split that both were made from"]
    first: Annotated[str, "a split"]
    second: Annotated[str, "another, or the same"]
    removed_first: Removed
    removed_second: Removed
    jaccard: Annotated[float, "rows that both removed over rows that either did"]
    chance: Annotated[float, "what two random choices of their sizes would have"]


def cells(inputs: Inputs) -> list[Cell]:
    """Per condition and test set the accuracy in %, and how many points it is above (+) or below
    (-) the random split of its size, with the 95 % interval of that; empty without such a split."""
    found = []
    for line in inputs.of(accuracy.lines):
        one = line.condition
        for test, cell in line.cells.items():
            gap = cell.difference
            ends = percent(gap) if gap else (None, None, None)
            told = signed(gap.value) + "*" * gap.is_distinguishable if gap else None
            top1, kind = cell.top1.value, inputs.study.kind(one)
            found.append(Cell(test, one.name, kind, rounded(100 * top1), *ends, points(top1), told))
    return found


def removed(sources: Sources) -> dict[str, dict[str, Rows]]:
    """By base, what every split removed from it. Splits that removed nothing, or are not a part of
    their base, and bases with one split, are left out."""
    found: dict[str, dict[str, Rows]] = {}
    for name, rule in sources.rules.items():
        gone = sources.removed(name)
        # a rule that adds or repeats rows has no removed set
        if len(gone) and len(gone) == len(sources.base_of(name)) - len(sources.splits[name]):
            found.setdefault(rule.base, {})[name] = gone
    return {base: of for base, of in found.items() if len(of) > 1}


def overlaps(inputs: Inputs) -> list[Overlap]:
    """Every pair of a base's splits."""
    return of_sources(inputs.study.sources)


def of_sources(sources: Sources) -> list[Overlap]:
    """The same of splits alone. By chance: by the expected number of common rows."""
    return [
        one
        for base, of in removed(sources).items()
        for one in _pairs(base, of, len(sources.splits[base]))
    ]


def _pairs(base: str, of: Mapping[str, Rows], total: int) -> list[Overlap]:
    found, alike = [], dict[frozenset[str], float]()
    for first, a in of.items():
        for second, b in of.items():
            pair = frozenset((first, second))
            if pair not in alike:
                alike[pair] = rounded(split.jaccard(a, b))
            chance = 1.0 if first == second else by_chance(len(a), len(b), total)
            sizes = len(a), len(b)
            found.append(Overlap(base, first, second, *sizes, alike[pair], rounded(chance)))
    return found


def by_chance(first: int, second: int, total: int) -> float:
    """The Jaccard index that two uniform choices would have: of a and b of n rows they share
    a b / n on average, and that over what remains of a + b."""
    common = first * second / total
    return common / (first + second - common) if first + second else 1.0


TABLES = (Table("matrix", Cell, cells, looks=()), Table("overlap", Overlap, overlaps, looks=()))
