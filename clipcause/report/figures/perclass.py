"""Accuracy of every class by its frequency."""

from collections import Counter

import altair as alt

from clipcause.report.figures.encodings import POWERS, colour, ticks, x, y
from clipcause.report.figures.figure import Chart, Drawn, Figure, Found, Rows, distinct, only

MOST = 12  # conditions


def chart(of: Drawn, what: str = "training rows of the class") -> Chart:
    """A point per class, and the mean of each tenth of them."""
    rows = of.found.rows("perclass") if of.found else []
    axis = {"values": ticks(row["shown"] for row in rows) if rows else POWERS, "format": "~s"}
    title, scale = f"{what} (logarithmic)", {"type": "log", "nice": False, "padding": 6}
    share = {"domain": [0, 100], "padding": 4}
    place = alt.Chart().encode(
        x=x("shown", title, axis, **scale),
        y=y("accuracy", "accuracy of the class / %", {"tickCount": 5}, **share),
    )
    return alt.layer(
        place.transform_filter("datum.role == 'class'")
        .mark_point(filled=True, size=16, opacity=0.28)
        .encode(fill=colour(alt.Fill)),
        place.transform_filter("datum.role == 'mean'")
        .mark_line(strokeWidth=2, point=False)
        .encode(stroke=colour(alt.Stroke), detail="condition:N"),
    ).properties(width=215, height=150)


def shown(found: Found) -> list[str]:
    """The conditions whose classes are drawn: one of every kind of model, on the split that most
    kinds were trained on, or on the first that it was."""
    known, kinds = found.study.conditions, found.study.models
    present = distinct(found.rows("perclass"), "condition")
    splits = Counter(known[name].split for name in present)
    chosen: dict[str, str] = {}
    for name in sorted(present, key=lambda name: -splits[known[name].split]):
        chosen.setdefault(kinds[name], name)
    return [name for name in present if name in chosen.values()][:MOST]


def rows(found: Found) -> Rows:
    """Those of these conditions."""
    every = found.rows("perclass")
    return [row for name in shown(found) for row in only(every, condition=name)]


FIGURE = Figure(
    "perclass", "Accuracy by class frequency", ("shown", "accuracy"), chart, rows=rows,
    by=("condition", "test"), file="beside", row="condition",
    caption="A point per class, over all seeds; the line is the mean of each tenth of the classes. "
    "Classes without a training row stand at ½.",
)  # fmt: skip
