"""The page's sections on similarity: how near the test images are, and accuracy by that."""

import copy
import json
import re
from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Any

import vl_convert

from clipcause.report import (
    bias_charts,
    classwise,
    comparison_chart,
    density_charts,
    domain_charts,
    explain_charts,
    matrix_charts,
    yardstick_chart,
)
from clipcause.report.colours import GREY, colours
from clipcause.report.study import Study
from clipcause.report.tables.tabular import RANDOM, Rows, beside

MOST_LINES = 24  # conditions in one plot


def lines_of(study: Study) -> list[str]:
    """The conditions whose lines are drawn: where not all fit, those that differ in nothing but
    their split, and whose split was not chosen class by class."""
    if len(study.conditions) <= MOST_LINES:
        return list(study.conditions)
    plain = [
        name
        for name, one in study.conditions.items()
        if one.is_plain and not classwise.is_classwise(study.rules.get(one.split))
    ]
    return plain[:MOST_LINES]


Spec = dict[str, Any]
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
PNG_SCALE = 1.6
LABEL = 420  # pixels; a longer label is cut
LARGEST = 1.25  # how far a panel on the page may grow over its own size


def accuracy_panel(
    order: list[str],
    *,
    paired: bool = True,
    field: str = "top1",
    title: str = "top-1 accuracy / %",
) -> Spec:
    """Points with intervals, a line of the plot per split; hollow: the random split of its size,
    for which there is room where ``paired``."""
    y: Spec = {"field": "beside", "type": "nominal", "sort": order, "title": None}
    y["axis"] = {"labelLimit": LABEL}
    # alone in the middle, else above its random split; lanes are the same in every panel
    lanes = [0, 1, 2, 3, 4] if paired else [1, 2, 3]
    lane = {"field": "lane", "type": "ordinal", "scale": {"domain": lanes}}
    x = {"field": field, "type": "quantitative", "title": title}
    shared = {
        "y": y,
        "yOffset": lane,
        "stroke": _plain("colour"),
        "x": {**x, "scale": {"zero": False, "nice": True}},
    }
    interval = {**shared, "x": {**shared["x"], "field": "low"}, "x2": {"field": "high"}}
    hollow = {"condition": {"test": f"datum.kind == '{RANDOM}'", "value": 0}, "value": 1}
    return {
        "height": {"step": 5.5},
        "width": 210,
        "transform": [
            {"calculate": f"datum.kind == '{RANDOM}' ? 1 : 0", "as": "random"},
            {
                "joinaggregate": [
                    {"op": "max", "field": "random", "as": "most"},
                    {"op": "min", "field": "random", "as": "least"},
                ],
                "groupby": ["test", "beside"],
            },
            {"calculate": "datum.most == datum.least ? 2 : 1 + 2 * datum.random", "as": "lane"},
        ],
        "layer": [
            {
                "transform": [{"filter": "datum.kind == 'supervised'"}],
                "mark": {"type": "rule", "strokeDash": [3, 3], "stroke": GREY},
                "encoding": {"x": shared["x"]},
            },
            {"mark": {"type": "rule", "strokeWidth": 1.5}, "encoding": interval},
            {
                "mark": {"type": "point", "size": 50, "strokeWidth": 1.5, "opacity": 1},
                "encoding": {**shared, "fill": _plain("colour"), "fillOpacity": hollow},
            },
        ],
    }


def similarity_panel() -> Spec:
    """Histograms over one another: bars for a split, lines for what it is compared with."""
    x = {
        "field": "similarity",
        "type": "quantitative",
        "title": "nearest cosine similarity",
        "scale": {"zero": False, "nice": False},
        "axis": {"tickCount": 5},
    }
    y = {"field": "share", "type": "quantitative", "title": "test images / %", "stack": None}
    dash = {
        "field": "role",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": ["reference", "pool", RANDOM], "range": [[2, 2], [1, 0], [5, 2]]},
    }
    line = {"type": "line", "interpolate": "step", "strokeWidth": 1.5}
    filled = {"type": "area", "interpolate": "step", "opacity": 0.55}
    return {
        "width": 210,
        "height": 110,
        "layer": [
            {
                "transform": [{"filter": "datum.role == 'split'"}],
                "mark": filled,
                "encoding": {"x": x, "y": y, "fill": _plain("colour")},
            },
            {
                "transform": [{"filter": "datum.role != 'split'"}],
                "mark": line,
                "encoding": {"x": x, "y": y, "strokeDash": dash, "stroke": _plain("colour")},
            },
        ],
    }


