"""The colours of splits, conditions and kinds of model.

A split has the same colour everywhere; the random split of its size has it too, unless several
splits share it. Tables have none: they are added here, as the last columns of a CSV.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clipcause.report.conditions import sole
from clipcause.report.factors import OBJECTIVES
from clipcause.report.outline import SUPERVISED, Outline
from clipcause.report.tables.frequency import BASE
from clipcause.report.tables.table import Table, record

Rows = list[dict[str, Any]]
Look = tuple[str, str]  # colour and shape

# told apart by most colour-blind readers, and legible on white and on black
PALETTE = (
    "#3b82d0", "#d9622b", "#2f9e77", "#b65fc0", "#c79a00",
    "#d6478c", "#159fb5", "#8a6d4b", "#7a8f1f", "#6f6ad6",
)  # fmt: skip
GREY = "#8a8a8a"
SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down")


def colours(study: Outline) -> dict[str, str]:
    """The colour of every split and condition."""
    of = sole(study.rules, study.controls)
    own = [name for name in study.splits if name in study.rules and name not in of]
    found = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(own)}
    found |= {name: found.get(other, GREY) for name, other in of.items()}
    return found | {name: found.get(one.split, GREY) for name, one in study.conditions.items()}


def free(study: Outline) -> list[str]:
    """Colours for what is no split, such as a kind of model: those that no split has come first."""
    taken = set(colours(study).values())
    middle = len(PALETTE) // 2
    return sorted(PALETTE[middle:] + PALETTE[:middle], key=taken.__contains__)


def marks(study: Outline) -> dict[str, Look]:
    """The colour and the shape of every kind of model: the same in all plots.

    Supervised is grey, as everywhere; others have no split's colour as long as there are such.
    """
    kinds = list(dict.fromkeys(study.models.values()))
    coloured = [kind for kind in kinds if kind != OBJECTIVES[SUPERVISED]]
    known = free(study)
    looks = {
        kind: (known[at % len(known)], SHAPES[at // len(known) % len(SHAPES)])
        for at, kind in enumerate(coloured)
    }
    return {kind: looks.get(kind, (GREY, SHAPES[0])) for kind in kinds}


def painted(table: Table, rows: Iterable[Any], study: Outline) -> Rows:
    """A table's rows as dictionaries, with colours and shapes as it says by which column."""
    records = list(map(record, rows))
    if not table.looks:
        return records
    if table.by == "corpus":
        panel_of = panels(study, records)
        looks = [panel_of[one["panel"]][one["corpus"]] for one in records]
    elif table.by == "kind":
        of_kind = marks(study)
        looks = [of_kind[one["kind"]] for one in records]
    else:
        colour = colours(study)
        looks = [(colour.get(one[table.by], GREY),) for one in records]
    return [
        one | dict(zip(table.looks, look, strict=False))
        for one, look in zip(records, looks, strict=True)
    ]


def panels(study: Outline, records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Look]]:
    """The looks of corpora, panel by panel: what others were made from is grey, a split has its
    colour, where they are splits and of different ones."""
    of_split, known = colours(study), free(study)
    roles: dict[str, dict[str, str]] = {}
    for one in records:
        roles.setdefault(one["panel"], {})[one["corpus"]] = one["role"]
    found = {}
    for panel, of in roles.items():
        own = [name for name, role in of.items() if role != BASE]
        colour = {name: of_split.get(name, "") for name in own}
        if len(set(colour.values())) < len(own):  # not splits, or two of one colour
            colour = {name: known[at % len(known)] for at, name in enumerate(own)}
        found[panel] = {name: (colour.get(name, GREY), SHAPES[0]) for name in of}
    return found
