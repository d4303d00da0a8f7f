"""The colours of splits, conditions and kinds of model.

A split has the same colour everywhere; the random split of its size has it too, unless several
splits share it, and so have the draws that differ in nothing but their seed. Tables have none:
they are added here, as the last columns of a CSV.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any

from clipcause.report.conditions import draws, sole
from clipcause.report.factors import OBJECTIVES
from clipcause.report.outline import SUPERVISED, Outline
from clipcause.report.tables.frequency import BASE
from clipcause.report.tables.table import Table, record

Rows = list[dict[str, Any]]
Look = tuple[str, str]  # colour and shape

# told apart by most colour-blind readers, and legible on white and on black
FIRST = (
    "#3b82d0", "#d9622b", "#2f9e77", "#b65fc0", "#c79a00",
    "#d6478c", "#159fb5", "#8a6d4b", "#7a8f1f", "#6f6ad6",
)  # fmt: skip
# each the farthest from all before it and from grey, in Oklab and as a reader without green sees
# it, of those that have a contrast of 2.3 to white and of 2.8 to black
PALETTE = (
    *FIRST,
    "#006900", "#2d5a78", "#96a5ff", "#e196a5", "#962d5a", "#005ac3", "#785a87", "#f078d2",
    "#00c369", "#00a5ff", "#b41e00", "#873ca5", "#4b7869", "#ff875a", "#5ab4a5", "#b487d2",
    "#697896", "#5a87ff", "#e15a69", "#4b4ba5", "#874b3c", "#1e78a5", "#b44b00", "#9678e1",
    "#c38787", "#f09600", "#b4695a", "#9696b4", "#87a54b", "#7896e1",
)  # fmt: skip
GREY = "#8a8a8a"
SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down")


def colours(study: Outline) -> dict[str, str]:
    """The colour of every split and condition. As long as there are colours, a split or condition
    shares its own with its random one and its other draws alone.

    Of several conditions of one split the first that differs in nothing but the split has its
    colour, or else the first; the others have colours that no split has.
    """
    of = sole(study.rules, study.controls)
    first = {name: one[0] for name, one in draws(study.rules, study.rules).items()}
    own = [name for name in study.splits if name in study.rules and name not in of]
    families = list(dict.fromkeys(first.get(name, name) for name in own))
    of_family = dict(zip(families, cycle(PALETTE), strict=False))
    found = {name: of_family[first.get(name, name)] for name in own}
    found |= {name: found.get(other, GREY) for name, other in of.items()}
    left, taken = iter(PALETTE[len(families) :]), set[str]()
    of_condition: dict[str, str] = {}
    plain_first = sorted(study.conditions.values(), key=lambda one: not one.is_plain)
    for one in plain_first:
        if one.split not in of:
            colour = found.get(one.split, GREY)
            of_condition[one.name] = next(left, colour) if one.split in taken else colour
            taken.add(one.split)
    for one in plain_first:
        if one.split in of:
            sides = (name for name in study.beside(one) if study.every[name].split == of[one.split])
            side = next(sides, "")
            of_condition[one.name] = of_condition.get(side, found[one.split])
    return found | of_condition


def free(study: Outline) -> list[str]:
    """Colours for what is no split, such as a kind of model: those that no split has come first,
    among the first ten where there is one."""
    taken = set(colours(study).values())
    middle = len(FIRST) // 2
    first = sorted(FIRST[middle:] + FIRST[:middle], key=taken.__contains__)
    further = sorted(PALETTE[len(FIRST) :], key=taken.__contains__)
    return [*further, *first] if first[0] in taken else [*first, *further]


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
