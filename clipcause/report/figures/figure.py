"""What a figure is: declared once, in a file of its own.

A figure draws one table, `report/plots/NAME.csv`. From its declaration follow its panels on the
page, its files in `report/figures`, and the plot and the template of `dvc plots`. Rows are
dictionaries by column; colours come with them, and what belongs to a random split is hollow or
dashed.
"""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

import altair as alt

from clipcause.report.colours import Rows
from clipcause.report.content import Content
from clipcause.report.figures.encodings import wrapped
from clipcause.report.tables.robustness import usual_of

Spec = dict[str, Any]  # of Vega-Lite
Chart = alt.LayerChart
Found = Content  # all that figures are drawn from

COLUMNS = 3  # of panels in a file
PANELS = 18  # of a file whose panels have charts of their own; more are on the page alone
WRAP, HEADING = 105, 34  # letters of a line below the title, of one above a panel
NOMINAL = {"type": "nominal", "title": None}


@dataclass(frozen=True)
class Drawn:
    """What a chart is of. Without rows it is one for any study, as `dvc plots` needs it."""

    rows: Rows = field(default_factory=list)  # of all panels
    own: Rows = field(default_factory=list)  # of this one
    found: Found | None = None
    legend: bool = False  # of names, as files have it; the page has its own

    def value(self, column: str) -> Any:
        """What the panel's rows have in common; None for any study."""
        return self.own[0][column] if self.own else None

    def looks(self, column: str, rows: Rows | None = None) -> dict[str, str]:
        """The colours of a column's values, where there is a legend of them."""
        rows = self.rows if rows is None else rows
        return {row[column]: row["colour"] for row in rows} if self.legend else {}


@dataclass(frozen=True)
class Panel:
    """One drawing of the page: a specification with its data, and what it says to those who do not
    see it; ``of`` are the values of the figure's columns ``by``."""

    title: str
    spec: Spec
    label: str = ""
    of: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A figure of a table. In a study without rows for it, it has neither panels nor files.

    In ``panel``, ``label`` and ``heading`` stand columns in braces, and ``usual``, the test set of
    the training distribution. A ``file`` has the panels as facets of one chart, beside one another
    with one legend, apart with one each, or one alone.
    """

    name: str
    title: str
    axes: tuple[str, str]  # the columns that DVC calls x and y
    chart: Callable[[Drawn], Chart]
    rows: Callable[[Found], Rows] | None = None  # which are drawn, if not all
    by: tuple[str, ...] = ("test",)  # a panel per value of these columns
    alike: bool = True  # panels differ in their data alone
    panel: str = ""  # the title of one, if not those values
    label: str = ""  # of a panel, if not the titles
    file: Literal["facets", "beside", "apart", "alone"] | None = "facets"
    each: bool = False  # a file per value of the first column
    filed: Mapping[str, str] = field(default_factory=dict)  # files have rows with these values only
    heading: str = ""  # of a file, if not the title
    caption: str | Callable[[Rows], list[str]] = ""  # what the marks of a file mean
    column: str = "test"  # DVC draws a panel per value of these two
    row: str | None = None
    columns: int = COLUMNS  # panels that DVC draws side by side; revisions are below one another
    key: str = ""  # whose values the colours stand for, where no axis and no panel says it
    free: tuple[str, ...] = ("x",)  # scales that each panel has for itself

    def __post_init__(self) -> None:
        if not self.by and (self.file == "facets" or self.column == "test"):
            raise ValueError(
                f"figure {self.name}: by=() is one panel, which has no facets and no test set; "
                'say file="alone" (or None) and column="rev", a panel per revision'
            )

    def chosen(self, found: Found) -> Rows:
        """The rows that are drawn."""
        return self.rows(found) if self.rows else found.rows(self.name)

    def panels(self, found: Found, *, legend: bool = False) -> list[Panel]:
        """The drawings of the page; with a legend, of a file."""
        rows, made = self.chosen(found), []
        if not rows:
            return []
        one = drawn(self.chart(Drawn(rows, rows, found, legend)), rows) if self.alike else {}
        sides = [found.study.suite if name == "test" else distinct(rows, name) for name in self.by]
        for values in product(*sides):
            of = dict(zip(self.by, values, strict=True))
            if own := only(rows, **of):
                told = own[0] | {"usual": usual_of(found.study, found.parameters)}
                title = self.panel.format_map(told) or _title(of, len(found.study.tests))
                label = self.label.format_map(told) or f"{self.title}: {title}".rstrip(": ")
                spec = one or drawn(self.chart(Drawn(rows, own, found, legend)), own)
                made.append(Panel(title, spec | {"data": {"values": own}}, label, of))
        return made

    def files(self, found: Found) -> dict[str, Spec]:
        """The drawings that are files, by name."""
        rows, made = only(self.chosen(found), **self.filed), {}
        values = distinct(rows, self.by[0]) if self.each else [None] if rows and self.file else []
        for at, value in enumerate(values):
            further = 0
            own = only(rows, **{self.by[0]: value}) if self.each else rows
            spec = drawn(self.chart(Drawn(rows, own, found, legend=True)), own)
            if self.file == "beside" or self.file == "apart":
                panels = self.panels(found, legend=True)
                further = len(panels) - PANELS
                spec = beside(panels[:PANELS], self.file)
            elif self.file == "facets":
                spec = self._facets(spec, found)
            told = own[0] | {"usual": usual_of(found.study, found.parameters)}
            text = self.heading.format_map(told) or self.title
            title = {"text": text, "subtitle": self.below(rows, further), "anchor": "start"}
            made[f"{self.name}-{at + 1}" if at else self.name] = spec | {"title": title}
        return made

    def below(self, rows: Rows, further: int = 0) -> list[str]:
        """What stands below a file's title, line by line; so many panels are not in it."""
        if not isinstance(self.caption, str):
            return self.caption(rows)
        more = f" {further} further panels are on the page." if further > 0 else ""
        return wrap(self.caption + more)

    def _facets(self, spec: Spec, found: Found) -> Spec:
        """One chart, a panel per value of the last column."""
        last, rows = self.by[-1], spec.pop("data")
        order = list(found.study.suite) if last == "test" else distinct(rows["values"], last)
        return {
            "data": rows,
            "facet": {"field": last, "sort": order, "header": wrapped(order, HEADING)} | NOMINAL,
            "columns": COLUMNS,
            "spec": spec,
            "resolve": {"scale": dict.fromkeys(self.free, "independent")},
        }


