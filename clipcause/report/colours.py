"""The colours of splits, conditions and kinds of model.

A split has the same colour everywhere; the random split of its size has it too, unless several
splits share it.
"""

from clipcause.report.kinds import SUPERVISED, kinds_of
from clipcause.report.study import Study

# told apart by most colour-blind readers, and legible on white and on black
PALETTE = (
    "#3b82d0", "#d9622b", "#2f9e77", "#b65fc0", "#c79a00",
    "#d6478c", "#159fb5", "#8a6d4b", "#7a8f1f", "#6f6ad6",
)  # fmt: skip
GREY = "#8a8a8a"


def colours(study: Study) -> dict[str, str]:
    """The colour of every split and condition."""
    of = {name: others[0] for name, others in study.twins.items() if len(others) == 1}
    own = [name for name in study.splits if name in study.rules and name not in of]
    found = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(own)}
    found |= {name: found.get(other, GREY) for name, other in of.items()}
    return found | {name: found.get(one.split, GREY) for name, one in study.conditions.items()}


def free(study: Study) -> list[str]:
    """Colours for what is no split, such as a kind of model: those that no split has come first."""
    taken = set(colours(study).values())
    middle = len(PALETTE) // 2
    return sorted(PALETTE[middle:] + PALETTE[:middle], key=taken.__contains__)


SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down")


def marks(study: Study) -> dict[str, tuple[str, str]]:
    """The colour and the shape of every kind of model: the same in all plots.

    Supervised is grey, as everywhere; others have no split's colour as long as there are such.
    """
    kinds = list(dict.fromkeys(kinds_of(study).values()))
    coloured = [kind for kind in kinds if kind != SUPERVISED]
    known = free(study)
    looks = {
        kind: (known[at % len(known)], SHAPES[at // len(known) % len(SHAPES)])
        for at, kind in enumerate(coloured)
    }
    return {kind: looks.get(kind, (GREY, SHAPES[0])) for kind in kinds}
