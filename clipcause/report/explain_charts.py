"""The plots of what explains accuracy: their Vega-Lite specifications.

As in `charts`, one definition makes the panels of the page, the figures and the templates for
`dvc plots`. Colours come with the data.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from clipcause.report.bias_charts import by_colour, plain
from clipcause.report.colours import GREY
from clipcause.report.tables.explained import KEPT, OBSERVED, PREDICTED
from clipcause.report.tables.robustness import LINE, SUPERVISED
from clipcause.report.tables.tabular import RANDOM

Spec = dict[str, Any]

ACCURACY = {"domain": [0, 100]}
LABEL = 420  # pixels; a longer label is cut
POWERS = tuple(10**power for power in range(10))
PERCENTS = (1, 2, *range(5, 100, 5), 98, 99)


def frequency_panel(named: Mapping[str, str] | None = None, ticks: Sequence[int] = POWERS) -> Spec:
    """Accuracy against class frequency in doublings, a line per condition; ``named``, colours to
    names, have a legend."""
    x = {
        "field": "frequency",
        "type": "quantitative",
        "title": "training rows of the class (logarithmic)",
        "scale": {"type": "log", "nice": False, "padding": 8},
        "axis": {"values": list(ticks), "format": "~s"},
    }
    y = {"field": "accuracy", "type": "quantitative", "title": "top-1 accuracy / %"}
    y["scale"] = ACCURACY
    shared = {"x": x, "y": y}
    dash = {
        "field": "kind",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": ["split", RANDOM, SUPERVISED], "range": [[1, 0], [5, 2], [2, 2]]},
    }
    return {
        "width": 250,
        "height": 180,
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 1.5},
                "encoding": {
                    **shared,
                    "detail": {"field": "split", "type": "nominal"},
                    "stroke": by_colour(named),
                    "strokeDash": dash,
                },
            },
            {
                "mark": {"type": "rule", "strokeWidth": 1, "strokeOpacity": 0.25},
                "encoding": {
                    "x": x,
                    "y": {**y, "field": "low"},
                    "y2": {"field": "high"},
                    "stroke": plain("colour"),
                },
            },
            {
                "mark": {"type": "point", "size": 14, "opacity": 1, "filled": True},
                "encoding": {**shared, "fill": plain("colour")},
            },
        ],
    }


def grid_panel() -> Spec:
    """Accuracy by similarity and frequency, as numbers on squares: darker is higher."""
    span = "format({0}, '~g') + ' – ' + format({1}, '~g')"
    across = {
        "field": "similarity",
        "type": "ordinal",
        "title": "nearest cosine similarity to the training data",
        "sort": {"field": "similarity_from", "op": "min"},
        "axis": {"labelAngle": 0, "ticks": False, "labelFontSize": 9},
    }
    up = {
        "field": "rows",
        "type": "ordinal",
        "title": "training rows of the class",
        "sort": {"field": "frequency_from", "op": "min", "order": "descending"},
        "axis": {"ticks": False},
    }
    shade = {
        "field": "accuracy",
        "type": "quantitative",
        "scale": {"domain": [0, 100], "range": ["#eef3f9", "#1f5fa8"]},
        "legend": None,
    }
    ink = {"condition": {"test": "datum.accuracy > 55", "value": "#ffffff"}, "value": "#111111"}
    place = {"x": across, "y": up}
    return {
        "width": {"step": 62},
        "height": {"step": 34},
        "transform": [
            {
                "calculate": span.format("datum.similarity_from", "datum.similarity_to"),
                "as": "similarity",
            },
            {
                "calculate": "datum.frequency_below == 1 ? '0' : datum.frequency_from + ' – ' + "
                "(datum.frequency_below - 1)",
                "as": "rows",
            },
            {"calculate": "format(datum.accuracy, '.0f') + ' %'", "as": "percent"},
            {"calculate": "'of ' + datum.images", "as": "of"},
        ],
        "layer": [
            {"mark": {"type": "rect"}, "encoding": {**place, "fill": shade}},
            {
                "mark": {"type": "text", "fontSize": 12, "dy": -5},
                "encoding": {**place, "text": {"field": "percent"}, "fill": ink},
            },
            {
                "mark": {"type": "text", "fontSize": 9, "dy": 9},
                "encoding": {**place, "text": {"field": "of"}, "fill": ink},
            },
        ],
    }


def explained_panel(order: list[str]) -> Spec:
    """The observed difference (filled) above what the change in similarity predicts (hollow)."""
    y: Spec = {"field": "split", "type": "nominal", "sort": order, "title": None}
    y["axis"] = {"labelLimit": LABEL}
    lane = {
        "field": "kind",
        "type": "ordinal",
        "scale": {"domain": ["", OBSERVED, PREDICTED, " "]},
    }
    title = "points above (+) or below (−) the random split"
    x = {"field": "points", "type": "quantitative", "title": title}
    shared = {"y": y, "yOffset": lane, "stroke": plain("colour"), "x": x}
    hollow = {"condition": {"test": f"datum.kind == '{PREDICTED}'", "value": 0}, "value": 1}
    return {
        "width": 210,
        "height": {"step": 9},
        "transform": [{"filter": f"datum.kind != '{KEPT}'"}],
        "layer": [
            {
                "mark": {"type": "rule", "stroke": GREY, "strokeWidth": 1},
                "encoding": {"x": {"datum": 0, "type": "quantitative"}},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 1.5},
                "encoding": {**shared, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "size": 50, "strokeWidth": 1.5, "opacity": 1},
                "encoding": {**shared, "fill": plain("colour"), "fillOpacity": hollow},
            },
        ],
    }


def robustness_panel(
    usual: str = "the usual test set", named: Mapping[str, str] | None = None
) -> Spec:
    """Accuracy on a shifted test set against that on the usual one, both on axes of log odds;
    ``named``, colours to names, have a legend."""
    ticks = {
        "values": [_logit(percent) for percent in PERCENTS],
        "labelExpr": "format(100 / (1 + exp(-datum.value)), '.0f')",
        "labelOverlap": True,
    }
    scale = {"zero": False, "nice": False, "padding": 14}
    x = {
        "field": "x",
        "type": "quantitative",
        "title": f"accuracy on {usual} / % (log odds)",
        "scale": scale,
        "axis": ticks,
    }
    y = {**x, "field": "y", "title": "accuracy / % (log odds)"}
    is_line = f"datum.kind == '{LINE}'"
    hollow = {"condition": {"test": f"datum.kind == '{RANDOM}'", "value": 0}, "value": 1}
    shape = {
        "condition": {"test": f"datum.kind == '{SUPERVISED}'", "value": "diamond"},
        "value": "circle",
    }
    return {
        "width": 230,
        "height": 200,
        "layer": [
            {
                "transform": [{"filter": is_line}],
                "mark": {"type": "line", "strokeWidth": 1.5},
                "encoding": {
                    "x": x,
                    "y": y,
                    "stroke": {"value": GREY},
                    "strokeDash": {
                        "condition": {"test": "datum.line == 'fitted'", "value": [1, 0]},
                        "value": [4, 3],
                    },
                },
            },
            {
                "transform": [{"filter": f"!({is_line})"}],
                "mark": {"type": "point", "size": 55, "strokeWidth": 1.5, "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": y,
                    "shape": shape,
                    "stroke": by_colour(named),
                    "fill": plain("colour"),
                    "fillOpacity": hollow,
                },
            },
        ],
    }


def _logit(percent: int) -> float:
    return round(math.log(percent / (100 - percent)), 6)