def wrap(text: str) -> list[str]:
    """A text below a title, line by line."""
    # a blank that does not break keeps a number and its sign together
    return textwrap.wrap(text.replace(" %", "\u00a0%"), WRAP)


def distinct(rows: Iterable[Mapping[str, Any]], column: str) -> list[Any]:
    """The values of a column in the order in which they come."""
    return list(dict.fromkeys(row[column] for row in rows))


def only(rows: Rows, **values: Any) -> Rows:
    """The rows that have these values."""
    return [row for row in rows if all(row[name] == value for name, value in values.items())]


def drawn(chart: Chart, rows: Rows) -> Spec:
    """A chart with its data, which Altair need not look at."""
    # under a name, since Altair gives a chart without data some of its own
    spec = chart.properties(data=alt.NamedData("rows")).to_dict()
    del spec["$schema"], spec["config"]
    return spec | {"data": {"values": rows}}


def beside(panels: Sequence[Panel], file: Literal["beside", "apart"]) -> Spec:
    """Panels that differ in their axes, with one legend or one each."""
    how = "shared" if file == "beside" else "independent"
    each = dict.fromkeys(("stroke", "fill", "shape"), how)
    return {
        "concat": [
            {"title": {"text": textwrap.wrap(one.title, HEADING), "fontSize": 12}, **one.spec}
            for one in panels
        ],
        "columns": COLUMNS,
        "resolve": {"scale": each, "legend": each},
    }


def _title(of: Mapping[str, str], tests: int) -> str:
    """The values of a panel, the test set first, which one of several needs."""
    others = [value for name, value in of.items() if name != "test"]
    return ": ".join(
        [of["test"], *others] if "test" in of and (tests > 1 or not others) else others
    )
