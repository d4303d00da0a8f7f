"""Which property? What the table of properties says, what it does not allow to say, as text.

Every number in a sentence is one of the analysis. Nothing here is HTML.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clipcause.report.analysis import Results
from clipcause.report.conditions import is_alike
from clipcause.report.decimals import ends, fixed, listed, percent, signed
from clipcause.report.tables.comparisons import SURE
from clipcause.report.tables.properties import ALIKE, AVERAGE, RANDOM
from clipcause.stats.comparison import LEVEL, Interval
from clipcause.stats.decomposition import Explained
from clipcause.stats.logistic import Undefined
from clipcause.stats.regression import TIED

Rows = Sequence[Mapping[str, Any]]  # of the table `properties`
NAMED = 8  # effects, rules and pairs that a sentence names; of more it says how many


def interval(row: Mapping[str, Any], *names: str) -> Interval:
    """A row's difference, or these columns of points, as shares."""
    value, low, high = (row[name] / 100 for name in names or ("difference", "low", "high"))
    return Interval(value, low, high)


def found(rows: Rows, tests: int) -> list[str]:
    """Which averaged effects are beyond noise, and what is left of those beside controls that have
    the split's classes too."""
    averages = [row for row in rows if row["on"] == AVERAGE]
    sure = [row for row in averages if row["kind"] == SURE]
    over = f"averaged over {tests} test sets" if tests > 1 else "on its one test set"
    said = [
        f"Of {len(averages)} effects, {over}, {len(sure) or 'none'} "
        f"{'is' if len(sure) == 1 else 'are'} beyond noise (p below 0.05 after Holm’s correction "
        f"over these {len(averages)}){_told(sure)}."
    ]
    both = {row["line"]: row for row in averages if row["alike"] == RANDOM}
    pairs = [
        f"{row['line']}: {_points(both[row['line']])} beside random rows, {_points(row)} beside "
        "rows of the same classes"
        for row in averages
        if row["alike"] == ALIKE and row["line"] in both
    ]
    if pairs:
        said.append(f"How much of an effect is class content: {_some(pairs)}.")
    return said


def answer(rows: Rows) -> str:
    """The answer of a study without a hull of one test set, a line: by what rows are to be chosen,
    as far as its effects say, and what is the most beside rows of the same classes."""
    averages = [row for row in rows if row["on"] == AVERAGE]
    if not averages:
        return "No split of this study is compared with a control; the table has its accuracies.\n"
    sure = [row for row in averages if row["kind"] == SURE and row["difference"] > 0]
    most = {
        alike: max((row for row in sure if row["alike"] == alike), default=None, key=_difference)
        for alike in (RANDOM, ALIKE)
    }
    best, beside = most[RANDOM], most[ALIKE]
    if best is None:
        return (
            f"**By none of these.** Of {len(averages)} choices of rows none is better than its "
            "control, beyond noise.\n"
        )
    text = (
        f"**{best['line']}**: rows chosen so are worth {_points(best)} points of accuracy more "
        "than as many random ones, the largest estimate of all"
    )
    if beside is not None:
        same = "" if beside["line"] == best["line"] else f"{beside['line']} has the largest, "
        text += f"; beside rows of the same classes {same}{_points(beside)}"
    elif any(row["alike"] == ALIKE for row in averages):
        text += "; beside rows of the same classes none is better, beyond noise"
    return f"{text}.\n"


def _difference(row: Mapping[str, Any]) -> float:
    return row["difference"]


