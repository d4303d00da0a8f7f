"""How near the test images are: histograms of nearest similarity, for every split and test set."""

import altair as alt

from clipcause.report.colours import GREY, colours
from clipcause.report.conditions import is_classwise
from clipcause.report.figures.encodings import colour, dashes, x, y
from clipcause.report.figures.figure import Chart, Drawn, Figure, Found, Rows
from clipcause.report.outline import RANDOM, Outline

WIDTH, HEIGHT = 210, 110
MOST = 16  # splits, for every test set


def chart(of: Drawn) -> Chart:
    """Histograms over one another: bars for a split, lines for what it is compared with."""
    axis, scale = {"tickCount": 5 if of.rows else 3}, {"zero": False, "nice": False}
    share = alt.Chart().encode(
        x=x("similarity", "nearest cosine similarity", axis, **scale),
        y=y("share", "test images / %").stack(None),
    )
    dash = dashes("role", {"reference": [2, 2], "pool": [1, 0], RANDOM: [5, 2]})
    layers = alt.layer(
        share.transform_filter("datum.role == 'split'")
        .mark_area(interpolate="step", opacity=0.55)
        .encode(fill=colour(alt.Fill)),
        share.transform_filter("datum.role != 'split'")
        .mark_line(interpolate="step", strokeWidth=1.5)
        .encode(dash, stroke=colour(alt.Stroke)),
    ).properties(width=WIDTH, height=HEIGHT)
    # the table has no roles: DVC draws each of its series as a split
    if of.rows:
        return layers
    return layers.transform_calculate(role="'split'").properties(width=WIDTH, height=70)


def splits(study: Outline) -> tuple[list[str], int]:
    """The splits that are drawn, and how many others there are. What was chosen by class has no
    reason to be nearer to a test set."""
    every = [name for name in study.rules if name not in study.controls]
    own = [name for name in every if not is_classwise(study.rules[name])][:MOST]
    return own, len(every) - len(own)


def rows(found: Found) -> Rows:
    """For every split that is drawn its own rows, and those of what it is compared with."""
    controls, known, made = found.study.controls, colours(found.study), []
    random = {one: name for name, others in reversed(controls.items()) for one in others}
    for name in splits(found.study)[0]:
        roles = {random.get(name): RANDOM, name: "split", "pool": "pool", "reference": "reference"}
        made += [
            {**row, "split": name, "role": role, "colour": known.get(row["data"], GREY)}
            for row in found.rows("similarity")
            if (role := roles.get(row["data"]))
        ]
    return made


FIGURE = Figure(
    "similarity", "Nearest similarity of the test images", ("similarity", "share"), chart,
    rows=rows, by=("test", "split"), panel="{split}", file=None, row="data",
    label="Nearest similarity of {test} images to {split}, the pool and the reference.",
)  # fmt: skip
