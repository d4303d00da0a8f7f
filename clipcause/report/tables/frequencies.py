"""The class frequencies of a study: of its pool, its reference, and the splits that class-wise
rules chose."""

from dataclasses import dataclass, field
from pathlib import Path

from clipcause.captions import frequency
from clipcause.captions.frequency import Frequency
from clipcause.config import FILE, layout, read
from clipcause.prune.split import Split
from clipcause.report import classwise
from clipcause.report.colours import GREY, colours, free
from clipcause.report.study import Study
from clipcause.report.tables import corpora
from clipcause.report.tables.corpora import Corpora, Rows

CORPORA = "pool and reference"
POOL = "pool"
# a share of a corpus, or one without its tail, has the order of that corpus
SAME_ORDER = ("scale", "trim_tail")
MOST_SOURCES = 12  # of the matrix; curves have all


@dataclass(frozen=True)
class Frequencies:
    """Curves by panel, the agreement of sources, and what neither of them shows."""

    classes: int
    curves: Rows
    agreement: Rows
    looks: dict[str, dict[str, tuple[str, str]]]  # panel to series to colour and shape
    without_rows: dict[str, int]  # classes, by corpus of the first panel
    constant: list[str]  # corpora in which all classes have one count
    unlisted: dict[str, int] = field(default_factory=dict)  # rows of a label that is not listed
    left_out: int = 0  # sources that are in no matrix

    @property
    def sources(self) -> list[str]:
        """The names of the matrix, in order."""
        return list(dict.fromkeys(row["first"] for row in self.agreement))


def load(study: Study, path: Path = FILE) -> Frequencies | None:
    """Count what the study has; None where it was never counted."""
    name = read(path).get("classes")
    folder = layout.frequency(str(name))
    if name is None or not (folder / frequency.COUNTS).exists():
        return None
    known = frequency.read(folder)
    chosen = {one: rule for one, rule in study.rules.items() if classwise.is_classwise(rule)}
    counted: dict[str, Corpora] = {}
    unlisted: dict[str, int] = {}
    for by in ("mention", "label"):
        names = [one for one, rule in chosen.items() if classwise.by(rule) == by]
        needed = dict.fromkeys([*names, *(chosen[one].base for one in names)])
        splits: dict[str, Split] = {one: study.splits[one] for one in needed}
        if by == "mention":
            counted[by] = {"": known, **corpora.by_mention(folder, known, splits)}
        else:
            counted[by], unlisted[POOL] = corpora.by_label(study.pool, known, splits)
    reference, unlisted["reference"] = corpora.by_label(study.reference, known, {})
    first = {
        "pool, by mention": known,
        "pool, by label": counted["label"][""],
        "reference, by label": reference[""],
    }
    first = {one: found for one, found in first.items() if found.count_C.any()}
    sources = dict(first)
    for one, rule in chosen.items():
        if rule.rule not in SAME_ORDER:
            sources[one] = counted[classwise.by(rule)][one]
    shown = dict(list(sources.items())[:MOST_SOURCES])
    curves, looks = _panels(first, study, counted)
    return Frequencies(
        len(known.classes),
        curves,
        corpora.agreement(shown),
        looks,
        {one: corpora.empty(found) for one, found in first.items()},
        [one for one, found in shown.items() if corpora.is_constant(found)],
        {one: count for one, count in unlisted.items() if count},
        len(sources) - len(shown),
    )


def _panels(
    first: Corpora, study: Study, counted: dict[str, Corpora]
) -> tuple[Rows, dict[str, dict[str, tuple[str, str]]]]:
    """A panel of the corpora, and one for every rule, basis and meaning of class."""
    panels: dict[str, dict[str, tuple[Frequency, str]]] = {
        CORPORA: {one: (found, "corpus") for one, found in first.items()}
    }
    for one, rule in study.rules.items():
        if not classwise.is_classwise(rule):
            continue
        by = classwise.by(rule)
        title = f"{classwise.panel(rule)}, of {rule.base}, by {by}"
        panel = panels.setdefault(title, {})
        panel.setdefault(rule.base, (counted[by][rule.base], "base"))
        panel[one] = (counted[by][one], "corpus")
    of_split, known = colours(study), free(study)
    rows: Rows = []
    looks: dict[str, dict[str, tuple[str, str]]] = {}
    for title, panel in panels.items():
        own = [one for one, (_, role) in panel.items() if role != "base"]
        colour = {one: of_split.get(one, "") for one in own}
        if len(set(colour.values())) < len(own):  # not splits, or two of one colour
            colour = {one: known[at % len(known)] for at, one in enumerate(own)}
        looks[title] = {}
        for one, (found, role) in panel.items():
            mine = GREY if role == "base" else colour[one]
            looks[title][one] = mine, "circle"
            rows += corpora.curve(title, one, found, role, mine)
    return rows, looks
