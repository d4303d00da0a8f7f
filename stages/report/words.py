"""What the study found, in plain words made from its numbers. Nothing here is HTML."""

from collections.abc import Sequence

from stages.parameters.splits import Combined, Everything, Hull, Random, Ranked, Rule
from stages.report.statistics import Interval
from stages.report.study import Study
from stages.report.table import Line, points

MOST = 3  # hull splits that the summary tells; the table has all


def summary(study: Study, lines: list[Line], duplicates: int) -> str:
    """One paragraph: what was pruned, what that did, how sure it is."""
    by_name = {line.condition.name: line for line in lines}
    hulls = [
        line
        for line in lines
        if isinstance(study.rules.get(line.condition.split), Hull) and line.condition.twins
    ]
    parts = [_pool(study, duplicates)]
    parts += [_hull(study, line, by_name) for line in hulls[:MOST]]
    if len(hulls) > MOST:
        parts.append(f"The table has {len(hulls) - MOST} more pruned splits.")
    if not hulls:
        parts.append("No pruned split has a random split of its size to be compared with.")
    parts += [_supervised(line) for line in lines if line.condition.is_supervised][:1]
    return " ".join([*parts, _certainty(lines)])


def rule(one: Rule) -> str:
    """How a split is chosen from its base, in a sentence without a full stop."""
    if isinstance(one, Hull):
        shifted = f" + {one.delta:g}" if one.delta else ""
        return (
            f"hull pruning for {listed(one.tests)}: a row goes if it is more similar to some test "
            f"image than that image's nearest reference image{shifted}"
        )
    if isinstance(one, Ranked):
        kept = f"{one.keep:,} rows" if isinstance(one.keep, int) else f"{one.keep:.1%} of the base"
        which = "least" if one.rule == "near" else "most"
        return f"{one.rule}: {kept} {which} similar to the nearest image of {listed(one.tests)}"
    if isinstance(one, Random):
        size = f"as many as {one.of}" if one.keep is None else f"keep {one.keep:,}"
        return f"random: a uniform sample, {size}, seed {one.seed}"
    if isinstance(one, Combined):
        return f"{one.rule} of {one.of} and {one.with_}, as far as the base reaches"
    assert isinstance(one, Everything)
    return "the base itself, nothing removed"


def listed(words: Sequence[str]) -> str:
    """a, b and c."""
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def drop(one: Interval) -> str:
    """A difference with its interval; one whose interval has zero in it is not called a drop."""
    low, high = points(one.low), points(one.high)
    interval = f"95 % interval {low} to {high}"
    if not one.is_distinguishable:
        return f"not distinguishable (difference of {points(one.value)} points, {interval})"
    word = "drop" if one.value > 0 else "gain"
    if one.value < 0:
        interval = f"95 % interval {points(-one.high)} to {points(-one.low)}"
    return f"a {word} of {points(abs(one.value))} points ({interval})"


def _pool(study: Study, duplicates: int) -> str:
    text = f"The pool has {len(study.pool):,} images"
    if duplicates:
        share = duplicates / len(study.pool)
        text += f"; de-duplication removed {duplicates:,} of them ({share:.1%})"
    return f"{text}. The reference has {len(study.reference):,}."


def _hull(study: Study, line: Line, by_name: dict[str, Line]) -> str:
    one = line.condition
    chosen = study.rules[one.split]
    assert isinstance(chosen, Hull)
    gone = len(study.base_of(one.split)) - line.rows
    twin = by_name[one.twins[0]]
    text = (
        f"{one.name} leaves out every image that is more similar to some image of "
        f"{listed(chosen.tests)} than the nearest reference image is: {gone:,} images, "
        f"{line.removed:.1%} of the base. "
    )
    if len(chosen.tests) == 1:
        test = chosen.tests[0]
        cell = line.cells[test]
        assert cell.drop is not None
        other = cell.top1.value + cell.drop.value
        text += (
            f"On {test} the model trained on the rest has {cell.top1.value:.1%} top-1, the one "
            f"trained on a random sample of that size {other:.1%}: {drop(cell.drop)}. "
        )
    others = [test for test in line.cells if [test] != chosen.tests]
    return text + _others(line, others, "On the other test sets" if others != list(line.cells)
                          else f"Against {twin.condition.name}")  # fmt: skip


def _others(line: Line, tests: list[str], where: str) -> str:
    drops = [(test, line.cells[test].drop) for test in tests]
    sure = [
        f"{test} ({points(one.value)})" for test, one in drops if one and one.is_distinguishable
    ]
    unsure = [test for test, one in drops if one and not one.is_distinguishable]
    if not sure and not unsure:
        return ""
    if not sure:
        return f"{where} no difference is distinguishable from zero."
    text = f"{where} accuracy is lower by distinguishable points on {listed(sure)}"
    if any(one and one.is_distinguishable and one.value < 0 for _, one in drops):
        text = f"{where} the drop in points is distinguishable on {listed(sure)}"
    return text + (f", and not on {listed(unsure)}." if unsure else ".")


def _supervised(line: Line) -> str:
    cells = [f"{test} {cell.top1.value:.1%}" for test, cell in line.cells.items()]
    return f"A classifier trained on the labelled reference alone has {listed(cells)}."


def _certainty(lines: list[Line]) -> str:
    counts = {len(line.condition.seeds) for line in lines}
    images = "Intervals say how much depends on which images are in a test set"
    if counts == {1}:
        return (
            f"{images}; every model was trained once, so what another training seed would have "
            "given is not in them, and small differences should not be read as findings."
        )
    if 1 in counts:
        single = [line.condition.name for line in lines if len(line.condition.seeds) == 1]
        return (
            f"{images}, not how much on the training seed; accuracies are means over seeds, but "
            f"{listed(single)} {'was' if len(single) == 1 else 'were'} trained only once."
        )
    return f"{images}, not how much on the training seed; accuracies are means over seeds."