def limits(results: Results, rows: Rows) -> list[str]:
    """What the table does not allow to say."""
    study, names = results.study, {row["split"] for row in rows}
    averages = [row for row in rows if row["on"] == AVERAGE]
    single = [row for row in rows if row["on"] != AVERAGE]
    seen = {
        study.cards[run]["training"].get("optimiser", {}).get("samples_seen")
        for name in names
        for run in study.conditions[name].runs
    } - {None}
    kinds = dict.fromkeys(study.models[name] for name in names)
    trained = f" that saw {listed([f'{one:,}' for one in sorted(seen)])} samples" if seen else ""
    own = [one.name for one in study.conditions.values() if study.is_encoder(one)]
    looking = dict.fromkeys(row["property"] for row in averages if row["sees"])
    naming = dict.fromkeys(
        row["property"]
        for row in averages
        if (rule := study.rules[study.conditions[row["split"]].split]).classes_by is not None
        and not is_alike(rule)
    )
    shared = [row["shared"] for row in averages]
    controls: dict[str, set[str]] = {}
    for row in averages:
        controls.setdefault(row["control"], set()).add(row["split"])
    common = sum(len(of) > 1 for of in controls.values())
    least = [row["detectable"] for row in averages if row["detectable"] is not None]
    once = [row["line"] for row in averages if min(row["runs"], row["control_runs"]) == 1]
    said = [
        f"Other data and other models: all splits are of one pool of {len(study.pool):,} images, "
        f"all models {listed([*kinds])}{trained}.",
        f"What no encoder sees: similarity is judged by one, “{study.encoder}”"
        + (f", which is itself a model of {listed(own)}" if own else "")
        + "; another may put other images side by side.",
        "That a property is the cause: a rule changes several at once, and the effect is that of "
        "its rows. What else each split is made up of is in the last table.",
        f"That every interval which leaves out zero is an effect: of {len(averages)} averages and "
        f"{len(single)} single differences about {(1 - LEVEL) * len(averages):.1f} and "
        f"{(1 - LEVEL) * len(single):.1f} would do so if no choice of rows did anything.",
        f"What a split’s rows do as a whole: {_range(shared)} of a control’s rows are the split’s "
        "too, and only the others differ.",
    ]
    if looking:
        said.append(
            "What a curator could have had, where the rule itself looked at images of the tests: "
            f"{_some([*looking])}."
        )
    if naming:
        said.append(
            "What a curator who does not know the test sets’ classes could have had, where the "
            f"rule itself looked for them in labels or captions: {_some([*naming])}."
        )
    if common:
        said.append(
            f"That effects are apart from one another: {common} "
            f"{'control is' if common == 1 else 'controls are'} shared by several splits, whose "
            "effects rise and fall together with it."
        )
    if least:
        low, high = fixed(min(least), 1), fixed(max(least), 1)
        span = f"{low} points" if low == high else f"{low} to {high} points"
        said.append(
            f"That there is no effect where none is called: averages below {span} would be missed "
            "more often than one time in five before the correction; after it, larger ones too."
        )
    if once:
        said.append(f"Anything of another seed, where a side was trained once: {_some(once)}.")
    return said


def explained(results: Results) -> list[str]:
    """What the regression over splits says, and which properties it cannot tell apart."""
    known = results.relations
    if known is None:
        return []
    if isinstance(known.found, Undefined):
        return [
            "What similarity, class content, caption detail, diversity and duplicates each "
            f"explain is not computed: {known.found.reason}."
        ]
    one = known.found
    above = [
        f"{name} ({_share(part.share)})"
        for name, part in sorted(one.parts.items(), key=lambda item: -item[1].share.value)
        if part.is_beyond_chance
    ]
    noise = (
        f" Of the variance between splits {percent(known.noise)} is noise between runs."
        if known.noise is not None
        else ""
    )
    said = [
        f"Over {one.units} splits of {known.model}, {len(one.parts)} properties together go with "
        f"{_share(one.explained)} of the variance of accuracy ({percent(max(one.adjusted, 0.0))} "
        f"when adjusted for their number).{noise} Where accuracies are shuffled among "
        "the splits, a share is as large one time in twenty or less often for: "
        f"{listed(above) or 'none'}."
    ]
    told = {
        name: part
        for name, part in sorted(one.parts.items(), key=lambda item: -item[1].share.value)
        if part.slope is not None and part.slope.is_distinguishable and not part.is_tied
    }
    slopes = [f"{name} {_per_deviation(part.slope)}" for name, part in told.items() if part.slope]
    if slopes:
        said.append(
            "Which way: points of accuracy for one standard deviation more of it, the others held, "
            f"where the interval leaves out zero: {listed(slopes)}."
        )
    resting = [
        f"{name} ({_either([known.units[unit] for unit in part.rests_on])})"
        for name, part in told.items()
        if part.rests_on
    ]
    if resting:
        said.append(
            "That rests on single splits, without one of which the interval holds zero, for: "
            f"{listed(resting)}."
        )
    shared = [
        name
        for name, part in one.parts.items()
        if part.is_beyond_chance and name not in told and not part.is_tied
    ]
    if shared:
        said.append(
            "A share has in it what a property has in common with others. With the others held, "
            f"nothing of its own can be told for: {listed(shared)}."
        )
    pairs = [f"{a} and {b} (r = {fixed(r, 2)})" for a, b, r in one.together]
    said.append(
        f"These splits cannot tell apart {_some(pairs)}: what one of a pair gets may be the "
        "other’s."
        if pairs
        else "No two of the properties go together so closely that these splits cannot tell them "
        "apart."
    )
    tied = [name for name, part in one.parts.items() if part.is_tied]
    if tied:
        said.append(
            f"The others together determine {listed(tied)} to more than {percent(TIED)}: their "
            "slopes cannot be told."
        )
    study = results.study
    alike = [
        name
        for name, condition in study.conditions.items()
        if study.models[name] == known.model and is_alike(study.rules[condition.split])
    ]
    if alike:
        have = "has" if len(alike) == 1 else "have"
        said.append(
            f"These splits are not independent of one another: {len(alike)} {have} the classes of "
            "another by rule. The intervals take all for independent, and are too narrow for that."
        )
    left = [f"{name} (the same in all)" for name in one.constant]
    left += [f"{name} (not known of all)" for name in known.lacking]
    return [*said, *([f"Left out: {listed(left)}."] if left else [])]


