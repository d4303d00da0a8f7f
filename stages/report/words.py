"""What the study found, in plain words made from its numbers. Nothing here is HTML."""

from collections.abc import Sequence

import numpy as np

from stages.comparison import ALPHA, holm
from stages.parameters.splits import (
    NONE,
    ByDomain,
    Combined,
    Everything,
    Hull,
    Random,
    Ranked,
    Rule,
)
from stages.report import classwise
from stages.report.statistics import LEVEL, Interval
from stages.report.study import Study
from stages.report.table import Line, percent, points

NAMED = 6  # conditions that a sentence names; of more it says how many
MOST = 3  # hull splits that the summary tells; the table has all


def summary(study: Study, lines: list[Line], duplicates: int) -> list[str]:
    """Paragraphs: what was pruned, what that did for every hull split, how sure it is."""
    hulls = [
        line
        for line in lines
        if isinstance(study.rules.get(line.condition.split), Hull) and line.condition.twins
    ]
    first, last = [_pool(study, duplicates)], []
    if hulls:
        first.append(
            "Hull pruning takes out every image that is more similar to some test image than the "
            "nearest image of the reference is; what is left is compared with a random sample of "
            "the same size."
        )
    compared = [line for line in lines if line.condition.twins]
    more = len(compared) - len(hulls[:MOST])
    if more:
        splits = "split" if more == 1 else "splits"
        last.append(f"The table holds {more} {'more ' * bool(hulls)}{splits} against random ones.")
    looks_at_tests = any(isinstance(rule, Hull | Ranked) for rule in study.rules.values())
    if not compared and looks_at_tests:
        first.append("No pruned split has a random split of its size to be compared with.")
    last += [_supervised(line) for line in lines if line.condition.is_supervised][:1]
    told = [_hull(study, line) for line in hulls[:MOST]]
    return [" ".join(first), *told, " ".join([*last, _certainty(lines), *_by_chance(lines)])]


def rule(one: Rule) -> str:
    """How a split is chosen from its base, in a sentence without a full stop."""
    if isinstance(one, Hull):
        shifted = f" + {one.delta:g}" if one.delta else ""
        return (
            f"hull pruning for {listed(one.tests)}: a row goes if it is more similar to some test "
            f"image than that image's nearest reference image{shifted}{_by(one)}"
        )
    if isinstance(one, Ranked):
        kept = (
            f"{one.keep:,} rows"
            if isinstance(one.keep, int)
            else f"{percent(one.keep)} of the base"
        )
        which = "least" if one.rule == "near" else "most"
        near = f"similar to the nearest image of {listed(one.tests)}{_by(one)}"
        return f"{one.rule}: {kept} {which} {near}"
    if isinstance(one, Random):
        size = f"as many as {one.of}" if one.keep is None else f"keep {one.keep:,}"
        return f"random: a uniform sample, {size}, seed {one.seed}"
    if isinstance(one, Combined):
        return f"{one.rule} of {one.of} and {one.with_}, as far as the base reaches"
    if isinstance(one, ByDomain):
        return by_domain(one)
    if isinstance(one, Everything):
        return "the base itself, nothing removed"
    return classwise.said(one)


def _by(one: Hull | Ranked) -> str:
    """By what a rule measures, where it is not the study's encoder and reference."""
    return "" if one.scores == NONE else f", measured by the yardstick {one.scores}"


def by_domain(one: ByDomain) -> str:
    """How a split of whole domains is chosen."""
    called = f"as the classifier {one.domain} calls them"
    if one.mix is None:
        told = "only rows of" if one.keep is not None else "all but rows of"
        return f"domain: {told} {listed(one.words())}, {called}"
    ratio = ":".join(f"{part:g}" for part in one.mix.values())
    size = "as many rows as there are" if one.size is None else f"{one.size:,} rows"
    return f"domain: {size} of {listed(one.words())} at {ratio}, {called}, seed {one.seed}"


def listed(words: Sequence[str]) -> str:
    """a, b and c."""
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def drop(one: Interval) -> str:
    """A difference with its interval; one whose interval has zero in it is not called a drop."""
    low, high = points(one.low), points(one.high)
    if not one.is_distinguishable:
        return f"not distinguishable ({points(one.value)} points, 95 % interval {low} to {high})"
    if one.value > 0:
        return f"a drop of {points(one.value)} points (95 % interval {low} to {high})"
    low, high = points(-one.high), points(-one.low)
    return f"a gain of {points(-one.value)} points (95 % interval {low} to {high})"


