"""The summary above all sections: what the study found, in plain words made from its numbers.

A difference is told as a fact only where it is beyond noise, by Holm's correction over all that the
report compares; one that has only its own interval for it is called so.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from clipcause.config.layout import NONE
from clipcause.prune.by_similarity import Ranked
from clipcause.prune.rules.hull import Hull
from clipcause.report.conditions import is_classwise
from clipcause.report.content import Content
from clipcause.report.decimals import listed, percent, points, signed
from clipcause.report.outline import Outline
from clipcause.report.sections import bias
from clipcause.report.tables.accuracy import Line, covers
from clipcause.report.tables.comparisons import Compared
from clipcause.stats.comparison import LEVEL, Interval
from clipcause.stats.decomposition import Explained

TITLE = "Does CLIP generalise because its training data look like the test?"
LONG_TAIL = "Why is CLIP robust to a long tail of classes?"
NAMED = 6  # conditions that a sentence names; of more it says how many
MOST = 3  # hull splits that the summary tells, and others; the table has all
ANSWERED = 2  # hull splits that the answer to the title's question is about

Told = Mapping[str, Compared]  # by test set


def view(content: Content) -> dict[str, Any]:
    """What was pruned, what that did, how sure it is; class frequency apart where the study asks
    after similarity."""
    study, lines, duplicates = content.study, content.lines, content.duplicate_count
    compared = [line for line in lines if line.condition.controls]
    hulls = [line for line in compared if isinstance(_rule(study, line), Hull)]
    every = content.compared
    found: dict[str, dict[str, Compared]] = {}
    for one in every:
        # those with splits of the same classes are told in their own section
        if one.other in study.conditions[one.name].alike:
            continue
        found.setdefault(one.name, {})[one.test] = one
    # of the others those with the most to tell
    others = sorted(
        (line for line in compared if line not in hulls),
        key=lambda line: -sum(one.is_sure for one in found.get(line.condition.name, {}).values()),
    )
    told = [*hulls[:MOST], *others[:MOST]]
    supervised = next((line for line in lines if line.condition.is_supervised), None)
    answers = _answers(content, hulls, found, supervised) if supervised else []
    known = supervised.cells if supervised and not answers else {}
    labelled = [f"{percent(cell.top1.value)} on {test}" for test, cell in known.items()]
    share = percent(duplicates / len(study.pool))
    splits = [_split(study, line, found.get(line.condition.name, {})) for line in told]
    title, of_bias = _title(study), bias.summary(content)
    return {
        "title": title,
        "pool": f"{len(study.pool):,}",
        "reference": f"{len(study.reference):,}",
        "duplicates": f"{duplicates:,} ({share})" if duplicates else "",
        "has_hulls": bool(hulls),
        "cautions": content.cautions,
        "is_alone": not compared and _looks_at_tests(study),
        "answers": answers,
        "splits": len(splits),
        "told": [*splits, *of_bias] if title == LONG_TAIL else splits,
        "bias": [] if title == LONG_TAIL else of_bias,
        "more": len(compared) - len(told),
        "supervised": listed(labelled),
        **_certainty(lines),
        "compared": len(every),
        # how many intervals would leave out zero if no choice of rows did anything
        "expected": round((1 - LEVEL) * len(every)),
        "sure": sum(one.is_sure for one in every),
    }


def _title(study: Outline) -> str:
    """The question: that of the study of class-wise splits where no rule looks at test images."""
    has_classwise = any(map(is_classwise, study.rules.values()))
    return LONG_TAIL if has_classwise and not _looks_at_tests(study) else TITLE


def _looks_at_tests(study: Outline) -> bool:
    return any(isinstance(rule, Hull | Ranked) for rule in study.rules.values())


def difference(one: Compared) -> str:
    """A difference with its interval and how sure it is, without a full stop."""
    value, interval = one.found.difference.value, _interval(one.found.difference)
    if not one.found.covers_runs:
        return f"{_way(value)} ({interval} over images) in one run, which is no claim"
    if one.is_sure:
        return f"{_way(value)} ({interval}), beyond noise"
    if one.found.difference.is_distinguishable:
        return f"{_way(value)} by its own interval alone ({interval}), not after Holm's correction"
    return f"no difference can be told ({signed(value)} points, {interval})"


def several(found: Told) -> str:
    """On which test sets accuracy changed, how sure that is, and where nothing can be told."""
    sure = {test: one for test, one in found.items() if one.is_sure}
    once = [test for test, one in found.items() if not one.found.covers_runs]
    alone = {
        test: one
        for test, one in found.items()
        if test not in sure and test not in once and one.found.difference.is_distinguishable
    }
    unsure = [test for test in found if not {test} & {*sure, *alone, *once}]
    said = [f"beyond noise, {_changed(sure)}"] if sure else []
    said += [f"by its own interval alone, {_changed(alone)}"] if alone else []
    said += [f"on {listed(unsure)} no difference can be told"] if unsure else []
    said += [f"of one run, and no claim, on {listed(once)}"] if once else []
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


def _rule(study: Outline, line: Line) -> object:
    return study.rules.get(line.condition.split)


def _own(study: Outline, line: Line) -> str | None:
    """The one test set that a hull split is about; a test set of captions has no accuracy."""
    chosen = _rule(study, line)
    if not isinstance(chosen, Hull) or len(chosen.tests) != 1 or chosen.tests[0] not in line.cells:
        return None
    return chosen.tests[0]


def _answers(
    content: Content, hulls: Sequence[Line], found: Mapping[str, Told], supervised: Line
) -> list[dict[str, str | bool]]:
    """What the study says to the title's question, from its numbers and no further: accuracies of
    a supervised model, of a hull split and of its random split on the usual test set and on the
    split's own, and what similarity predicts.

    Empty without a hull split of one test set, measured by the study's encoder, whose difference
    can be predicted.
    """
    usual = content.shifts.usual if content.shifts else None
    said = []
    for line in hulls:
        name, test = line.condition.name, _own(content.study, line)
        chosen = _rule(content.study, line)
        assert isinstance(chosen, Hull)
        explained = content.explained.get((name, test or ""))
        is_plain = line.condition.is_plain and chosen.scores == NONE
        if usual is None or test in (None, usual) or not is_plain:
            continue
        if isinstance(explained, Explained):
            at = {usual: found[name][usual], test: found[name][test]}
            said.append(_beside(line, at, explained, supervised))
    return said[:ANSWERED]


def _beside(line: Line, at: Told, explained: Explained, supervised: Line) -> dict[str, str | bool]:
    """One hull split beside its random split and the supervised model, ``at`` the usual test set
    and the split's own."""
    usual, test = at
    pruned = [line.cells[name].top1.value for name in at]
    random = [line.cells[name].top1.value - one.found.difference.value for name, one in at.items()]
    labelled = [supervised.cells[name].top1.value for name in at]
    own, predicted = at[test].found.difference, explained.predicted.reversed()
    return {
        "usual": usual,
        "test": test,
        "labelled": _pair(labelled),
        "random": _pair(random),
        "pruned": _pair(pruned),
        "difference": signed(own.value),
        "interval": _interval(own),
        "is_sure": at[test].is_sure,
        "predicted": signed(predicted.value),
        "predicted_interval": _interval(predicted),
        "way": _way(pruned[1] - labelled[1]),
    }


def _pair(shares: Sequence[float]) -> str:
    return " to ".join(map(percent, shares))


def _split(study: Outline, line: Line, found: Told) -> str:
    """One split: what it lacks, what that did on its own test set and on the others."""
    one, chosen = line.condition, study.rules[line.condition.split]
    gone = len(study.base_of(one.split)) - line.rows
    text = f"“{one.name}”"
    if not isinstance(chosen, Hull):
        text += f" ({chosen.sentence()})"
    elif by := chosen.measured():
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


def _certainty(lines: Sequence[Line]) -> dict[str, Any]:
    """What intervals cover, and which conditions were trained once."""
    single = [line.condition.name for line in lines if len(line.condition.seeds) == 1]
    covered = covers(lines)
    many = f"{len(single)} of {len(lines)} conditions"
    return {
        "is_once": len(single) == len(lines),
        "covers_all": covered == {True},
        "covers_some": True in covered,
        "single": listed(single) if len(single) <= NAMED else many,
        "is_one": len(single) == 1,
    }