def predicted(results: Results) -> list[str]:
    """Of hull splits the drop that nearest similarity predicts less the drop seen: on which test
    sets its interval, over how many runs, leaves out zero."""
    said = []
    for name in dict.fromkeys(name for name, _ in results.predicted):
        of = {test: one for (at, test), one in results.predicted.items() if at == name}
        condition = results.study.conditions[name]
        controls = sum(len(results.study.conditions[one].runs) for one in condition.controls)
        runs = f"{len(condition.runs)} and {controls} runs"
        if not all(one.covers_runs for one in of.values()):
            said.append(f"{name} ({runs}): a side has one run, no claim.")
            continue
        sure = [f"{test} {_excess(one)}" for test, one in of.items() if _is_apart(one)]
        rest = [f"{test} {_excess(one)}" for test, one in of.items() if not _is_apart(one)]
        parts = [f"another drop is predicted than is seen on {listed(sure)}"] if sure else []
        parts += [f"these runs do not decide it on {listed(rest)}"] if rest else []
        said.append(f"{name} ({runs}), predicted less seen: {'; '.join(parts)}.")
    return said


def to_markdown(results: Results, rows: Rows) -> str:
    """The table, sorted by effect, and what it does and does not say; empty without controls."""
    if not rows:
        return ""
    tests = list(results.study.tests)
    head = ["property", "kept", "control of the same", "runs", "average", *tests]
    lines = [head, [*["---"] * 3, *["---:"] * (len(tests) + 2)]]
    for one in by_line(rows):
        of = one[AVERAGE]
        runs = f"{of['runs']} + {of['control_runs']}"
        cells = [_cell(one[on]) for on in (AVERAGE, *tests)]
        lines.append([of["property"], percent(of["kept"]), of["alike"], runs, *cells])
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    text += (
        "\nTop-1 accuracy minus that of the control, in points, with its 95 % interval over images "
        "and runs; bold where it is beyond noise after Holm’s correction, over all averages or "
        "over all single test sets.\n\n"
    )
    parts: list[tuple[str, Callable[[], list[str]]]] = [
        ("", lambda: found(rows, len(tests))),
        ("", lambda: explained(results)),
        ("What nearest similarity predicts:", lambda: predicted(results)),
        ("What the table does not allow to say:", lambda: limits(results, rows)),
    ]
    for title, make in parts:
        said = make()
        text += f"{title}\n\n" if title and said else ""
        text += "".join(f"* {line}\n" for line in said) + ("\n" if said else "")
    return text.rstrip("\n") + "\n"


def by_line(rows: Rows) -> list[dict[str, Mapping[str, Any]]]:
    """The rows of every split and control, by what they are on, in the order of the averages."""
    made: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        made.setdefault((row["split"], row["control"]), {})[row["on"]] = row
    return list(made.values())


def _told(sure: Rows) -> str:
    told = [
        f"{row['line']}: {_points(row)} beside a control of the same {row['alike']}" for row in sure
    ]
    return f": {_some(told)}" if told else ""


def _points(row: Mapping[str, Any]) -> str:
    one = interval(row)
    return f"{signed(one.value)} {ends(one)}"


def _cell(row: Mapping[str, Any]) -> str:
    return f"**{_points(row)}**" if row["kind"] == SURE else _points(row)


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - NAMED
    return "; ".join(texts[:NAMED]) + (f"; and {more} more in the table" if more > 0 else "")


def _either(names: Sequence[str]) -> str:
    """Any one of several; of many only some."""
    more = len(names) - NAMED
    few = [*names[:NAMED], *([f"one of {more} more"] if more > 0 else [])]
    return few[0] if len(few) == 1 else f"{', '.join(few[:-1])} or {few[-1]}"


def _share(one: Interval) -> str:
    return f"{percent(one.value)} [{percent(one.low)}, {percent(one.high)}]"


def _per_deviation(slope: Interval) -> str:
    """A slope in points, as a difference is shown."""
    value, low, high = (end / 100 for end in (slope.value, slope.low, slope.high))
    return f"{signed(value)} {ends(Interval(value, low, high))}"


def _range(shares: Sequence[float]) -> str:
    low, high = percent(min(shares)), percent(max(shares))
    return low if low == high else f"{low} to {high}"


def _is_apart(one: Explained) -> bool:
    return one.excess.is_distinguishable


def _excess(one: Explained) -> str:
    return f"{signed(one.excess.value)} {ends(one.excess)}"
