"""The table of conditions and test sets as Markdown, and what its numbers are."""

from clipcause.config import layout
from clipcause.prune.rules.none import Everything
from clipcause.report.conditions import is_classwise
from clipcause.report.decimals import ends, percent, points, signed
from clipcause.report.outline import Outline
from clipcause.report.tables.accuracy import Cell, Line, covers


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
    trained = (
        "Every number is one training run, and intervals do not cover the noise between runs."
        if seeds <= 1
        else f"Accuracies are means over up to {seeds} training seeds; intervals cover the choice "
        f"of test images{_runs_covered(lines)}."
    )
    return (
        "Top-1 accuracy in %. With it, points above (+) or below (−, worse) the random split of "
        "the same size and [their 95 % paired-bootstrap interval over test images]; bold where it "
        f"leaves out zero. {trained}{_other_base(study, lines)} In table.csv and "
        "metrics/report.json “drop” is the same the other way round, random minus split."
    )


def _runs_covered(lines: list[Line]) -> str:
    """Whether intervals cover the noise between runs, as the end of a sentence."""
    found = covers(lines)
    if found == {True}:
        return " and the noise between runs"
    if True in found:
        return ", and the noise between runs where both sides have several"
    return ", not the noise between runs"


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
    text = f"{signed(cell.difference.value)} {ends(cell.difference)}"
    return f"{top1} (**{text}**)" if cell.difference.is_distinguishable else f"{top1} ({text})"
