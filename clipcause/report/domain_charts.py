"""The plot of mixed domains: its Vega-Lite specification."""

from typing import Any

from clipcause.report.bias_charts import Looks, legend, plain
from clipcause.report.colours import GREY

Spec = dict[str, Any]


def panel(title: str = "share of the second domain / %", looks: Looks | None = None) -> Spec:
    """Accuracy against the share of one of two domains, a point per condition in its colour.

    A grey line joins those that have as many rows and none that is ambiguous: they differ in the
    share alone. ``title`` is that of the axis of shares; ``looks`` (colours) make a legend.
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
                "encoding": {**shared, "fill": _named(looks)},
            },
        ],
    }


def _named(looks: Looks | None) -> Spec:
    """The splits' colours; the legend has a dot for each."""
    found = legend("split", looks, 4)
    if looks:
        found["legend"] |= {"symbolType": "circle", "symbolStrokeWidth": 0}
    return found
