"""The study's answer in one figure: what pruning did on every test set, beside what labels do."""

from functools import partial

import altair as alt

from clipcause.prune.rules.core import Core
from clipcause.prune.rules.hull import Hull
from clipcause.report.colours import GREY
from clipcause.report.figures import encodings
from clipcause.report.figures.encodings import colour, names
from clipcause.report.figures.figure import Chart, Drawn, Figure, Found, Rows, distinct
from clipcause.report.tables.comparisons import SURE

WIDTH = 260  # pixels: with the lines' names a phone's screen
MANY = 30  # lines that stand closer


def chart(of: Drawn) -> Chart:
    """A line per condition and test set: its difference with the interval, and a tick where the
    supervised classifier is, which the first tick says in words."""
    x = partial(encodings.x, title="points above (+) or below (−) the random control", nice=True)
    lines = distinct(of.rows, "line")
    line = alt.Chart().encode(y=names("line", lines))
    first = next((row["line"] for row in of.rows if row["supervised"] is not None), None)
    labelled = line.transform_filter("isValid(datum.supervised)")
    said = labelled.transform_filter(alt.datum.line == first) if first else labelled
    return alt.layer(
        alt.Chart().mark_rule(stroke=GREY).encode(x=alt.XDatum(0, type="quantitative")),
        labelled.mark_tick(color=GREY, thickness=2, size=13).encode(x=x("supervised")),
        said.mark_text(text="supervised" if first else "", color=GREY, fontSize=11, dy=-12).encode(
            x=x("supervised")
        ),
        line.mark_rule(strokeWidth=2).encode(x=x("low"), x2="high", stroke=colour(alt.Stroke)),
        line.mark_point(size=60, strokeWidth=1.5, opacity=1).encode(
            hollow_unless_sure(),
            x=x("difference"),
            stroke=colour(alt.Stroke),
            fill=colour(alt.Fill),
        ),
    ).properties(width=WIDTH, height=alt.Step(19 if len(lines) <= MANY else 13))


def hollow_unless_sure() -> alt.FillOpacityValue:
    """Filled where a difference is called."""
    return alt.FillOpacityValue(0, condition={"test": f"datum.kind == '{SURE}'", "value": 1})


def rows(found: Found) -> Rows:
    """Those of hulls and core sets; of all where there are none, as of studies of other rules."""
    every, rules = found.rows("effects"), found.study.rules
    conditions = found.study.conditions
    asked = [
        row for row in every if isinstance(rules.get(conditions[row["split"]].split), Hull | Core)
    ]
    return asked or every


FIGURE = Figure(
    "effects", "What choosing training data by similarity does", ("difference", "line"), chart,
    rows=rows, by=(), file="alone", column="rev",
    label="Difference of accuracy from random controls by condition and test set, and where a "
    "supervised classifier is; the table has the numbers.",
    caption=lambda _: [
        "Dot: trained on the chosen rows, less trained on as many random ones, with",
        "its 95 % interval over images and runs; filled: beyond noise after Holm’s",
        "correction. Tick: the supervised classifier, less the same control.",
    ],
)  # fmt: skip
