"""What sections are made of, as data: rows of tables and their cells, marks, small plots.

A view decides what is said; the templates have the words that are always the same, and
`templates/macros.html.j2` says what each looks like. All text here is plain: it is escaped where it
is put on the page.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from clipcause.report import figures
from clipcause.report.colours import GREY
from clipcause.report.content import Content
from clipcause.report.figures import drawing

NONE = "–"
# the number that a cell begins with, which its column is sorted by
NUMBER = re.compile(r"\s*[<>≤≥]?\s*([-−+]?(?:\d[\d,]*)?(?:\.\d+)?)(?![\w-])")


@dataclass(frozen=True)
class Mark:
    """A dot in a split's colour, or of a plot's key also a hollow one, a line or a diamond."""

    colour: str = GREY
    shape: str = "dot"
    dash: str = ""  # of a line


@dataclass(frozen=True)
class Small:
    """Small print: a line or two, of which the first may end in a strong word."""

    text: str
    below: str = ""
    kind: str = ""  # worse or better than what it is compared with; sure of its sign
    strong: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of a table: words or a number, small print below it, and what follows that.

    A new line in ``text`` is one on the page.
    """

    text: str
    small: Sequence[Small] = ()
    then: "Cell | None" = None
    mark: Mark | None = None
    link: str = ""
    id: str = ""
    kind: str = ""  # text: words of several lines; code; sub: a letter below the line


@dataclass(frozen=True)
class Row:
    """A row, which its first cell names."""

    head: Cell | str
    cells: Sequence[Cell | str]
    kind: str = ""  # random: of a split that others are compared with


@dataclass(frozen=True)
class Panel:
    """A small plot and its title, with a key of its own where others have another."""

    title: str
    drawing: Markup
    key: Sequence[tuple[Mark, str]] = ()


def ranged(value: str, low: str, high: str, below: str = "", *, kind: str = "") -> Cell:
    """A number and its interval, which small print may follow."""
    return Cell(value, (Small(f"[{low}, {high}]", below, kind),))


def sorted_by(cell: Cell | str) -> str:
    """The number that the page's script sorts a cell by, where it is not the whole text: the one it
    begins with, so that ``84.3`` with an interval below it is 84.3."""
    one = Cell(cell) if isinstance(cell, str) else cell
    found = NUMBER.match(one.text)
    if found is None or not any(map(str.isdigit, found[1])):
        return ""
    number = found[1].replace(",", "").replace("−", "-")
    is_all = number == one.text and not one.small and not one.then
    return "" if is_all else f"{float(number):g}"


def panels(content: Content, name: str) -> list[Panel]:
    """A figure's panels."""
    return [panel for found in grouped(content, name).values() for panel in found]


def grouped(content: Content, name: str, column: str = "") -> dict[str, list[Panel]]:
    """A figure's panels by a column that they are apart in. A drawing is an SVG, the one piece of
    markup that no template makes."""
    found: dict[str, list[Panel]] = {}
    for one in figures.load()[name].panels(content):
        panel = Panel(one.title, Markup(drawing.inline(one)))
        found.setdefault(one.of.get(column, ""), []).append(panel)
    return found
