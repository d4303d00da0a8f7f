"""What README takes from a study, as Markdown: the table, what its numbers are, and the claims."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any

from clipcause.config import layout
from clipcause.prune.rules.hull import Hull
from clipcause.prune.rules.none import Everything
from clipcause.report.analysis import Results
from clipcause.report.conditions import is_classwise
from clipcause.report.decimals import ends, listed, percent, points, signed
from clipcause.report.outline import Outline
from clipcause.report.study import Pair
from clipcause.report.tables.accuracy import Cell, Line, covers
from clipcause.report.tables.comparisons import AIM, Compared
from clipcause.stats.comparison import Interval
from clipcause.stats.decomposition import Explained

LEAST = 0.001  # less than so large a share may be told as 0.0 %


def to_markdown(study: Outline, lines: list[Line]) -> str:
    """A row per condition: rows kept, share removed, top-1 in %, the difference, its interval."""
    tests = list(study.tests)
    head = ["training data", "images", "removed", *tests]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for line in lines:
        removed = "–" if line.removed is None else percent(line.removed)
        cells = [_markdown(line.cells[test]) for test in tests]
        rows.append([line.condition.name, f"{line.rows:,}", removed, *cells])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows) + "\n" + note(study, lines) + "\n"


def note(study: Outline, lines: list[Line]) -> str:
    """What the numbers of the table are, in one paragraph."""
    seeds = max((len(line.condition.seeds) for line in lines), default=0)
    covered = covers(lines)
    if seeds <= 1 or True not in covered:
        what = "their 95 % paired-bootstrap interval over test images"
        trained = (
            "Every number is one training run: no claim; intervals do not cover the noise between "
            "runs."
            if seeds <= 1
            else f"Accuracies are means over up to {seeds} training seeds; intervals cover the "
            "choice of test images, not the noise between runs: no claim."
        )
        bold = ""
    else:
        what = "their 95 % interval over runs and test images"
        bold = "; bold where it leaves out zero"
        trained = (
            f"Accuracies are means over up to {seeds} training seeds; intervals cover the choice "
            "of test images and the noise between runs"
            f"{'' if covered == {True} else ' where both sides have several'}."
        )
    return (
        "Top-1 accuracy in %. With it, points above (+) or below (−, worse) the random split of "
        f"the same size and [{what}]{bold}. {trained}{_other_base(study, lines)} In table.csv and "
        "metrics/report.json “drop” is the same the other way round, random minus split."
    )


def claims(
    found: Sequence[Compared],
    design: Sequence[Mapping[str, Any]],
    labelled: Sequence[Compared] = (),
    predicted: Mapping[Pair, Explained] = MappingProxyType({}),
) -> str:
    """A line per condition and control: on which test sets accuracy differs beyond noise, and on
    which nothing can be told; the same beside the supervised classifier, and of what nearest
    similarity predicts; last what this ``design`` can find, a row of `power` a test set."""
    said = [*_compared(found), *_compared(labelled), *_predicted(predicted)]
    return "".join(f"{line}\n" for line in [*said, *_counts(found, design)])


def answer(found: Results) -> str:
    """The answer to the question of hull pruning in one sentence, from the first hull split that
    is about one test set: what its pruning did there, how sure that is, and how labels alone
    compare. Empty in a study without such a split and its control; where the hull removed no row
    there is nothing to compare."""
    for line in found.lines:
        rule = found.study.rules.get(line.condition.split)
        if not isinstance(rule, Hull) or len(rule.tests) != 1 or rule.tests[0] not in line.cells:
            continue
        at = line.condition.name, rule.tests[0]
        of = [one for one in found.compared if (one.name, one.test) == at]
        of = [one for one in of if one.other not in line.condition.alike]
        if not of:
            continue
        labelled = [one for one in found.beside_labels if (one.name, one.test) == at]
        if not line.removed:
            return (
                f"**Nothing was removed.** No image of {_base(rule)} is {_nearer(rule)}: there is "
                "nothing to compare.\n"
            )
        return f"{answered(of[0], _removed(rule, line.removed), labelled)}\n"
    return ""


def answered(one: Compared, removed: str, labelled: Sequence[Compared]) -> str:
    """The answer of a comparison of a hull split, without the rows that ``removed`` names, with its
    control, and of those beside the supervised classifier the first."""
    difference, test = one.found.difference, one.test
    is_worse = one.is_sure and difference.value < 0
    rest = labelled[0].found.difference if labelled else None
    if not one.found.covers_runs:
        word = "No claim: a side has one run."
    elif not one.is_sure:
        word = "These runs do not show it."
    elif not is_worse:
        word = "No."
    else:
        is_more = bool(labelled) and labelled[0].is_sure and labelled[0].found.difference.value > 0
        word = "In part." if is_more else "Yes."
    runs = " and ".join(map(str, one.found.runs))
    sure = "beyond noise" if one.is_sure else "not beyond noise"
    text = (
        f"**{word}** Without the {removed}, accuracy on {test} is {_way(difference)} after as many "
        f"rows at random were left out ({runs} runs; {sure})"
    )
    if rest and labelled:
        runs = str(labelled[0].found.runs[1])
        sure = "" if labelled[0].is_sure else ", not beyond noise"
        text += (
            f", and {_way(rest)} that of a classifier that learnt from the labelled reference "
            f"alone ({runs} runs{sure})"
        )
    return f"{text}."


def _way(one: Interval) -> str:
    """A difference in points, with its interval the way round in which it is told, and `than`; one
    that would be told as 0.0 is none at this precision."""
    if not signed(one.value).strip("0."):
        return f"the same to a tenth of a point {ends(one)} as"
    told = one if one.value >= 0 else one.reversed()
    word = "higher" if one.value >= 0 else "lower"
    return f"{points(told.value)} points {word} [{points(told.low)}, {points(told.high)}] than"


def _removed(rule: Hull, share: float) -> str:
    """What a hull removed: its share of the rule's base, and which rows these are."""
    told = percent(share) if signed(share).strip("0.") else f"less than {percent(LEAST)}"
    return f"{told} of {_base(rule)} that are {_nearer(rule)}"


