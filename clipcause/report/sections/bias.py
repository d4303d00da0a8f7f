"""Class frequency and the bias towards frequent classes: seven sections, each absent where a study
has nothing for it."""

from collections.abc import Mapping
from typing import Any

from clipcause.report.colours import SHAPES, Look, marks
from clipcause.report.content import Content
from clipcause.report.decimals import fixed, listed
from clipcause.report.evaluated import Measured
from clipcause.report.figures import frequency as curves
from clipcause.report.figures.bias import numbered
from clipcause.report.figures.perclass import shown
from clipcause.report.outline import Outline
from clipcause.report.sections.elements import (
    NONE,
    Cell,
    Mark,
    Panel,
    Row,
    Small,
    grouped,
    panels,
    ranged,
)
from clipcause.report.tables import parts

ABOUT = "0: accuracy does not follow class frequency, below 0: rare classes do better"


def _below(text: str, letter: str, rest: str = "") -> Cell:
    """A title with a letter below the line."""
    return Cell(text, then=Cell(letter, kind="sub", then=Cell(rest)))


# of the table of conditions: path of a number to its title, factor and digits
COLUMNS: dict[str, tuple[Cell | str, int, int]] = {
    "top1": ("top-1", 100, 1),
    "imbalance.corr_acc": ("corr_acc", 1, 3),
    "imbalance.corr_pred": ("corr_pred", 1, 3),
    "imbalance.head": ("head", 100, 1),
    "imbalance.middle": ("middle", 100, 1),
    "imbalance.tail": ("tail", 100, 1),
    "imbalance.trimmed": ("trimmed", 100, 1),
    "neural_collapse.nc1": ("NC1", 1, 2),
    "neural_collapse.nc2_m": (_below("NC2", "M"), 1, 3),
    "neural_collapse.nc2nn_m": (_below("NC2", "M", " nearest"), 1, 3),
    "neural_collapse.nc2_w": (_below("NC2", "W"), 1, 3),
    "neural_collapse.nc2nn_w": (_below("NC2", "W", " nearest"), 1, 3),
}


def summary(content: Content) -> list[str]:
    """Every test set's lowest and highest corr_acc with intervals, parts of a set left aside."""
    texts: list[str] = []
    for test in content.study.tests:
        rows = [
            row
            for row in content.rows("bias")
            if (row["test"], row["part"], row["against"]) == (test, "whole", "corr_pred")
        ]
        if len(rows) > 1:
            least, most = (of(rows, key=lambda row: row["corr_acc"]) for of in (min, max))
            texts.append(
                f"On {test}, corr_acc is lowest for {_told(least)} and highest for {_told(most)}, "
                f"of {len(rows)} conditions on whole sets{'' if texts else f'; {ABOUT}'}."
            )
    return texts


def _told(row: Mapping[str, Any]) -> str:
    """A condition with its corr_acc and what the plot has as its bar."""
    low, high = row["low"], row["high"]
    # without a spread both ends are the value itself
    ends = "" if low == high else f" [{fixed(low, 2)}, {fixed(high, 2)}]"
    return f"“{row['condition']}” ({fixed(row['corr_acc'], 2)}{ends})"


def frequency(content: Content) -> dict[str, Any] | None:
    """Rows by class, and how far the orders of classes agree."""
    found = content.frequencies
    if not found:
        return None
    looks: dict[str, dict[str, Look]] = {}
    for row in curves.rows(content):
        looks.setdefault(row["panel"], {})[row["corpus"]] = row["colour"], SHAPES[0]
    sources = {row["first"] for row in content.rows("sources")}
    without = [f"{count:,} in “{name}”" for name, count in found.without_rows.items() if count]
    return {
        "classes": f"{found.classes:,}",
        "without": listed(without),
        "unlisted": {name: f"{count:,}" for name, count in found.unlisted.items()},
        "panels": [
            Panel(one.title, one.drawing, _key(looks[one.title]))
            for one in panels(content, "frequency")
        ],
        "sources": panels(content, "sources")[0] if len(sources) > 1 else None,
        "constant": listed(found.constant),
        "is_one": len(found.constant) == 1,
        "left_out": found.left_out,
    }


def bias(content: Content) -> dict[str, Any] | None:
    """The numbers of bias and neural collapse. Neural collapse alone is no account of bias: the
    tidy table has it."""
    study, every = content.study, content.rows("bias")
    if not every:
        return None
    paths = [path for path in COLUMNS if "." in path]
    measured = [found for found in content.measured if any(path in found.numbers for path in paths)]
    known = {path for found in measured for path in found.numbers}
    looks = _looks(content, "bias")
    colours = [colour for colour, _ in looks.values()]
    return {
        "has_thirds": "imbalance.head" in known,
        "has_collapse": any(path.startswith("neural_collapse.") for path in known),
        "has_parts": any(row["part"] != "whole" for row in every),
        "has_curves": bool(content.rows("scale") or content.rows("tail")),
        # shapes are told where colours come twice
        "marks": _key(looks, with_shapes=len(set(colours)) < len(colours)),
        "numbered": numbered(every),
        **_folded(content, "bias", "test"),
        "tables": {
            test: _table(study, [found for found in measured if found.test == test])
            for test in study.tests
        },
    }


