"""Encodings that several figures share."""

import json
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import altair as alt

from clipcause.report.outline import RANDOM

INK = "#111111"  # on squares, whose colours are light in light and dark alike
LOSS, EQUAL, GAIN = "#e8936b", "#ececec", "#7fb0e6"
LABEL = 420  # pixels; a longer label is cut
LINE = 36  # letters of a line of a name
LETTER = 5.5  # pixels of a letter of a legend, about
ROOM = 760  # pixels that a legend may take
CELL = (22, 46)  # pixels of a square of a matrix: the least, the most
MOST_TICKS = 8  # of a logarithmic axis; more have no room for their labels
SOME = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
POWERS = [10**power for power in range(10)]
SYMBOL: dict[str, Any] = {"symbolType": "stroke", "symbolStrokeWidth": 3, "symbolOpacity": 1}
DOTS: dict[str, Any] = {"symbolType": "circle", "symbolStrokeWidth": 0}


def x(field: str, title: str | None, axis: Mapping[str, Any] | None = None, **scale: Any) -> alt.X:
    """A horizontal axis of numbers."""
    return alt.X(field, type="quantitative", title=title, **_given(axis, scale))


def y(field: str, title: str | None, axis: Mapping[str, Any] | None = None, **scale: Any) -> alt.Y:
    """A vertical axis of numbers."""
    return alt.Y(field, type="quantitative", title=title, **_given(axis, scale))


def _given(axis: Mapping[str, Any] | None, scale: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"axis": alt.Axis(**axis)} if axis else {}
    return found | ({"scale": alt.Scale(**scale)} if scale else {})


def names(field: str, order: list[str] | None) -> alt.Y:
    """A line of the plot per name; a long name has several of text."""
    axis: dict[str, Any] = {"labelLimit": LABEL} | wrapped(order or [])
    return alt.Y(field, type="nominal", sort=order, title=None, axis=alt.Axis(**axis))


def wrapped(labels: Iterable[str], letters: int = LINE) -> dict[str, Any]:
    """How an axis or a heading says names that are too long for one line of text."""
    lines = {label: textwrap.wrap(label, letters) or [label] for label in labels}
    if all(len(found) == 1 for found in lines.values()):
        return {}
    return {"labelExpr": f"{json.dumps(lines)}[datum.value]"}


