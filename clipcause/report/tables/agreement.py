"""How alike is what splits of one rule removed that were measured by several similarity scores.

A family is all splits that differ in nothing but the scores that they look at (another encoder,
another reference). How far its members agree is the Jaccard index of the rows that they removed,
beside what two random choices of the same sizes would have.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any

import numpy as np
from jaxtyping import UInt

from clipcause.config import FILE, other_scores, read
from clipcause.config.other_scores import MAIN, NONE, OtherScores
from clipcause.prune import split
from clipcause.prune.by_similarity import Scored
from clipcause.prune.rule import Rule
from clipcause.prune.rules.hull import Hull
from clipcause.prune.selection import BLOCK, ascending, smallest
from clipcause.prune.split import Split
from clipcause.report import measured
from clipcause.report.decimals import listed
from clipcause.report.inputs import Inputs
from clipcause.report.study import Sources
from clipcause.report.tables.matrix import by_chance
from clipcause.report.tables.table import SHARES, Table
from clipcause.search.scores import Scores

Removed = Annotated[int, "rows of the base that it lacks"]


@dataclass(frozen=True)
class Member:
    """A split of a family, and by what it was measured."""

    name: str
    scores: str  # none: the study's own encoder and reference
    encoder: str
    reference: str
    removed: int  # rows of its base that it lacks

    @property
    def measure(self) -> str:
        """The scores' name, for readers."""
        return MAIN if self.scores == NONE else self.scores


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

    @property
    def pair(self) -> str:
        """What the two were measured by."""
        return f"{self.first.measure} and {self.second.measure}"


@dataclass(frozen=True)
class Family:
    """Splits that differ in their scores alone, and all pairs of them."""

    rule: str
    base: int  # rows
    members: list[Member]
    overlaps: list[Overlap]


@dataclass(frozen=True)
class Row:
    """Two splits of a rule by different scores."""

    rule: Annotated[str, "the rule of both splits"]
    pair: Annotated[str, "the scores that the two looked at"]
    first: Annotated[str, "a split"]
    second: Annotated[str, "another"]
    removed_first: Removed
    removed_second: Removed
    both: Annotated[int, "rows that both removed"]
    jaccard: Annotated[float, "those over rows that either removed"]
    chance: Annotated[float, "what two random choices of their sizes would have"]
    same_size: Annotated[
        float | None,
        "of hull splits: of the rows that the smaller set has, the share among as many rows of the "
        "other's highest margins",
    ]


def families(inputs: Inputs) -> list[Family]:
    """Every rule with splits of several scores; the study's own measure comes first. Costly: the
    scores of the whole pool are read."""
    sources = inputs.study.sources
    return [family(sources, names) for names in of_one_rule(sources)]


def of_one_rule(sources: Sources) -> list[list[str]]:
    """Names of splits that differ in their scores, by rule."""
    found: dict[str, list[str]] = {}
    for name, rule in sources.rules.items():
        if isinstance(rule, Scored):
            found.setdefault(_without(rule), []).append(name)

    def used(name: str) -> str:
        return measured.named(sources.rules[name])

    return [
        sorted(names, key=lambda name: used(name) != NONE)
        for names in found.values()
        if len(set(map(used, names))) > 1
    ]


def family(sources: Sources, names: Sequence[str]) -> Family:
    """The splits with all pairs of them."""
    rule = sources.rules[names[0]]
    assert isinstance(rule, Scored)  # by which they were found
    members = {name: _member(sources, name) for name in names}
    gone = {name: sources.removed(name) for name in names}
    base = len(sources.base_of(names[0]))
    overlaps = []
    for first, second in combinations(names, 2):
        a, b = gone[first], gone[second]
        fewer, more = sorted((first, second), key=lambda name: len(gone[name]))
        alike = len(split.intersection(a, b)), split.jaccard(a, b), by_chance(len(a), len(b), base)
        same_size = _same_size(sources, gone[fewer], more)
        overlaps.append(Overlap(members[first], members[second], *alike, same_size))
    return Family(_title(rule), base, list(members.values()), overlaps)


def rows(inputs: Inputs) -> list[Row]:
    """A line per pair of splits of a family."""
    made = []
    for found in inputs.of(families):
        for one in found.overlaps:
            counts = one.first.removed, one.second.removed, one.both
            shares = round(one.jaccard, SHARES), round(one.chance, SHARES)
            top = None if one.same_size is None else round(one.same_size, SHARES)
            names = one.first.name, one.second.name
            made.append(Row(found.rule, one.pair, *names, *counts, *shares, top))
    return made


def highest(among: Split, found: Sequence[Scores], count: int) -> Split:
    """The ``count`` rows of ``among`` of the highest margins over any of the test sets, as a set.

    Of equal margins the first rows. For any number of rows: the cut is found by selection, the
    scores are read a few times block by block, and memory is two booleans a pool row. Raises
    ``ValueError`` where ``among`` has fewer rows.
    """
    descending = _Descending(found)
    chosen_N = smallest(among.mask(len(found[0].pool)), descending.keys, count)
    return split.from_mask(chosen_N)


TABLES = (Table("agreement", Row, rows, by="second"),)


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


def _member(sources: Sources, name: str) -> Member:
    used = measured.named(sources.rules[name])
    reference = str(read(FILE).get("reference"))
    own = OtherScores(encoder=MAIN, run=NONE, reference=reference)
    found = own if used == NONE else other_scores.load(used)
    encoder = measured.said(found, sources.encoder)
    return Member(name, used, encoder, found.reference, len(sources.removed(name)))


def _same_size(sources: Sources, fewer: Split, more: str) -> float | None:
    """The share of ``fewer`` rows among as many of the highest margins of the split ``more``."""
    rule = sources.rules[more]
    if not isinstance(rule, Hull) or not len(fewer):
        return None
    found = measured.by(sources, rule).scores
    top = highest(sources.base_of(more), [found[test] for test in rule.tests], len(fewer))
    return len(split.intersection(top, fewer)) / len(fewer)


def _title(rule: Scored) -> str:
    """A family's name: rule, test sets, and what else the rule states of its own."""
    common = {*Scored.model_fields}
    own = rule.model_dump(exclude=common, exclude_defaults=True)
    said = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in own.items()
    ]
    return ", ".join([f"{rule.rule} for {listed(rule.tests)}", f"of {rule.base}", *said])


def _without(rule: Rule) -> str:
    """What a rule says beside its scores; the order of its test sets says nothing."""
    values: dict[str, Any] = rule.model_dump(by_alias=True)
    values.pop("scores", None)
    values["tests"] = sorted(values["tests"])
    return str(sorted(values.items(), key=lambda item: item[0]))
