"""Which conditions a plot of many lines draws, and what its legend calls them."""

import altair as alt

from clipcause.report.colours import colours
from clipcause.report.conditions import is_classwise
from clipcause.report.figures.encodings import by_colour, colour, kinds
from clipcause.report.figures.figure import Drawn, Found, Rows, distinct
from clipcause.report.outline import Outline

MOST = 24


def shown(study: Outline) -> list[str]:
    """The conditions whose lines are drawn: where not all fit, those that differ in nothing but
    their split, and whose split was not chosen class by class."""
    if len(study.conditions) <= MOST:
        return list(study.conditions)
    plain = [
        name
        for name, one in study.conditions.items()
        if one.is_plain and not is_classwise(study.rules.get(one.split))
    ]
    return plain[:MOST]


def own(study: Outline) -> list[str]:
    """The conditions that have a line or a colour of their own: no random splits of one other."""
    return [name for name, one in study.conditions.items() if study.beside(one) == [name]]


def of(found: Found, table: str) -> Rows:
    """The rows of a table that are of the conditions whose lines are drawn."""
    names = shown(found.study)
    return [row for row in found.rows(table) if row["split"] in names]


def drawn(of: Drawn, point: alt.Chart, *between: alt.Chart) -> alt.LayerChart:
    """A line with its points per condition; what lies ``between`` the two."""
    stroke, dash = by_colour(legend(of)), kinds()
    return alt.layer(
        point.mark_line(strokeWidth=1.5).encode(detail="split:N", stroke=stroke, strokeDash=dash),
        *between,
        point.mark_point(size=14, opacity=1, filled=True).encode(fill=colour(alt.Fill)),
    ).properties(width=225, height=165)


def legend(of: Drawn) -> dict[str, str]:
    """Colour to name of the conditions that are drawn, where there is a legend. A random split of
    one other has its colour and no name; others of one colour share an entry."""
    named: dict[str, str] = {}
    if of.legend and of.found:
        present, known = distinct(of.rows, "split"), colours(of.found.study)
        for name in own(of.found.study):
            if name in present:
                named[known[name]] = ", ".join(filter(None, [named.get(known[name]), name]))
        # a control of several has a colour of its own: without a name it would have no line
        for name in present:
            if name in known:
                named.setdefault(known[name], name)
    return named
