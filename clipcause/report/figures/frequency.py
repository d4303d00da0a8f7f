"""Class frequency: the count of every class by its rank."""

from collections.abc import Sequence

import altair as alt

from clipcause.report.figures.encodings import POWERS, by_name, dashes, x, y
from clipcause.report.figures.figure import Chart, Drawn, Figure, Found, Rows, distinct, only
from clipcause.report.tables.frequency import BASE


def chart(of: Drawn) -> Chart:
    """A line per corpus; dashed is what the others of a panel were made from."""
    looks, powers = of.looks("corpus", of.own), {"values": POWERS, "format": "~s"}
    line = alt.Chart().encode(
        x=x("rank", "class, by falling count", {"tickCount": 5}, zero=True, nice=False),
        y=y("count", "rows (logarithmic)", powers, type="log"),
        stroke=by_name(alt.Stroke, "corpus", looks, 1 if len(looks) < 8 else 3),
        strokeDash=dashes("role", {"corpus": [1, 0], "base": [4, 3]}),
        detail="corpus:N",
    )
    layers = alt.layer(line.mark_line(strokeWidth=1.75)).transform_filter("datum.count > 0")
    return layers.properties(width=215, height=165)


def rows(found: Found) -> Rows:
    """All but those of a line that another hides: corpora with the same counts have one line, which
    has the names of all."""
    every, made = found.rows("frequency"), []
    for panel in distinct(every, "panel"):
        lines: dict[tuple[int, ...], list[str]] = {}
        own = only(every, panel=panel)
        # what was made from others comes first: its line is drawn, in its colour
        for name in sorted(
            distinct(own, "corpus"), key=lambda one: only(own, corpus=one)[0]["role"] == BASE
        ):
            counts = tuple(row["count"] for row in only(own, corpus=name))
            lines.setdefault(counts, []).append(name)
        called = {names[0]: together(names) for names in lines.values()}
        made += [row | {"corpus": called[row["corpus"]]} for row in own if row["corpus"] in called]
    return made


def together(names: Sequence[str]) -> str:
    """What the line of several corpora is called."""
    if len(names) > 2:
        return f"{names[0]}, … {names[-1]} ({len(names)} alike)"
    return " and ".join(names)


FIGURE = Figure(
    "frequency", "Class frequency", ("rank", "count"), chart, rows=rows,
    by=("panel",), alike=False, file="apart", column="panel",
    key="corpus",
    caption="Rows by class, in falling order, on a logarithmic axis; classes without rows are left "
    "out. Dashed: what the splits of a panel were made from.",
)  # fmt: skip
