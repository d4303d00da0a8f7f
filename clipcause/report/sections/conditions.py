"""Conditions and splits in tables and keys: their names, marks and rows."""

from collections.abc import Callable, Iterable, Sequence

from clipcause.report.colours import colours
from clipcause.report.conditions import Condition
from clipcause.report.decimals import ends, points, signed
from clipcause.report.outline import RANDOM, Outline
from clipcause.report.sections.elements import Cell, Mark, Row, Small
from clipcause.stats.comparison import Interval


def split_name(study: Outline, name: str) -> Cell:
    """A split's name with its colour."""
    shape = "hollow" if name in study.controls else "dot"
    return Cell(name, mark=Mark(colours(study)[name], shape))


def kind(study: Outline, split: str) -> str:
    """The kind of a split's row."""
    return RANDOM if split in study.controls else ""


def line(study: Outline, name: str) -> Mark:
    """A condition's line: of a random split dashed, of a supervised model dotted."""
    one = study.conditions[name]
    dash = "5 2" if one.split in study.controls else "2 2" if one.is_supervised else ""
    return Mark(colours(study)[name], "line", dash)


def row(study: Outline, one: Condition, cells: Sequence[Cell | str], *, link: bool = False) -> Row:
    """A condition's row: its name with colour and seeds, on request linked to its split."""
    shape = "hollow" if one.split in study.controls else "dot"
    head = Cell(
        one.name,
        (Small(f"seeds {', '.join(map(str, one.seeds))}"),) if len(one.seeds) > 1 else (),
        mark=Mark(colours(study)[one.name], shape),
        link=f"#split-{one.split}" if link and one.split in study.rules else "",
    )
    return Row(head, cells, kind(study, one.split))


def rows(
    study: Outline,
    cell: Callable[[str, str], Cell | str],
    names: Iterable[str] | None = None,
    tests: Iterable[str] | None = None,
    *,
    link: bool = False,
) -> list[Row]:
    """A row for every condition, or those of ``names``, of a cell for every test set."""
    chosen = list(study.tests if tests is None else tests)
    return [
        row(study, study.conditions[name], [cell(name, test) for test in chosen], link=link)
        for name in (study.conditions if names is None else names)
    ]


def accuracy(share: float, difference: Interval | None) -> Cell:
    """An accuracy in %, and below it the difference from the random split in points."""
    if difference is None:
        return Cell(points(share))
    told = Small(signed(difference.value), ends(difference), marked(difference))
    return Cell(points(share), (told,))


def marked(one: Interval) -> str:
    """Worse or better, which the sign says too, where the interval leaves out zero."""
    if not one.is_distinguishable:
        return ""
    return "worse" if one.value < 0 else "better"