def _pool(study: Study, duplicates: int) -> str:
    text = f"The pool has {len(study.pool):,} images"
    if duplicates:
        share = percent(duplicates / len(study.pool))
        text += f", of which {duplicates:,} ({share}) were removed as near-duplicates"
    return f"{text}; the reference has {len(study.reference):,}."


def _hull(study: Study, line: Line) -> str:
    """One hull split: what it lacks, what that did on its own test set and on the others."""
    one = line.condition
    chosen = study.rules[one.split]
    assert isinstance(chosen, Hull)
    gone = len(study.base_of(one.split)) - line.rows
    by = f"{_by(chosen)}," if _by(chosen) else ""
    text = f"“{one.name}”{by} lacks {gone:,} images ({percent(gone / (gone + line.rows))})"
    # a test set of captions has no accuracy
    own = chosen.tests[0] if len(chosen.tests) == 1 and chosen.tests[0] in line.cells else None
    others = {test: cell.drop for test, cell in line.cells.items() if test != own and cell.drop}
    if own is None:
        return f"{text}: {_several(others)}."
    cell = line.cells[own]
    assert cell.drop is not None
    random = percent(cell.top1.value + cell.drop.value)
    text += (
        f": its model has {percent(cell.top1.value)} on {own}, that of the random sample {random}: "
        f"{drop(cell.drop)}"
    )
    return f"{text}; {_several(others)}." if others else f"{text}."


def _several(drops: dict[str, Interval]) -> str:
    """On which test sets accuracy changed, and on which that cannot be told."""
    lower = [f"{t} ({points(d.value)} points)" for t, d in drops.items() if d.low > 0]
    higher = [f"{t} ({points(-d.value)} points)" for t, d in drops.items() if d.high < 0]
    unsure = [test for test, one in drops.items() if not one.is_distinguishable]
    changed = [f"lower on {listed(lower)}"] if lower else []
    changed += [f"higher on {listed(higher)}"] if higher else []
    said = [f"accuracy is {listed(changed)}"] if changed else []
    said += [f"on {listed(unsure)} no difference can be told"] if unsure else []
    return "; ".join(said)


def _supervised(line: Line) -> str:
    cells = [f"{percent(cell.top1.value)} on {test}" for test, cell in line.cells.items()]
    return f"A classifier trained on the labelled reference alone has {listed(cells)}."


def _by_chance(lines: list[Line]) -> list[str]:
    """How many of the intervals would leave out zero if no choice of rows did anything."""
    count = sum(cell.drop is not None for line in lines for cell in line.cells.values())
    expected = round((1 - LEVEL) * count)
    if not expected:
        return []
    return [
        f"Of {count} such intervals about {expected} would leave out zero by chance alone, and "
        f"noise of training adds to that. After Holm's correction for all {count}, {_sure(lines)} "
        "beyond noise."
    ]


def _sure(lines: list[Line]) -> str:
    """How many of all differences from random splits are beyond noise."""
    p_M = [cell.against.p for line in lines for cell in line.cells.values() if cell.against]
    sure = int((holm(np.array(p_M, np.float64)) < ALPHA).sum())
    return f"{sure or 'none'} {'are' if sure > 1 else 'is'}"


def _certainty(lines: list[Line]) -> str:
    counts = {len(line.condition.seeds) for line in lines}
    images = "Intervals say how much depends on which images are in a test set"
    if counts == {1}:
        return (
            f"{images}; every model was trained once, so what another training seed would have "
            "given is not in them, and small differences should not be read as findings."
        )
    covers = {
        cell.against.covers_runs for one in lines for cell in one.cells.values() if cell.against
    }
    if covers == {True}:
        told = f"{images} and on the training seed; accuracies are means over seeds"
    elif True in covers:
        told = (
            f"{images}, and on the training seed where both sides have several; accuracies are "
            "means over seeds"
        )
    else:
        told = f"{images}, not how much on the training seed; accuracies are means over seeds"
    if 1 in counts:
        single = [line.condition.name for line in lines if len(line.condition.seeds) == 1]
        verb = "was" if len(single) == 1 else "were"
        which = (
            listed(single) if len(single) <= NAMED else f"{len(single)} of {len(lines)} conditions"
        )
        return f"{told}, but {which} {verb} trained only once."
    return f"{told}."
