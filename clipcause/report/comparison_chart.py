"""The forest plot of differences: its Vega-Lite specification.

As in `charts`, one definition makes the panels of the page, the figure and the template for
`dvc plots`. Colours come with the data.
"""

import math
from typing import Any

from clipcause.report.bias_charts import plain
from clipcause.report.colours import GREY
from clipcause.report.tables.comparisons import UNSURE
from clipcause.report.tables.tabular import Rows

Spec = dict[str, Any]
LABEL = 420  # pixels; a longer label is cut


def extent(rows: Rows) -> tuple[float, float]:
    """Points from end to end of all intervals, so that every panel has the same axis."""
    low = min((row["low"] for row in rows), default=-1.0)
    high = max((row["high"] for row in rows), default=1.0)
    return float(math.floor(min(low, 0.0))), float(math.ceil(max(high, 0.0)))


def panel(order: list[str], ends: tuple[float, float] | None = None) -> Spec:
    """A line per condition: its difference with the interval, on a band of what would be missed.

    Filled where the difference is beyond noise. ``ends`` are those of the axis.
    """
    y: Spec = {"field": "split", "type": "nominal", "sort": order, "title": None}
    y["axis"] = {"labelLimit": LABEL}
    scale: Spec = {"nice": False, "padding": 4}
    low, high = ends or (-100, 100)
    if ends:
        # a band may be wider than all intervals: it is cut, not the panel stretched
        scale |= {"domain": list(ends)}
    x: Spec = {
        "field": "difference",
        "type": "quantitative",
        "title": "difference / points of top-1 accuracy",
        "scale": scale,
        "axis": {"tickCount": 5},
    }
    hollow = {"condition": {"test": f"datum.kind == '{UNSURE}'", "value": 0}, "value": 1}
    return {
        "height": {"step": 18},
        "width": 210,
        "layer": [
            {
                "transform": [
                    {"filter": "datum.detectable > 0"},  # empty where nothing is detectable
                    {"calculate": f"max(-datum.detectable, {low})", "as": "from"},
                    {"calculate": f"min(+datum.detectable, {high})", "as": "to"},
                ],
                # a thick rule: bars are clipped by an id, which a page of many plots cannot have
                "mark": {"type": "rule", "stroke": GREY, "strokeWidth": 12, "strokeOpacity": 0.22},
                "encoding": {"y": y, "x": {**x, "field": "from"}, "x2": {"field": "to"}},
            },
            {
                "mark": {"type": "rule", "stroke": GREY},
                "encoding": {"x": {"datum": 0, "type": "quantitative"}},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 1.5},
                "encoding": {
                    "y": y,
                    "x": {**x, "field": "low"},
                    "x2": {"field": "high"},
                    "stroke": plain("colour"),
                },
            },
            {
                "mark": {"type": "point", "size": 50, "strokeWidth": 1.5, "opacity": 1},
                "encoding": {
                    "y": y,
                    "x": x,
                    "stroke": plain("colour"),
                    "fill": plain("colour"),
                    "fillOpacity": hollow,
                },
            },
        ],
    }
