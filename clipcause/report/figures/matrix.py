"""Every split on every test set. Each cell says its number."""

from functools import partial

import altair as alt

from clipcause.report.figures import encodings, lines
from clipcause.report.figures.encodings import EQUAL, GAIN, INK, LOSS
from clipcause.report.figures.figure import Chart, Drawn, Figure, distinct

WIDE, NARROW = 74, 46  # pixels of a column
MANY = 8  # columns that are narrow
LEAST_REACH = 5  # points: a smaller difference is never in full colour


def chart(of: Drawn) -> Chart:
    """Accuracy, below it the difference from the random split of its size, which the colour shows;
    white where there is none."""
    tests = len(distinct(of.rows, "test"))
    order = [*distinct(of.rows, "test"), *distinct(of.rows, "split")]
    cell = encodings.matrix("test", "split", order, 0 if tests <= MANY else -35).encode(
        fill=alt.value(INK)
    )
    compared, alone = cell.transform_filter("datum.told"), cell.transform_filter("!datum.told")
    scale = alt.Scale(domain=[-1, 0, 1], range=[LOSS, EQUAL, GAIN])
    layers = alt.layer(
        cell.mark_rect().encode(fill=alt.value("#ffffff")),
        compared.mark_rect().encode(fill=alt.Fill("strength:Q", scale=scale, legend=None)),
        alone.mark_text(fontSize=12).encode(text="said:N"),
        compared.mark_text(fontSize=12, dy=-6).encode(text="said:N"),
        compared.mark_text(fontSize=10, dy=8).encode(text="told:N"),
    )
    return (
        layers.transform_calculate(size="abs(datum.difference)")
        .transform_joinaggregate(largest="max(size)", groupby=[])  # facets add theirs
        .transform_calculate(strength=f"datum.difference / max(datum.largest, {LEAST_REACH})")
        .properties(width=alt.Step(WIDE if tests <= MANY else NARROW), height=alt.Step(34))
    )


FIGURE = Figure(
    "matrix", "Every split on every test set", ("test", "split"), chart,
    rows=partial(lines.of, table="matrix"), by=(), file="alone", column="rev",
    label="Top-1 accuracy of every split on every test set, coloured by its difference from the "
    "random split of its size; the table below has the numbers.",
    caption="Top-1 accuracy in %; below it points above or below the random split of its size, "
    "starred where the 95 % interval leaves out zero.",
)  # fmt: skip
