"""Accuracy by similarity and class frequency together."""

import altair as alt

from clipcause.report.figures.binned import SIMILARITY
from clipcause.report.figures.figure import Chart, Drawn, Figure, Found, Rows, only
from clipcause.report.tables.decomposition import OBSERVED

MOST = 3  # conditions, for every test set


def chart(_of: Drawn) -> Chart:
    """Numbers on squares: darker is higher."""
    place = alt.Chart().encode(
        x=alt.X(
            "similarity:O",
            title=SIMILARITY,
            sort=alt.EncodingSortField("similarity_from", op="min"),
            axis=alt.Axis(labelAngle=0, ticks=False, labelFontSize=9),
        ),
        y=alt.Y(
            "rows:O",
            title="training rows of the class",
            sort=alt.EncodingSortField("frequency_from", op="min", order="descending"),
            axis=alt.Axis(ticks=False),
        ),
    )
    shade = alt.Scale(domain=[0, 100], range=["#eef3f9", "#1f5fa8"])
    ink = alt.FillValue("#111111", condition={"test": "datum.accuracy > 55", "value": "#ffffff"})
    layers = alt.layer(
        place.mark_rect().encode(fill=alt.Fill("accuracy:Q", scale=shade, legend=None)),
        place.mark_text(fontSize=12, dy=-5).encode(text="percent:N", fill=ink),
        place.mark_text(fontSize=9, dy=9).encode(text="of:N", fill=ink),
    )
    return (
        layers.transform_calculate(
            # DVC gives texts, whose order is another
            frequency_from="toNumber(datum.frequency_from)",
            similarity_from="toNumber(datum.similarity_from)",
        )
        .transform_calculate(
            similarity="format(datum.similarity_from, '~g') + ' – ' + "
            "format(datum.similarity_to, '~g')",
            rows="datum.frequency_below == 1 ? '0' : datum.frequency_from + ' – ' + "
            "(datum.frequency_below - 1)",
            percent="format(datum.accuracy, '.0f') + ' %'",
            of="'of ' + datum.images",
        )
        .properties(width=alt.Step(62), height=alt.Step(34))
    )


def shown(found: Found) -> list[str]:
    """The conditions whose grids are drawn: the first, the one that fell most below its random
    split over all test sets, and a supervised one."""
    lost: dict[str, float] = {}
    for row in only(found.rows("explained"), kind=OBSERVED):
        lost[row["split"]] = lost.get(row["split"], 0.0) - row["points"]
    known = found.study.conditions
    supervised = [name for name, one in known.items() if one.is_supervised]
    names = (*list(known)[:1], *sorted(lost, key=lambda name: -lost[name])[:1], *supervised[:1])
    return list(dict.fromkeys(names))[:MOST]


def rows(found: Found) -> Rows:
    """Those of these conditions, in their order."""
    return [row for name in shown(found) for row in only(found.rows("grid"), split=name)]


FIGURE = Figure(
    "grid", "Accuracy by similarity and class frequency", ("similarity_from", "frequency_from"),
    chart, rows=rows, by=("split", "test"), panel="{split}", each=True,
    row="split", free=("x", "y"),
    columns=2,
    label="Accuracy on {test} by similarity and class frequency: {split}.",
    heading="Accuracy by similarity and class frequency: {split}",
    caption="Cells with too few images are left out.",
)  # fmt: skip
