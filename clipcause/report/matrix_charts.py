"""The plots of the matrices: their Vega-Lite specifications. Every cell says its number."""

from collections.abc import Sequence
from typing import Any

Spec = dict[str, Any]

INK = "#111111"  # on every cell, whose colours are light in light and dark alike
LOSS, EQUAL, GAIN = "#e8936b", "#ececec", "#7fb0e6"
LEAST_REACH = 5  # points: a smaller difference is never in full colour


def accuracy_panel(splits: Sequence[str] = (), tests: Sequence[str] = ()) -> Spec:
    """Every condition on every test set: accuracy, below it the difference from the random split
    of its size, which the colour shows; white where there is none."""
    across = _side("test", tests)
    down = _side("split", splits)
    reach = {
        "transform": [
            {"calculate": "abs(datum.difference)", "as": "size"},
            {
                "joinaggregate": [{"op": "max", "field": "size", "as": "largest"}],
                "groupby": [],  # facets add theirs
            },
            {
                "calculate": f"datum.difference / max(datum.largest, {LEAST_REACH})",
                "as": "strength",
            },
        ]
    }
    strength = {
        "field": "strength",
        "type": "quantitative",
        "scale": {"domain": [-1, 0, 1], "range": [LOSS, EQUAL, GAIN]},
        "legend": None,
    }
    text = {"x": across, "y": down, "fill": {"value": INK}}
    accuracy = {"field": "said", "type": "nominal"}
    has_twin = {"transform": [{"filter": "datum.told"}]}
    alone = {"transform": [{"filter": "!datum.told"}]}
    return {
        "width": {"step": 74},
        "height": {"step": 34},
        **reach,
        "layer": [
            {
                "mark": {"type": "rect", "fill": "#ffffff"},
                "encoding": {"x": across, "y": down},
            },
            {
                **has_twin,
                "mark": {"type": "rect"},
                "encoding": {"x": across, "y": down, "fill": strength},
            },
            {
                **alone,
                "mark": {"type": "text", "fontSize": 12},
                "encoding": {**text, "text": accuracy},
            },
            {
                **has_twin,
                "mark": {"type": "text", "fontSize": 12, "dy": -6},
                "encoding": {**text, "text": accuracy},
            },
            {
                **has_twin,
                "mark": {"type": "text", "fontSize": 10, "dy": 8},
                "encoding": {**text, "text": {"field": "told", "type": "nominal"}},
            },
        ],
    }


def overlap_panel(splits: Sequence[str] = ()) -> Spec:
    """Jaccard of what two splits removed from their base, as numbers on squares."""
    across, down = _side("second", splits), _side("first", splits)
    across["axis"] |= {"labelAngle": -35}
    value = {"field": "jaccard", "type": "quantitative"}
    strength = {**value, "scale": {"domain": [0, 1], "range": [EQUAL, GAIN]}, "legend": None}
    return {
        "width": {"step": 46},
        "height": {"step": 30},
        "layer": [
            {"mark": {"type": "rect"}, "encoding": {"x": across, "y": down, "fill": strength}},
            {
                "mark": {"type": "text", "fontSize": 11},
                "encoding": {
                    "x": across,
                    "y": down,
                    "text": {**value, "format": ".2f"},
                    "fill": {"value": INK},
                },
            },
        ],
    }


def _side(field: str, order: Sequence[str]) -> Spec:
    axis = {"labelLimit": 300, "ticks": False, "labelAngle": 0}
    if field in ("test", "second"):
        axis["orient"] = "top"
    return {
        "field": field,
        "type": "nominal",
        "sort": list(order) or None,
        "title": None,
        "axis": axis,
    }