def _base(rule: Hull) -> str:
    """The rows that a rule removes some of, in words."""
    named = {layout.ALL: "the pool", "dedup": "the de-duplicated pool"}
    return named.get(rule.base, f"the split “{rule.base}”")


def _nearer(rule: Hull) -> str:
    """The rows that a hull of one test set removes: those with a margin above its delta."""
    (test,) = rule.tests
    if rule.delta == 0:
        return f"nearer to an image of {test} than the labelled reference is{rule.measured()}"
    sign = "+" if rule.delta > 0 else "−"
    return (
        f"more similar to an image of {test} than its nearest image of the labelled reference "
        f"{sign} {abs(rule.delta):g} in cosine similarity{rule.measured()}"
    )


def _compared(found: Sequence[Compared]) -> list[str]:
    """A line per condition and what it is compared with."""
    said = []
    for (name, other), of in groupby(found, key=lambda one: (one.name, one.other)):
        every = list(of)
        runs = " and ".join(map(str, every[0].found.runs))
        sure = [f"{one.test} {_difference(one.found.difference)}" for one in every if one.is_sure]
        rest = [one.test for one in every if not one.is_sure]
        said.append(
            _line(
                f"* **{name}** beside {other} ({runs} runs)",
                all(one.found.covers_runs for one in every),
                f"beyond noise on {listed(sure)}" if sure else "",
                f"on {listed(rest)} no difference can be told" if rest else "",
            )
        )
    return said


def _predicted(found: Mapping[Pair, Explained]) -> list[str]:
    """A line per hull split: where nearest similarity predicts another drop than is seen."""
    said = []
    for name, of in groupby(found.items(), key=lambda one: one[0][0]):
        every = {test: one for (_, test), one in of}
        told = [test for test, one in every.items() if one.excess.is_distinguishable]
        sure = [f"{test} {_difference(every[test].excess)}" for test in told]
        rest = [test for test in every if test not in told]
        said.append(
            _line(
                f"* **{name}**, drop that nearest similarity predicts less the drop seen",
                all(one.covers_runs for one in every.values()),
                f"on {listed(sure)}, each by its own interval" if sure else "",
                f"on {listed(rest)} these runs do not decide it" if rest else "",
            )
        )
    return said


def _line(start: str, covers_runs: bool, *parts: str) -> str:
    """What is claimed of something, where there are several runs on both sides."""
    said = "; ".join(filter(None, parts)) if covers_runs else "a side has one run: no claim"
    return f"{start}: {said}."


def _counts(found: Sequence[Compared], design: Sequence[Mapping[str, Any]]) -> list[str]:
    """How many comparisons with controls are claims, and what could have been found."""
    if not any(one.found.covers_runs for one in found):
        return []
    sure = sum(one.is_sure for one in found)
    last = f"* {sure} of {len(found)} comparisons with controls {'is' if sure == 1 else 'are'} "
    last += "beyond noise, over runs and test images, after Holm’s correction."
    if design:
        least = [f"{row['test']} {row['least']:.1f} ({row['least_holm']:.1f})" for row in design]
        last += (
            " Points that this design would find 8 times in 10, in brackets after the "
            f"correction: {listed(least)}."
        )
        runs = [f"{row['test']} {row['needed']}" for row in design if row["needed"]]
        if runs:
            last += (
                f" Runs a condition that would find {points(AIM)} points so, before the "
                f"correction: {listed(runs)}."
            )
    return [last]


def _difference(one: Interval) -> str:
    return f"{signed(one.value)} {ends(one)}"


def _other_base(study: Outline, lines: list[Line]) -> str:
    """Which conditions cannot be held against the pruned ones, because their base is another."""
    rules = {line.condition.name: study.rules.get(line.condition.split) for line in lines}
    # what was chosen from some other split is in no danger of being compared with the whole
    bases = {
        rule.base
        for rule in rules.values()
        if not isinstance(rule, Everything | None)
        and not is_classwise(rule)
        and rule.base in layout.BASES
    }
    text = ""
    for line in lines:
        one, rule = line.condition, rules[line.condition.name]
        if isinstance(rule, Everything) and bases - {rule.base}:
            what = "also the encoder, " if study.is_encoder(one) else ""
            rest = (
                "trained on the pool before de-duplication; the pruned splits were made after it"
                if rule.base == "all"
                else "trained on the pool after de-duplication; not all pruned splits were"
            )
            text += (
                f" “{one.name}” is {what}{rest}: compare a pruned split with the random split of "
                f"its size, not with “{one.name}”."
            )
    return text


def _markdown(cell: Cell) -> str:
    top1 = points(cell.top1.value)
    if cell.difference is None:
        return top1
    text = _difference(cell.difference)
    is_told = cell.against is not None and cell.against.covers_runs
    bold = is_told and cell.difference.is_distinguishable
    return f"{top1} (**{text}**)" if bold else f"{top1} ({text})"