def bins_panel(named: Mapping[str, str] | None = None, title: str = "top-1 accuracy / %") -> Spec:
    """Accuracy against similarity, a line per condition; ``named``, colours to names, have a
    legend."""
    x = {
        "field": "similarity",
        "type": "quantitative",
        "title": "nearest cosine similarity to the training data",
        "scale": {"zero": False},
        "axis": {"tickCount": 5},
    }
    y = {
        "field": "accuracy",
        "type": "quantitative",
        "title": title,
        "scale": {"domain": [0, 100]},
    }
    detail = {"field": "split", "type": "nominal"}
    dash = {
        "field": "kind",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": ["split", RANDOM, "supervised"], "range": [[1, 0], [5, 2], [2, 2]]},
    }
    shared = {"x": x, "y": y, "detail": detail, "stroke": _plain("colour")}
    coloured = bias_charts.by_colour(named)
    return {
        "width": 250,
        "height": 180,
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 1.5},
                "encoding": {**shared, "stroke": coloured, "strokeDash": dash},
            },
            {
                "mark": {"type": "point", "size": 14, "opacity": 1, "filled": True},
                "encoding": {"x": x, "y": y, "fill": _plain("colour")},
            },
        ],
    }


def figure(panel: Spec, rows: Rows, order: list[str], title: str, subtitle: str) -> Spec:
    """All panels of a plot, one per test set, as one specification with its data."""
    facet = {"field": "test", "type": "nominal", "sort": order, "title": None}
    return {
        "title": {"text": title, "subtitle": subtitle, "anchor": "start"},
        "data": {"values": rows},
        "facet": facet,
        "columns": 3,
        "spec": panel,
        "resolve": {"scale": {"x": "independent"}},
    }


def own(study: Study) -> list[str]:
    """The conditions that have a line or a colour of their own: no random splits of one other."""
    return [name for name, one in study.conditions.items() if beside(study, one) == [name]]


def named(study: Study, lines: Collection[str]) -> dict[str, str]:
    """Colour to name for a legend of ``lines``; those of one colour share an entry."""
    colour, found = colours(study), {}
    for name in [name for name in own(study) if name in lines]:
        found[colour[name]] = ", ".join(filter(None, [found.get(colour[name]), name]))
    return found


def figures(study: Study, accuracy: Rows, binned: Rows, lines: Collection[str]) -> dict[str, Spec]:
    """The figures that are files, by name; ``lines`` are the conditions that the second draws."""
    tests = list(study.tests)
    order = own(study)
    return {
        "accuracy": figure(
            accuracy_panel(order, paired=any(row["kind"] == RANDOM for row in accuracy)),
            accuracy,
            tests,
            "Top-1 accuracy by training data",
            "Filled: the split. Hollow: a random split of the same size. Dashed: supervised on the "
            "reference. Bars: 95 % intervals over test images.",
        ),
        "binned": figure(
            bins_panel(named(study, lines)),
            [row for row in binned if row["split"] in lines],
            tests,
            "Accuracy by similarity to the training data",
            "A line per split in its colour; dashed: random split of its size; dotted: supervised.",
        ),
    }


def svg(spec: Spec, *, background: str | None = None) -> str:
    """Draw a specification. The same one gives the same text."""
    return vl_convert.vegalite_to_svg(_complete(spec, background))


def png(drawing: str) -> bytes:
    """A drawing as PNG: the same bytes as from its specification, in a sixth of the time."""
    return vl_convert.svg_to_png(drawing, scale=PNG_SCALE)


def inline(spec: Spec, rows: Rows, label: str) -> str:
    """A panel for the page: an SVG that scales with its column and says what it shows."""
    text = svg({**spec, "data": {"values": rows}})
    opened = re.search(r"<svg[^>]*>", text)
    box = re.search(r'viewBox="([^"]*)"', text)
    if opened is None or box is None:
        raise RuntimeError("the drawing has no viewBox")
    if "url(#" in text:
        raise RuntimeError("the drawing refers to an id, which would not be its own on the page")
    widest = round(LARGEST * float(box[1].split()[2]))
    start = (
        f'<svg viewBox="{box[1]}" style="max-width:{widest}px" role="img" '
        f'aria-label="{escape(label)}">'
    )
    return start + text[opened.end() :].strip()


