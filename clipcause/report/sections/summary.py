"""The summary above all sections: what the study found, in plain words made from its numbers.

A difference is told as a fact only where it is beyond noise, by Holm's correction over all that the
report compares; one that has only its own interval for it is called so.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from clipcause.config.splits import NONE, Hull, Ranked
from clipcause.report import classwise
from clipcause.report.content import Content
from clipcause.report.decimals import listed, percent, points, signed
from clipcause.report.outline import Outline
from clipcause.report.sections import bias
from clipcause.report.tables.accuracy import Line
from clipcause.report.tables.comparisons import Compared, family
from clipcause.report.words import by_yardstick, rule
from clipcause.stats.comparison import LEVEL, Interval
from clipcause.stats.decomposition import Explained

TITLE = "Does CLIP generalise because its training data look like the test?"
LONG_TAIL = "Why is CLIP robust to a long tail of classes?"
NAMED = 6  # conditions that a sentence names; of more it says how many
MOST = 3  # hull splits that the summary tells, and others; the table has all
ANSWERED = 2  # hull splits that the answer to the title's question is about

Told = Mapping[str, Compared]  # by test set


def view(content: Content) -> dict[str, Any]:
    """The question, what was pruned, what that did, how sure it is; class frequency apart where the
    study asks after similarity."""
    first, found, last = summary(content)
    title, of_bias = _title(content.study), bias.summary(content)
    if title == LONG_TAIL:
        found, of_bias = [*found, *of_bias], []
    return {"title": title, "first": first, "found": found, "last": last, "bias": of_bias}


def _title(study: Outline) -> str:
    """The question: that of the study of class-wise splits where no rule looks at test images."""
    is_classwise = any(classwise.is_classwise(rule) for rule in study.rules.values())
    return LONG_TAIL if is_classwise and not _looks_at_tests(study) else TITLE


def _looks_at_tests(study: Outline) -> bool:
    return any(isinstance(rule, Hull | Ranked) for rule in study.rules.values())


def summary(content: Content) -> tuple[list[str], list[str], list[str]]:
    """Paragraphs before, bullets on every split that is told, paragraphs after."""
    study, lines = content.study, content.lines
    compared = [line for line in lines if line.condition.controls]
    hulls = [line for line in compared if isinstance(_rule(study, line), Hull)]
    found = _by_condition(family(lines))
    first, last = [_pool(study, content.duplicate_count)], []
    if hulls:
        first.append(
            "Hull pruning takes out every image that is more similar to some test image than the "
            "nearest image of the reference is; what is left is compared with a random sample of "
            "the same size."
        )
    # of the others those with the most to tell
    others = sorted(
        (line for line in compared if line not in hulls),
        key=lambda line: -sum(one.is_sure for one in found.get(line.condition.name, {}).values()),
    )
    told = [*hulls[:MOST], *others[:MOST]]
    more = len(compared) - len(told)
    if more:
        splits = "split" if more == 1 else "splits"
        last.append(f"The table holds {more} {'more ' * bool(told)}{splits} against random ones.")
    if not compared and _looks_at_tests(study):
        first.append("No pruned split has a random split of its size to be compared with.")
    answer = _answer(content, hulls, found)
    if not answer:
        last += [_supervised(line) for line in lines if line.condition.is_supervised][:1]
    return (
        [" ".join(first), *answer],
        [_split(study, line, found.get(line.condition.name, {})) for line in told],
        [" ".join([*last, _certainty(lines), *_by_chance(lines)])],
    )


def difference(one: Compared) -> str:
    """A difference with its interval and how sure it is, without a full stop."""
    value, interval = one.found.difference.value, _interval(one.found.difference)
    if one.is_sure:
        return f"{_way(value)} ({interval}), beyond noise"
    if one.found.difference.is_distinguishable:
        return f"{_way(value)} by its own interval alone ({interval}), not after Holm's correction"
    return f"no difference can be told ({signed(value)} points, {interval})"


def several(found: Told) -> str:
    """On which test sets accuracy changed, how sure that is, and where nothing can be told."""
    sure = {test: one for test, one in found.items() if one.is_sure}
    alone = {
        test: one
        for test, one in found.items()
        if test not in sure and one.found.difference.is_distinguishable
    }
    unsure = [test for test in found if test not in sure and test not in alone]
    said = [f"beyond noise, {_changed(sure)}"] if sure else []
    said += [f"by its own interval alone, {_changed(alone)}"] if alone else []
    said += [f"on {listed(unsure)} no difference can be told"] if unsure else []
    return "; ".join(said)


def _changed(found: Told) -> str:
    value = {test: one.found.difference.value for test, one in found.items()}
    lower = [f"{test} ({points(-size)} points)" for test, size in value.items() if size < 0]
    higher = [f"{test} ({points(size)} points)" for test, size in value.items() if size >= 0]
    parts = [f"lower on {listed(lower)}"] if lower else []
    parts += [f"higher on {listed(higher)}"] if higher else []
    return f"accuracy is {listed(parts)}"


def _way(value: float) -> str:
    return f"{points(abs(value))} points {'lower' if value < 0 else 'higher'}"


def _interval(one: Interval) -> str:
    return f"95 % interval {signed(one.low)} to {signed(one.high)}"


def _by_condition(found: Sequence[Compared]) -> dict[str, dict[str, Compared]]:
    by_name: dict[str, dict[str, Compared]] = {}
    for one in found:
        by_name.setdefault(one.name, {})[one.test] = one
    return by_name


def _rule(study: Outline, line: Line) -> object:
    return study.rules.get(line.condition.split)


def _own(study: Outline, line: Line) -> str | None:
    """The one test set that a hull split is about; a test set of captions has no accuracy."""
    chosen = _rule(study, line)
    if not isinstance(chosen, Hull) or len(chosen.tests) != 1 or chosen.tests[0] not in line.cells:
        return None
    return chosen.tests[0]


def _pool(study: Outline, duplicates: int) -> str:
    text = f"The pool has {len(study.pool):,} images"
    if duplicates:
        share = percent(duplicates / len(study.pool))
        text += f", of which {duplicates:,} ({share}) were removed as near-duplicates"
    return f"{text}; the reference has {len(study.reference):,}."


def _answer(content: Content, hulls: Sequence[Line], found: Mapping[str, Told]) -> list[str]:
    """What the study says to the title's question, from its numbers and no further: accuracies of
    a supervised model, of a hull split and of its random split, and what similarity predicts.

    Empty without a supervised model, or without a hull split of one test set, measured by the
    study's encoder, whose difference can be predicted.
    """
    study = content.study
    supervised = next((line for line in content.lines if line.condition.is_supervised), None)
    usual = content.shifts.usual if content.shifts else None
    if supervised is None or usual is None:
        return []
    said = []
    for line in hulls:
        name, test = line.condition.name, _own(study, line)
        chosen = _rule(study, line)
        assert isinstance(chosen, Hull)
        explained = content.explained.get((name, test or ""))
        is_plain = line.condition.is_plain and chosen.scores == NONE
        if test in (None, usual) or not is_plain or not isinstance(explained, Explained):
            continue
        if len(said) < ANSWERED:
            at, is_first = (usual, test), not said
            said.append(_beside(line, at, found[name], explained, supervised, is_first=is_first))
    return said


def _beside(
    line: Line,
    at: tuple[str, str],
    found: Told,
    explained: Explained,
    supervised: Line,
    *,
    is_first: bool,
) -> str:
    """One hull split beside its random split and the supervised model, ``at`` the usual test set
    and the split's own; what they are is told first."""
    usual, test = at
    own, against = found[test], found[usual]
    pruned, random = (
        [line.cells[name].top1.value - shift * one.found.difference.value
         for name, one in ((usual, against), (test, own))]
        for shift in (0, 1)
    )  # fmt: skip
    labelled = [supervised.cells[name].top1.value for name in at]
    gap = pruned[1] - labelled[1]
    predicted = explained.predicted.reversed()
    classifier, pool, caveat = "the classifier", "the random sample", ""
    start = f"From {usual} to {test}, accuracy goes"
    if is_first:
        classifier = "a classifier trained on the labelled reference alone"
        pool = "a random sample of the pool"
        start = (
            "Does CLIP do well on other images because its training data look like them? From "
            f"{usual}, the usual test set, to {test}, accuracy goes"
        )
        caveat = ", which also differs in its number of images and in how it learns"
    return (
        f"{start} from {_pair(labelled)} for {classifier}, from {_pair(random)} for CLIP trained "
        f"on {pool}, and from {_pair(pruned)} for CLIP trained on as many images after hull "
        f"pruning for {test}. On {test}, pruning makes a difference of "
        f"{signed(own.found.difference.value)} points ({_interval(own.found.difference)}; "
        f"{'beyond' if own.is_sure else 'not beyond'} noise after Holm's correction); the change "
        f"in nearest similarity predicts {signed(predicted.value)} ({_interval(predicted)}). After "
        f"pruning, CLIP is {_way(gap)} on {test} than the classifier{caveat}."
    )