def _table(study: Outline, measured: list[Measured]) -> dict[str, Any]:
    """Head and rows of the numbers on a test set."""
    shown = {
        path: column
        for path, column in COLUMNS.items()
        if any(path in found.numbers for found in measured)
    }
    numbers = {name: at for at, name in enumerate(study.every, 1)}
    looks, rows = marks(study), []
    for found in measured:
        one = found.condition
        seeds = (Small(f"{len(one.runs)} seeds"),) if len(one.runs) > 1 else ()
        size = f"{len(study.splits[one.split]):,}" if one.split in study.rules else NONE
        cells = [_cell(found, path, *how) for path, (_, *how) in shown.items()]
        head = Cell(one.name, seeds, mark=Mark(looks[found.kind][0]))
        rows.append(Row(head, [f"{numbers[one.name]}", size, *cells]))
    return {"head": [title for title, *_ in shown.values()], "rows": rows}


def _cell(found: Measured, path: str, factor: int, digits: int) -> Cell:
    value, spread = found.mean(path), found.spread(path)
    if value is None:
        return Cell(NONE)
    text, *ends = (fixed(factor * one, digits) for one in (value, *(spread or ())))
    return ranged(text, *ends) if ends else Cell(text)


def scale(content: Content) -> dict[str, Any] | None:
    """Uniform shares of a set."""
    return _plot(content, "scale") if content.rows("scale") else None


def tail(content: Content) -> dict[str, Any] | None:
    """Sets without their tail, and what the text towers that runs take had seen of it."""
    study = content.study
    condition = {run: name for name, found in study.conditions.items() for run in found.runs}
    towers = [
        Row(condition[run], [run, given, "not known" if count is None else f"{count:,}"])
        for (run, given), count in content.text_from.items()
    ]
    left_out = parts.left_out(study, content.measured)
    if not (content.rows("tail") or left_out or towers):
        return None
    return {**_plot(content, "tail"), "left_out": left_out, "towers": towers}


def perclass(content: Content) -> dict[str, Any] | None:
    """Accuracy by class frequency, of one condition of every kind."""
    if not content.rows("perclass"):
        return None
    drawn, every = shown(content), {row["condition"] for row in content.rows("perclass")}
    return {"further": len(every) - len(drawn), **_folded(content, "perclass", "condition")}


def probes(content: Content) -> dict[str, Any] | None:
    """Linear probes by test set and samples of a class."""
    found = content.rows("probes")
    if not found:
        return None
    columns = list(dict.fromkeys((row["test"], row["shots"]) for row in found))
    rows = []
    for name in dict.fromkeys(row["probe"] for row in found):
        mine = {(row["test"], row["shots"]): row for row in found if row["probe"] == name}
        first = next(iter(mine.values()))
        cells = [_deviating(mine[at]) if at in mine else NONE for at in columns]
        rows.append(Row(name, [first["condition"], first["trained"], *cells]))
    head = [f"{test}, {shots or 'all rows'}" for test, shots in columns]
    return {**_plot(content, "probes"), "head": head, "rows": rows}


def _deviating(row: Mapping[str, Any]) -> str:
    text = fixed(row["value"], 1)
    return f"{text} ± {fixed(row['high'] - row['value'], 1)}" if row["draws"] > 1 else text


def intraclass(content: Content) -> dict[str, Any] | None:
    """Metrics as they are, an entry a row."""
    found = content.intraclass
    names = list(dict.fromkeys(name for numbers in found.values() for name in numbers))
    rows = []
    for entry, numbers in found.items():
        known = {one: f"{value:,}" if isinstance(value, int) else fixed(value, 4)
                 for one, value in numbers.items()}  # fmt: skip
        rows.append(Row(entry, [known.get(name, NONE) for name in names]))
    return {"head": [name.replace("_", " ") for name in names], "rows": rows} if rows else None


def _plot(content: Content, name: str) -> dict[str, Any]:
    return {"marks": _key(_looks(content, name)), "panels": panels(content, name)}


def _folded(content: Content, name: str, column: str) -> dict[str, list[Panel]]:
    """The panels of the first test set or condition, and the others, which are folded away."""
    first, *others = grouped(content, name, column).values()
    return {"panels": first, "rest": [panel for found in others for panel in found]}


def _looks(content: Content, name: str) -> dict[str, Look]:
    """The looks of the kinds of model that a plot has."""
    present = {row["kind"] for row in content.rows(name)}
    return {kind: look for kind, look in marks(content.study).items() if kind in present}


def _key(looks: Mapping[str, Look], *, with_shapes: bool = False) -> list[tuple[Mark, str]]:
    return [
        (Mark(colour), f"{name} ({shape})" if with_shapes else name)
        for name, (colour, shape) in looks.items()
    ]