def columns(labels: Iterable[str], most: int) -> int:
    """How many columns a legend has: as many as have room for the longest of its labels."""
    longest = LETTER * max(map(len, labels), default=0) + 40  # with its symbol
    return max(1, min(most, int(ROOM // longest)))


def colour(channel: type) -> Any:
    """Colours that are in the data, for `alt.Stroke` or `alt.Fill`."""
    return channel("colour", type="nominal", scale=None, legend=None)


def by_name(
    channel: type, field: str, looks: Mapping[str, str], most: int = 1, **symbol: Any
) -> Any:
    """The colours of named series, with a legend of ``most`` columns at most; without names, those
    in the data."""
    if not looks:
        return colour(channel)
    symbol = {"labelLimit": ROOM, "columns": columns(looks, most), **SYMBOL, **symbol}
    legend = alt.Legend(title=None, orient="bottom", **symbol)
    scale = alt.Scale(domain=list(looks), range=list(looks.values()))
    return channel(field, type="nominal", scale=scale, legend=legend)


def by_colour(named: Mapping[str, str], channel: type = alt.Stroke, **symbol: Any) -> Any:
    """Colours that are in the data; ``named``, colours to names, have a legend."""
    if not named:
        return colour(channel)
    said = f"{json.dumps(dict(named))}[datum.value]"
    symbol = {"labelLimit": ROOM, "columns": columns(named.values(), 6), **SYMBOL, **symbol}
    legend = alt.Legend(title=None, orient="bottom", labelExpr=said, **symbol)
    scale = alt.Scale(domain=list(named), range=list(named))
    return channel("colour:N", scale=scale, legend=legend)


def dashes(field: str, known: Mapping[str, list[int]]) -> alt.StrokeDash:
    """A dash per value, without a legend."""
    scale = alt.Scale(domain=list(known), range=list(known.values()))
    return alt.StrokeDash(field, type="nominal", scale=scale, legend=None)


def kinds() -> alt.StrokeDash:
    """The dash of a line: of a split, of a random split, or supervised."""
    return dashes("kind", {"split": [1, 0], RANDOM: [5, 2], "supervised": [2, 2]})


def hollow(kind: str = RANDOM) -> alt.FillOpacityValue:
    """Empty where the rows are of this kind."""
    return alt.FillOpacityValue(1, condition={"test": f"datum.kind == '{kind}'", "value": 0})


def spread(place: alt.Chart, value: Callable[[str], alt.Y], **mark: Any) -> alt.Chart:
    """A vertical rule from low to high."""
    return place.mark_rule(**mark).encode(y=value("low"), y2="high", stroke=colour(alt.Stroke))


def of_kinds(
    across: alt.X,
    value: Callable[[str], alt.Y],
    detail: list[str],
    looks: Mapping[str, str],
    *dash: alt.StrokeDash,
) -> alt.LayerChart:
    """Lines of kinds of model with points, and the spread over seeds as a rule."""
    point = alt.Chart().encode(x=across, y=value("value"))
    stroke = by_name(alt.Stroke, "kind", looks, 2)
    apart = [alt.Detail(name, type="nominal") for name in detail]
    return alt.layer(
        point.mark_line(strokeWidth=1.75).encode(*dash, stroke=stroke, detail=apart),
        spread(point, value, strokeWidth=1.25),
        point.mark_point(size=26, filled=True, opacity=1).encode(fill=colour(alt.Fill)),
    ).properties(width=215, height=165)


def matrix(across: str, down: str, order: list[str], angle: int = -35) -> alt.Chart:
    """The cells of a matrix, whose columns are named above it."""
    above = alt.Axis(
        labelLimit=180, ticks=False, orient="top", labelAngle=angle, labelOverlap=False
    )
    beside = alt.Axis(labelLimit=LABEL, ticks=False, labelOverlap=False, **wrapped(order, 28))
    return alt.Chart().encode(
        x=alt.X(across, type="nominal", sort=order or None, title=None, axis=above),
        y=alt.Y(down, type="nominal", sort=order or None, title=None, axis=beside),
    )


def squares(cell: alt.Chart, field: str, count: int, **scale: Any) -> alt.LayerChart:
    """Numbers on coloured squares, of which ``count`` are side by side; 0 is any number."""
    shade = alt.Fill(field, type="quantitative", scale=alt.Scale(**scale), legend=None)
    least, most = CELL
    side = max(least, min(most, 560 // count)) if count else least
    # in small squares .33 instead of 0.33
    said = alt.Text("said:N") if side < 32 else alt.Text(field, type="quantitative", format=".2f")
    layers = alt.layer(
        cell.mark_rect().encode(fill=shade),
        cell.mark_text(fontSize=11 if side >= 32 else 9).encode(text=said, fill=alt.value(INK)),
    )
    short = f"replace(format(datum.{field}, '.2f'), '0.', '.')"
    return layers.transform_calculate(said=short).properties(
        width=alt.Step(side), height=alt.Step(max(least, min(30, side)))
    )


def ticks(values: Iterable[int | float]) -> list[int]:
    """Ticks of a logarithmic axis between the least and the greatest of counts: 1, 2, 5, 10 …,
    where they fit, or 1, 10, 100 …"""
    positive = [value for value in values if value > 0]
    least, greatest = min(positive, default=1), max(positive, default=1)
    found = [step * power for power in POWERS for step in (1, 2, 5)]
    found = [tick for tick in found if least <= tick <= greatest]
    return found if len(found) <= MOST_TICKS else [one for one in found if str(one)[0] == "1"]
