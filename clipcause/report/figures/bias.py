"""Bias towards frequent classes: corr_acc against one other number."""

from collections.abc import Iterable, Sequence
from functools import partial

import altair as alt

from clipcause.report.figures import encodings
from clipcause.report.figures.encodings import by_name, colour, spread
from clipcause.report.figures.figure import Chart, Drawn, Figure, Found, Rows, distinct, only, wrap

MARKS = (
    "Spearman's correlation of a class's frequency with its accuracy (corr_acc), against that with "
    "its number of predictions and against accuracy. Bars: 95 % bootstrap interval of one seed, or "
    "the range over several. Small: parts of a set."
)

WIDTH, HEIGHT = 320.0, 180.0
# places of a number about its point, from the middle to the middle: near ones first
NEAR = tuple(
    (across, down)
    for far in (9, 15, 22)
    for across, down in (
        (far, -far + 2), (-far, -far + 2), (far, far - 2), (-far, far - 2),
        (far + 2, 0), (-far - 2, 0), (0, -far - 1), (0, far + 1),
    )
)  # fmt: skip
DOT, NUMBER = 4.0, (6.0, 5.0)  # half the sides of a point, and of a number of two digits


def chart(of: Drawn) -> Chart:
    """A point per condition with its place in the table.

    Shares of a set and sets without their tail, which have plots of their own, are small here.
    """
    x = encodings.x("value", of.value("against"), {"tickCount": 5}, zero=False, nice=True)
    y = partial(encodings.y, title="corr_acc (Spearman, 0 is unbiased)", zero=False)
    place, is_whole = alt.Chart().encode(x=x, y=y("corr_acc")), "datum.part == 'whole'"
    shape = alt.Shape("shape:N", scale=None, legend=None)
    if looks := of.looks("kind"):
        # one legend with that of the fill: the shape in its colour
        shapes = {row["kind"]: row["shape"] for row in of.rows}
        shape = by_name(alt.Shape, "kind", shapes, 3, symbolType="circle")
    layers = alt.layer(
        spread(place.transform_filter(is_whole), y, strokeWidth=1, strokeOpacity=0.3),
        place.mark_point(filled=True).encode(
            fill=by_name(alt.Fill, "kind", looks, 3, symbolType="circle"),
            shape=shape,
            size=alt.SizeValue(22, condition={"test": is_whole, "value": 70}),
            fillOpacity=alt.FillOpacityValue(0.45, condition={"test": is_whole, "value": 0.95}),
        ),
    ).properties(width=WIDTH, height=HEIGHT)
    if not of.rows:  # without names a number says nothing
        return layers
    said = place.transform_filter(is_whole).mark_text(
        dx=alt.expr("datum.dx"), dy=alt.expr("datum.dy"), fontSize=9
    )
    return layers + said.encode(text="number:Q", fill=colour(alt.Fill))


def numbered(rows: Rows) -> dict[int, str]:
    """Which condition a point's number stands for."""
    return {row["number"]: row["condition"] for row in only(rows, part="whole")}


def caption(rows: Rows) -> list[str]:
    """What marks and numbers mean."""
    named = "; ".join(f"{at}: {condition}" for at, condition in numbered(rows).items())
    return [
        *wrap(MARKS),
        *wrap(f"{named}." if named else "Each point is a condition."),
    ]


def rows(found: Found) -> Rows:
    """All, with where a point's number stands beside it."""
    every, places = found.rows("bias"), {}
    for own in panels(every):
        whole = only(own, part="whole")
        heights = [row[name] for row in own for name in ("corr_acc", "low", "high")]
        ends = _ends([row["value"] for row in own]), _ends(heights)
        points = [(row["value"], row["corr_acc"]) for row in whole]
        places |= dict(zip(map(id, whole), beside(points, *ends), strict=True))
    return [
        row | dict(zip(("dx", "dy"), places.get(id(row), NEAR[0]), strict=True)) for row in every
    ]


def _ends(values: Iterable[float | None]) -> tuple[float, float]:
    known = [value for value in values if value is not None]
    return min(known, default=0.0), max(known, default=0.0)


def panels(rows: Rows) -> list[Rows]:
    """The rows of every panel."""
    return [
        only(rows, test=test, against=against)
        for test in distinct(rows, "test")
        for against in distinct(rows, "against")
    ]


def beside(
    points: Sequence[tuple[float, float]], across: tuple[float, float], up: tuple[float, float]
) -> list[tuple[int, int]]:
    """Where numbers stand beside their points, in pixels from the middle of the point to that of
    the number: each at the first of the places about its point that touches no point, no number
    before it and no side of the plot, or at the one that touches fewest.

    ``across`` and ``up`` are the ends of the axes.
    """
    pixels = [(_share(x, across) * WIDTH, (1 - _share(y, up)) * HEIGHT) for x, y in points]
    sides = [(x, HEIGHT / 2, 0.0, HEIGHT) for x in (0.0, WIDTH)]
    taken = [*sides, *((x, y, DOT, DOT) for x, y in pixels)]
    found = []
    for x, y in pixels:
        boxes = {place: (x + place[0], y + place[1], *NUMBER) for place in NEAR}
        touched = {one: sum(_touch(box, other) for other in taken) for one, box in boxes.items()}
        found.append(min(NEAR, key=touched.__getitem__))
        taken.append(boxes[found[-1]])
    return found


def _share(value: float, ends: tuple[float, float]) -> float:
    least, most = ends
    return (value - least) / (most - least) if most > least else 0.5


def _touch(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Whether two boxes, given by their middle and half their sides, do."""
    return bool(abs(a[0] - b[0]) < a[2] + b[2] and abs(a[1] - b[1]) < a[3] + b[3])


FIGURE = Figure(
    "bias", "Bias towards frequent classes", ("value", "corr_acc"), chart,
    rows=rows, by=("test", "against"), alike=False, file="beside", column="against", row="test",
    columns=2, key="kind",
    caption=caption,
)  # fmt: skip