def _pair(shares: Sequence[float]) -> str:
    return " to ".join(map(percent, shares))


def _split(study: Outline, line: Line, found: Told) -> str:
    """One split: what it lacks, what that did on its own test set and on the others."""
    one, chosen = line.condition, study.rules[line.condition.split]
    gone = len(study.base_of(one.split)) - line.rows
    text = f"“{one.name}”"
    if not isinstance(chosen, Hull):
        text += f" ({rule(chosen)})"
    elif by := by_yardstick(chosen):
        text += f"{by},"
    text += f" lacks {gone:,} images ({percent(gone / (gone + line.rows))})"
    own = _own(study, line)
    others = {test: one for test, one in found.items() if test != own}
    if own is None:
        return f"{text}: {several(others)}."
    value = line.cells[own].top1.value
    random = percent(value - found[own].found.difference.value)
    text += (
        f": its model has {percent(value)} on {own}, that of the random sample {random}: "
        f"{difference(found[own])}"
    )
    rest = several(others)
    return f"{text}. {rest[0].upper()}{rest[1:]}." if rest else f"{text}."


def _supervised(line: Line) -> str:
    cells = [f"{percent(cell.top1.value)} on {test}" for test, cell in line.cells.items()]
    return f"A classifier trained on the labelled reference alone has {listed(cells)}."


def _by_chance(lines: Sequence[Line]) -> list[str]:
    """How many of the intervals would leave out zero if no choice of rows did anything."""
    every = family(lines)
    expected = round((1 - LEVEL) * len(every))
    if not expected:
        return []
    sure = sum(one.is_sure for one in every)
    return [
        f"Of {len(every)} such intervals about {expected} would leave out zero by chance alone, "
        f"and noise of training adds to that. After Holm's correction for all {len(every)}, "
        f"{sure or 'none'} {'are' if sure > 1 else 'is'} beyond noise."
    ]


def _certainty(lines: Sequence[Line]) -> str:
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
