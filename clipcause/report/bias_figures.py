"""The figures and panels of class frequency and bias.

A plot that a study has no data for is absent from figures and page; its table for `dvc plots` then
has its header alone.
"""

import textwrap
from collections import Counter

from clipcause.report import bias_charts
from clipcause.report.bias_charts import Spec
from clipcause.report.charts import SCHEMA
from clipcause.report.kinds import kinds_of
from clipcause.report.study import Study
from clipcause.report.tables.bias import Bias
from clipcause.report.tables.imbalance import Rows

MOST_PANELS = 12  # of accuracy by class
WRAP = 160  # letters of a line below a title


def shown_conditions(study: Study, one: Bias) -> list[str]:
    """The conditions whose classes are drawn: one of every kind of model, on the split that most
    kinds were trained on, or on the first that it was."""
    present = dict.fromkeys(row["condition"] for row in one.rows["perclass"])
    kinds = kinds_of(study)
    splits = Counter(study.conditions[name].split for name in present)
    chosen: dict[str, str] = {}
    for name in sorted(present, key=lambda name: -splits[study.conditions[name].split]):
        chosen.setdefault(kinds[name], name)
    return [name for name in present if name in chosen.values()][:MOST_PANELS]


def sheet(
    title: str, subtitle: str | list[str], panels: list[tuple[str, Spec]], *, shared: bool
) -> Spec:
    """Panels with their own data and title side by side; ``shared``: one legend for all."""
    how = "shared" if shared else "independent"
    channels = ("stroke", "fill", "shape")
    return {
        "$schema": SCHEMA,
        "title": {"text": title, "subtitle": subtitle, "anchor": "start"},
        "concat": [{"title": {"text": name, "fontSize": 12}, **spec} for name, spec in panels],
        "columns": 3,
        "resolve": {
            "scale": dict.fromkeys(channels, how),
            "legend": dict.fromkeys(channels, how),
        },
    }


def panels(study: Study, one: Bias, name: str, *, named: bool) -> list[tuple[str, Spec]]:
    """The panels of a plot with their data; ``named``: with a legend of their own."""
    rows = one.rows[name]
    if name == "sources":
        return (
            [("", _with(bias_charts.sources_panel(one.frequencies.sources), rows))]
            if (rows and one.frequencies)
            else []
        )
    if name == "frequency":
        looks = one.frequencies.looks if one.frequencies else {}
        return [
            (title, _with(bias_charts.frequency_panel(look if named else None),
                          [row for row in rows if row["panel"] == title]))
            for title, look in looks.items()
        ]  # fmt: skip
    looks = one.kinds(name) if named else None
    if name == "perclass":
        chosen = shown_conditions(study, one)
        return [
            (_of(study, test, condition), _with(bias_charts.class_panel(shown=_ticks(rows)), some))
            for condition in chosen
            for test in study.tests
            if (some := [row for row in rows if (row["condition"], row["test"])
                         == (condition, test)])
        ]  # fmt: skip
    ticks = sorted({row["tail"] for row in rows}) if name == "tail" else []
    if name == "probes":
        rows = [row for row in rows if row["shots"]]
        rows = rows if len({row["shots"] for row in rows}) > 1 else []
        ticks = sorted({row["shots"] for row in rows})
    field, make = {
        "probes": ("trained", lambda looks: bias_charts.probe_panel(looks, ticks)),
        "bias": ("against", bias_charts.bias_panel),
        "scale": ("measure", bias_charts.scale_panel),
        "tail": ("shots", lambda looks: bias_charts.tail_panel(looks, ticks)),
    }[name]
    return [
        (_of(study, test, value), _with(_axis(name, value, make(looks)), some))
        for test in study.tests
        for value in dict.fromkeys(row[field] for row in rows)
        if (some := [row for row in rows if (row["test"], row[field]) == (test, value)])
    ]


TITLES = {
    "frequency": (
        "Class frequency",
        "Rows by class, in falling order, on a logarithmic axis; classes without rows are left "
        "out. Dashed: what the splits of a panel were made from.",
    ),
    "sources": (
        "Agreement of class frequencies",
        "Spearman's rank correlation of the counts, joined by class id.",
    ),
    "bias": (
        "Bias towards frequent classes",
        "Spearman's correlation of a class's frequency with its accuracy (corr_acc), against that "
        "with its number of predictions and against accuracy. Bars: 95 % bootstrap interval of one "
        "seed, or the range over several. Small: parts of a set.",
    ),
    "scale": (
        "Uniform shares of the data",
        "A line per kind of model; its right end is the whole set.",
    ),
    "tail": (
        "Trimmed tails",
        "Accuracy of the trimmed classes (full lines) and of the others (dotted) by how many "
        "were trimmed.",
    ),
    "probes": (
        "Linear probes by samples of a class",
        "Top-1 accuracy of logistic regression on image features; bars: one standard deviation "
        "over draws, to either side.",
    ),
    "perclass": (
        "Accuracy by class frequency",
        "A point per class, over all seeds; the line is the mean of each tenth of the classes. "
        "Classes without a training row stand at ½.",
    ),
}


def figures(study: Study, one: Bias) -> dict[str, Spec]:
    """The figures that are files, by name: those that have something to show."""
    found = {}
    for name, (title, subtitle) in TITLES.items():
        shared = name != "frequency"
        lines = [subtitle]
        if name == "bias" and (numbers := numbered(one)):
            lines += textwrap.wrap(
                "; ".join(f"{at}: {condition}" for at, condition in numbers.items()) + ".", WRAP
            )
        if drawn := panels(study, one, name, named=True):
            found[name] = sheet(title, lines, drawn, shared=shared)
    return found


def _ticks(rows: Rows) -> list[int]:
    """One choice of ticks for all panels."""
    return bias_charts.ticks(row["shown"] for row in rows)


def numbered(one: Bias) -> dict[int, str]:
    """Which condition a point's number in the plot of bias stands for."""
    return {row["number"]: row["condition"] for row in one.rows["bias"] if row["part"] == "whole"}


def _with(panel: Spec, rows: Rows) -> Spec:
    return {**panel, "data": {"values": rows}}


def _axis(name: str, value: str, panel: Spec) -> Spec:
    """The axis that the panel is about has the panel's name."""
    channel = {"bias": "x", "scale": "y"}.get(name)
    for layer in panel["layer"] if channel else ():
        layer["encoding"][channel]["title"] = value
    return panel


def _of(study: Study, test: str, what: str) -> str:
    """The name of a panel, with its test set where a study has several."""
    return what if len(study.tests) == 1 else f"{test}: {what}"
