"""The class frequencies of a study: of its pool, its reference, and the splits that class-wise
rules chose; curves of count by rank, and how far two orders agree."""

from dataclasses import dataclass, field
from typing import Annotated

from scipy import stats

from clipcause.captions import frequency
from clipcause.captions.frequency import Frequency
from clipcause.config import FILE, layout, read
from clipcause.prune.rule import Rule
from clipcause.prune.split import Split
from clipcause.report import corpora
from clipcause.report.conditions import is_classwise
from clipcause.report.corpora import Corpora
from clipcause.report.inputs import Inputs
from clipcause.report.study import Sources
from clipcause.report.tables.table import Table, rounded

CORPORA = "pool and reference"
POOL, REFERENCE = "pool", "reference"
CORPUS, BASE = "corpus", "base"  # roles
# a share of a corpus, or one without its tail, has the order of that corpus
SAME_ORDER = ("scale", "trim_tail")
MOST_SOURCES = 12  # of the matrix; curves have all


@dataclass(frozen=True)
class Counts:
    """All counts of a study."""

    classes: int
    first: Corpora  # pool and reference
    by: dict[str, Corpora]  # of bases and class-wise splits, by label and by mention
    unlisted: dict[str, int]  # rows of a label that is not listed


@dataclass(frozen=True)
class Facts:
    """What curves and agreement do not show."""

    classes: int
    without_rows: dict[str, int]  # classes, by corpus of the first panel
    constant: list[str]  # corpora in which all classes have one count
    unlisted: dict[str, int] = field(default_factory=dict)  # rows of a label that is not listed
    left_out: int = 0  # sources that are in no matrix


@dataclass(frozen=True)
class Row:
    """A class of a corpus by its rank."""

    panel: Annotated[str, "the corpora that are drawn together"]
    corpus: Annotated[str, "the data whose rows are counted"]
    role: Annotated[str, "`base` of what the others of a panel were made from, else `corpus`"]
    rank: Annotated[int, "place by falling count, from 1; ties by class id"]
    class_: Annotated[str, "the class id"]
    name: Annotated[str, "its name"]
    count: Annotated[int, "rows of the class"]


@dataclass(frozen=True)
class Agreement:
    """Two corpora."""

    first: Annotated[str, "a corpus"]
    second: Annotated[str, "another, or the same"]
    spearman: Annotated[float, "rank correlation of their counts, joined by class id"]
    classes: Annotated[int, "classes that are compared"]


def counts(inputs: Inputs) -> Counts | None:
    """Count what the study has; None where it was never counted."""
    sources, name = inputs.study.sources, read(FILE).get("classes")
    folder = layout.frequency(str(name))
    if name is None or not (folder / frequency.COUNTS).exists():
        return None
    known = frequency.read(folder)
    mentioned = {"": known, **corpora.by_mention(folder, known, _needed(sources, "mention"))}
    labelled, in_pool = corpora.by_label(sources.pool, known, _needed(sources, "label"))
    reference, in_reference = corpora.by_label(sources.reference, known, {})
    first = {
        "pool, by mention": known,
        "pool, by label": labelled[""],
        "reference, by label": reference[""],
    }
    first = {one: found for one, found in first.items() if found.count_C.any()}
    unlisted = {POOL: in_pool, REFERENCE: in_reference}
    return Counts(len(known.classes), first, {"mention": mentioned, "label": labelled}, unlisted)


def compared(inputs: Inputs) -> Corpora:
    """The corpora whose orders may differ."""
    found = inputs.of(counts)
    if not found:
        return {}
    return found.first | {
        one: found.by[str(rule.classes_by)][one]
        for one, rule in _chosen(inputs.study.sources).items()
        if rule.rule not in SAME_ORDER
    }


def facts(inputs: Inputs) -> Facts | None:
    """What the page says beside the plots; None where nothing was counted."""
    found, every = inputs.of(counts), inputs.of(compared)
    if not found:
        return None
    return Facts(
        found.classes,
        {one: corpora.empty(of) for one, of in found.first.items()},
        [one for one, of in _shown(every).items() if corpora.is_constant(of)],
        {one: count for one, count in found.unlisted.items() if count},
        len(every) - len(_shown(every)),
    )


def rows(inputs: Inputs) -> list[Row]:
    """A panel of the corpora, and one for every rule, basis and meaning of class."""
    found = inputs.of(counts)
    if not found:
        return []
    panels = {CORPORA: {one: (of, CORPUS) for one, of in found.first.items()}}
    for one, rule in _chosen(inputs.study.sources).items():
        by = str(rule.classes_by)
        panel = panels.setdefault(f"{rule.panel}, of {rule.base}, by {by}", {})
        panel.setdefault(rule.base, (found.by[by][rule.base], BASE))
        panel[one] = found.by[by][one], CORPUS
    return [
        row
        for title, panel in panels.items()
        for one, (of, role) in panel.items()
        for row in curve(title, one, of, role)
    ]


def curve(panel: str, corpus: str, found: Frequency, role: str = CORPUS) -> list[Row]:
    """The classes of a corpus by falling count (ties by id): rank from 1, count."""
    order = sorted(range(len(found.classes)), key=lambda c: (-found.count_C[c], found.classes[c]))
    return [
        Row(panel, corpus, role, rank, found.classes[c], found.names[c], int(found.count_C[c]))
        for rank, c in enumerate(order, 1)
    ]


def agreements(inputs: Inputs) -> list[Agreement]:
    """How far the orders of the study's corpora agree."""
    return agreement(_shown(inputs.of(compared)))


def agreement(of: Corpora) -> list[Agreement]:
    """Spearman's coefficient of every pair of corpora that have an order, over all classes.

    Joined by class id; raises ``ValueError`` where two are not of the same classes.
    """
    ordered = {name: one for name, one in of.items() if not corpora.is_constant(one)}
    rows = []
    for first, one in ordered.items():
        for second, other in ordered.items():
            value = stats.spearmanr(one.count_C, other.of(one.classes)).statistic
            rows.append(Agreement(first, second, rounded(value), len(one.classes)))
    return rows


TABLES = (
    Table("frequency", Row, rows, by="corpus"),
    Table("sources", Agreement, agreements, looks=()),
)


def _chosen(sources: Sources) -> dict[str, Rule]:
    """The splits that class-wise rules made."""
    return {one: rule for one, rule in sources.rules.items() if is_classwise(rule)}


def _needed(sources: Sources, by: str) -> dict[str, Split]:
    """Those of one meaning of class, and their bases."""
    chosen = {one: rule for one, rule in _chosen(sources).items() if rule.classes_by == by}
    names = dict.fromkeys([*chosen, *(rule.base for rule in chosen.values())])
    return {one: sources.splits[one] for one in names}


def _shown(every: Corpora) -> Corpora:
    return dict(list(every.items())[:MOST_SOURCES])