def templates() -> dict[str, str]:
    """The templates for `dvc plots`, by name: what lies in `.dvc/plots`."""
    return {
        "accuracy": template(accuracy_panel([]), None),
        "similarity": template(similarity_panel(), "data", "'split'"),
        "binned": template(bins_panel(), None),
        "comparisons": template(comparison_chart.panel([]), None),
        "frequency": template(bias_charts.frequency_panel(), None, column="panel"),
        "sources": template(bias_charts.sources_panel([]), None, column="rev"),
        "bias": template(bias_charts.bias_panel(), "test", column="against"),
        "scale": template(bias_charts.scale_panel(), "test", column="measure", resolve=("x", "y")),
        "tail": template(bias_charts.tail_panel(), "test", column="shots"),
        "perclass": template(bias_charts.class_panel(), "condition"),
        "byfrequency": template(explain_charts.frequency_panel(), None),
        "grid": template(explain_charts.grid_panel(), "split", resolve=("x", "y")),
        "explained": template(explain_charts.explained_panel([]), None),
        "robustness": template(explain_charts.robustness_panel(), None, resolve=("x", "y")),
        "density": template(density_charts.panel(), None),
        "matrix": template(matrix_charts.accuracy_panel(), None, column="rev"),
        "overlap": template(matrix_charts.overlap_panel(), "base", column="rev"),
        "domains": template(domain_charts.panel(), "domains"),
        "yardsticks": template(yardstick_chart.panel(), None, column="rule"),
        "retrieval": template(
            accuracy_panel([], field="recall", title="share found / %"), "direction", column="depth"
        ),
        "retrieval_bins": template(bins_panel(title="R@1 / %"), None),
        "probes": template(bias_charts.probe_panel(), "test", column="trained"),
    }


def template(
    panel: Spec,
    down: str | None,
    role: str | None = None,
    *,
    column: str = "test",
    resolve: Sequence[str] = ("x",),
) -> str:
    """A template for `dvc plots`: a column per value of ``column``, a row per value of ``down``.

    Revisions that are compared differ in opacity. ``role`` is an expression for the column of that
    name. DVC puts the data in the place of its anchor.
    """
    panel = copy.deepcopy(panel)
    for layer in panel["layer"]:
        if column != "rev":  # where they are not columns of their own
            layer["encoding"]["opacity"] = {"field": "rev", "type": "nominal", "title": "revision"}
        if "detail" in layer["encoding"]:  # a line per split and revision
            split = layer["encoding"]["detail"]
            split = split if isinstance(split, list) else [split]
            layer["encoding"]["detail"] = [*split, {"field": "rev"}]
        layer["mark"]["tooltip"] = {"content": "data"}
    facet = {"column": {"field": column, "type": "nominal", "title": None}}
    if down:
        facet["row"] = {"field": down, "type": "nominal", "title": None}
    spec = {"$schema": SCHEMA, "data": {"values": "<DVC_METRIC_DATA>"}, "facet": facet}
    if role:
        spec["transform"] = [{"calculate": role, "as": "role"}]
    spec |= {"spec": panel, "resolve": {"scale": dict.fromkeys(resolve, "independent")}}
    return json.dumps(spec, indent=1) + "\n"


def _plain(field: str) -> Spec:
    """Colours that are in the data."""
    return {"field": field, "type": "nominal", "scale": None, "legend": None}


def _complete(spec: Spec, background: str | None) -> Spec:
    quiet = "#88888840"
    config = {
        "background": background,
        "font": "Liberation Sans, Arial, Helvetica, sans-serif",
        "aria": False,
        "view": {"stroke": None},
        "axis": {
            "gridColor": quiet,
            "domain": False,
            "tickColor": quiet,
            "titleFontWeight": 400,
            "labelFlush": False,  # a label that is moved inwards touches the next
        },
        "header": {"labelFontSize": 13, "labelFontWeight": 700},
        "title": {"fontSize": 15, "subtitleFontSize": 12, "offset": 14},
    }
    return {"$schema": SCHEMA, "config": config, **spec}
