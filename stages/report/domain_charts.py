"""The plot of mixed domains: its Vega-Lite specification."""

from typing import Any

from stages.report.bias_charts import plain
from stages.report.series import GREY

Spec = dict[str, Any]


def panel(title: str = "share of the second domain / %") -> Spec:
    """Accuracy against the share of one of two domains, a point per condition in its colour.

    A grey line joins those that have as many rows and none that is ambiguous: they differ in the
    share alone. ``title`` is that of the axis of shares.
    """
    x = {
        "field": "share",
        "type": "quantitative",
        "title": title,
        "scale": {"domain": [0, 100], "nice": False},
        "axis": {"tickCount": 5},
    }
    y = {"field": "top1", "type": "quantitative", "title": "top-1 accuracy / %"}
    shared = {"x": x, "y": {**y, "scale": {"zero": False}}}
    interval = {**shared, "y": {**shared["y"], "field": "low"}, "y2": {"field": "high"}}
    return {
        "width": 210,
        "height": 150,
        "layer": [
            {
                "transform": [{"filter": "datum.ambiguous == 0"}],
                "mark": {"type": "line", "strokeWidth": 1.5, "stroke": GREY},
                "encoding": {**shared, "detail": [{"field": "rows"}, {"field": "domains"}]},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 1.5},
                "encoding": {**interval, "stroke": plain("colour")},
            },
            {
                "mark": {"type": "point", "size": 50, "filled": True, "opacity": 1},
                "encoding": {**shared, "fill": plain("colour")},
            },
        ],
    }
