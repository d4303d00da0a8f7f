"""How alike is what splits of one rule removed that were measured by several yardsticks.

A family is all splits that differ in nothing but their yardstick (another encoder, another
reference). How far its members agree is the Jaccard index of the rows that they removed, beside
what two random choices of the same sizes would have.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import UInt

from clipcause.config import FILE, other_scores, read
from clipcause.config.other_scores import MAIN, OtherScores
from clipcause.config.splits import NONE, Hull, Ranked, Rule, Scored
from clipcause.prune import split
from clipcause.prune.selection import BLOCK, ascending, smallest
from clipcause.prune.split import Split
from clipcause.report import colours, decimals, measured
from clipcause.report.study import Study
from clipcause.report.tables.tabular import Rows
from clipcause.search.scores import Scores


@dataclass(frozen=True)
class Member:
    """A split of a family, by what it was measured, and the rows of its base that it lacks."""

    name: str
    yardstick: str  # none: the study's own encoder and reference
    encoder: str
    reference: str
    removed: Split


@dataclass(frozen=True)
class Family:
    """Splits that differ in their yardstick alone."""

    rule: str
    base: int  # rows
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Overlap:
    """What two members removed, in rows, and how alike it is."""

    first: Member
    second: Member
    both: int
    jaccard: float
    chance: float
    # of hull splits: the share that the rows which the one that removed fewer took have among as
    # many of the other's highest margins; None of other rules, whose splits have one size
    same_size: float | None


@dataclass(frozen=True)
class Agreement:
    """A family, and all pairs of its members."""

    family: Family
    overlaps: tuple[Overlap, ...]


def load(study: Study) -> list[Agreement]:
    """All families with their overlaps, which are costly: the scores of the whole pool are read."""
    return [Agreement(one, tuple(overlaps(study, one))) for one in families(study)]


def families(study: Study) -> list[Family]:
    """Every rule with splits of several yardsticks; the study's own measure comes first."""
    reference = str(read(FILE).get("reference"))
    found: dict[str, list[str]] = {}
    for name, rule in study.rules.items():
        if isinstance(rule, Scored):
            found.setdefault(_without(rule), []).append(name)
    made = []
    for names in found.values():
        if len({measured.yardstick(study.rules[name]) for name in names}) < 2:
            continue
        first = study.rules[names[0]]
        assert isinstance(first, Hull | Ranked)
        names = sorted(names, key=lambda name: measured.yardstick(study.rules[name]) != NONE)
        members = tuple(_member(study, name, reference) for name in names)
        made.append(Family(_title(first), len(study.base_of(names[0])), members))
    return made


def overlaps(study: Study, family: Family) -> Iterator[Overlap]:
    """Every pair of a family's members.

    By chance: two uniform choices of a and b of n rows share a b / n on average, and that over
    what remains of a + b is the index that they would have.
    """
    for first, second in combinations(family.members, 2):
        both = len(split.intersection(first.removed, second.removed))
        a, b = len(first.removed), len(second.removed)
        shared = a * b / family.base
        chance = shared / (a + b - shared) if a + b else 1.0
        jaccard = split.jaccard(first.removed, second.removed)
        yield Overlap(first, second, both, jaccard, chance, _same_size(study, first, second))


def highest(among: Split, found: Sequence[Scores], count: int) -> Split:
    """The ``count`` rows of ``among`` of the highest margins over any of the test sets, as a set.

    Of equal margins the first rows. For any number of rows: the cut is found by selection, the
    scores are read a few times block by block, and memory is two booleans a pool row. Raises
    ``ValueError`` where ``among`` has fewer rows.
    """
    descending = _Descending(found)
    chosen_N = smallest(among.mask(len(found[0].pool)), descending.keys, count)
    return split.from_mask(chosen_N)


class _Descending:
    """Keys in the falling order of margins, for readers that start over but never look back."""

    def __init__(self, found: Sequence[Scores]) -> None:
        self._found = found
        self._blocks = self._start()

    def keys(self, start: int, stop: int) -> UInt[np.ndarray, " M"]:
        """Keys of the rows ``start`` to ``stop - 1``, which are a block of ``selection``."""
        if start == stop:
            return np.empty(0, np.uint32)
        if start == 0:
            self._blocks = self._start()
        at, key_M = next(self._blocks)
        assert (at, len(key_M)) == (start, stop - start)
        return key_M

    def _start(self) -> Iterator[tuple[int, UInt[np.ndarray, " M"]]]:
        for blocks in zip(*(one.pool_blocks(["margin"]) for one in self._found), strict=True):
            margin_M = np.max([block["margin"] for _, block in blocks], axis=0)
            for start in range(0, len(margin_M), BLOCK):
                # row groups of the file are whole blocks, all but the last
                yield blocks[0][0] + start, ascending(-margin_M[start : start + BLOCK])


def _member(study: Study, name: str, reference: str) -> Member:
    used = measured.yardstick(study.rules[name])
    own = OtherScores(encoder=MAIN, run=NONE, reference=reference)
    found = own if used == NONE else other_scores.load(used)
    gone = split.difference(study.base_of(name), study.splits[name])
    return Member(name, used, measured.said(found, study.encoder), found.reference, gone)


def _same_size(study: Study, first: Member, second: Member) -> float | None:
    rule = study.rules[first.name]
    fewer, more = sorted((first, second), key=lambda one: len(one.removed))
    other = study.rules[more.name]
    if not isinstance(rule, Hull) or not isinstance(other, Hull) or not len(fewer.removed):
        return None
    found = measured.by(study, other).scores
    base = study.base_of(more.name)
    top = highest(base, [found[test] for test in other.tests], len(fewer.removed))
    return len(split.intersection(top, fewer.removed)) / len(fewer.removed)


def _title(rule: Hull | Ranked) -> str:
    """A family's name: rule, test sets, and what else the rule states."""
    text = f"{rule.rule} for {decimals.listed(rule.tests)}, of {rule.base}"
    if isinstance(rule, Hull):
        return f"{text}, delta {rule.delta:g}" if rule.delta else text
    kept = getattr(rule, "keep", None)
    return text if kept is None else f"{text}, keep {kept}"


def _without(rule: Rule) -> str:
    """What a rule says beside its yardstick; the order of its test sets says nothing."""
    values: dict[str, Any] = rule.model_dump(by_alias=True)
    values.pop("scores", None)
    values["tests"] = sorted(values["tests"])
    return str(sorted(values.items(), key=lambda item: item[0]))


COLUMNS = (
    "rule", "pair", "first", "second", "removed_first", "removed_second", "both", "jaccard",
    "chance", "same_size", "colour",
)  # fmt: skip


def rows(study: Study, agreements: Sequence[Agreement]) -> Rows:
    """A line per pair of splits of a family, for CSV and plot."""
    colour = colours.colours(study)
    return [
        {
            "rule": found.family.rule,
            "pair": f"{measure(one.first)} and {measure(one.second)}",
            "first": one.first.name,
            "second": one.second.name,
            "removed_first": len(one.first.removed),
            "removed_second": len(one.second.removed),
            "both": one.both,
            "jaccard": round(one.jaccard, 6),
            "chance": round(one.chance, 6),
            "same_size": None if one.same_size is None else round(one.same_size, 6),
            "colour": colour[one.second.name],
        }
        for found in agreements
        for one in found.overlaps
    ]


def measure(one: Member) -> str:
    return MAIN if one.yardstick == NONE else one.yardstick
